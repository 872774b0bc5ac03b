package doctor

import (
	"fmt"
	"slices"
	"strings"

	"shisa/hwcompat/host"
)

func hostName(j *judge) []hit {
	n := j.Facts.Network
	return when(n.HostName != "" && !n.HostKnown,
		n.HostName+" is in no line of /etc/hosts and nss-myhostname is not used: what asks for it waits for a name server",
		"echo '127.0.1.1 "+n.HostName+"' >> /etc/hosts")
}

func noNetwork(j *judge) []hit {
	return when(len(j.Facts.Network.Interfaces) == 0, "no interface but lo is up", "ip link")
}

func portTaken(j *judge) []hit {
	var hits []hit
	for _, p := range j.Needs.Ports {
		for _, l := range j.Facts.Network.Listeners {
			if l.Proto != p.Proto || l.Port != p.Number || strings.HasPrefix(l.Owner.Comm, "shisa") {
				continue
			}
			who := "an unknown program"
			if l.Owner.PID != 0 {
				who = fmt.Sprintf("%s (pid %d)", l.Owner.Comm, l.Owner.PID)
			}
			hits = append(hits, hit{
				reason: fmt.Sprintf("%s listens on %d/%s, which we need for %s", who, p.Number, p.Proto, p.Purpose),
				mend:   "stop it, or give us another port in /etc/shisa/shisa.toml",
			})
		}
	}
	return hits
}

// portRange: a port in the range from which the kernel takes the near end of
// outgoing connections may be gone when we want to listen. Reserving it is
// gentler than to move the range, as the original advised.
func portRange(j *judge) []hit {
	n := j.Facts.Network
	var in []string
	for _, p := range j.Needs.Ports {
		reserved := slices.ContainsFunc(n.Reserved, func(s host.PortSpan) bool { return s.Low <= p.Number && p.Number <= s.High })
		port := fmt.Sprint(p.Number)
		if n.RangeLow <= p.Number && p.Number <= n.RangeHigh && !reserved && !slices.Contains(in, port) {
			in = append(in, port)
		}
	}
	if len(in) == 0 {
		return nil
	}
	var all []string
	for _, s := range n.Reserved {
		all = append(all, span(s))
	}
	all = append(all, in...)
	return when(true,
		fmt.Sprintf("%s lie in net.ipv4.ip_local_port_range (%d to %d)", strings.Join(in, ", "), n.RangeLow, n.RangeHigh),
		"echo net.ipv4.ip_local_reserved_ports="+strings.Join(all, ",")+" > /etc/sysctl.d/60-shisa-ports.conf && sysctl --system")
}

func span(s host.PortSpan) string {
	if s.Low == s.High {
		return fmt.Sprint(s.Low)
	}
	return fmt.Sprintf("%d-%d", s.Low, s.High)
}

func firewallClosed(j *judge) []hit {
	f := j.Facts.Firewall
	var hits []hit
	for _, p := range j.Needs.Ports {
		if !p.Outside || f.Lets(p.Proto, p.Number) {
			continue
		}
		mend := fmt.Sprintf("ufw allow %d/%s", p.Number, p.Proto)
		if f.Name == "firewalld" {
			mend = fmt.Sprintf("firewall-cmd --permanent --zone=%s --add-port=%d/%s && firewall-cmd --reload", f.Zone, p.Number, p.Proto)
		}
		hits = append(hits, hit{reason: fmt.Sprintf("%s does not let in %d/%s (%s)", f.Name, p.Number, p.Proto, p.Purpose), mend: mend})
	}
	return hits
}

// snmpdConf is where the three rules on SNMP send the reader.
const snmpdConf = "/etc/snmp/snmpd.conf"

func snmpAgentX(j *judge) []hit {
	return when(j.Needs.SNMPAgent && !j.Facts.SNMP.AgentX,
		"snmpd.conf has no line \"master agentx\": queries are not passed on to us; traps go out all the same",
		"echo 'master agentx' >> "+snmpdConf+" && systemctl restart snmpd")
}

// snmpView: a view that has any line shows only what its lines include.
func snmpView(j *judge) []hit {
	oid := j.Matrix.SNMP.Linkage.OID
	if !j.Needs.SNMPAgent || len(j.Facts.SNMP.Views) == 0 {
		return nil
	}
	shown := slices.ContainsFunc(j.Facts.SNMP.Views, func(v host.View) bool {
		return v.Included && (v.OID == "1" || oid == v.OID || strings.HasPrefix(oid, v.OID+"."))
	})
	return when(!shown, "no view in snmpd.conf includes "+oid,
		fmt.Sprintf("echo 'view %s included .%s' >> %s && systemctl restart snmpd", j.Facts.SNMP.Views[0].Name, oid, snmpdConf))
}

func snmpDlmodLeft(j *judge) []hit {
	var hits []hit
	for _, d := range j.Facts.SNMP.Dlmods {
		if !d.Exists {
			hits = append(hits, hit{
				reason: fmt.Sprintf("snmpd.conf loads %s from %s, which is gone", d.Name, d.Path),
				mend:   fmt.Sprintf("sed -i '/^dlmod %s /d' %s && systemctl restart snmpd", d.Name, snmpdConf),
			})
		}
	}
	return hits
}
