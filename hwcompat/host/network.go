package host

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

func (v *view) network(all []Process) Network {
	n := Network{
		HostName:  v.text("proc/sys/kernel/hostname"),
		Reserved:  portSpans(v.text("proc/sys/net/ipv4/ip_local_reserved_ports")),
		Listeners: v.listeners(all),
	}
	n.HostKnown = v.hostKnown(n.HostName)
	if r := strings.Fields(v.text("proc/sys/net/ipv4/ip_local_port_range")); len(r) == 2 {
		n.RangeLow, _ = strconv.Atoi(r[0])
		n.RangeHigh, _ = strconv.Atoi(r[1])
	}
	for _, dev := range v.list("sys/class/net") {
		// operstate is "unknown" for drivers that do not report it; tunnels and
		// virtual devices do so while they work.
		state := v.text(path.Join("sys/class/net", dev, "operstate"))
		if dev != "lo" && (state == "up" || state == "unknown") {
			n.Interfaces = append(n.Interfaces, dev)
		}
	}
	return n
}

// hostKnown reports whether the own name resolves when no name server answers:
// by /etc/hosts, or by nss-myhostname.
func (v *view) hostKnown(name string) bool {
	for _, line := range v.lines("etc/hosts") {
		line, _, _ = strings.Cut(line, "#")
		if w := strings.Fields(line); len(w) > 1 && slices.Contains(w[1:], name) {
			return true
		}
	}
	for _, line := range v.lines("etc/nsswitch.conf") {
		if hosts, ok := strings.CutPrefix(line, "hosts:"); ok {
			w := strings.Fields(hosts)
			return slices.Contains(w, "myhostname") || slices.Contains(w, "resolve")
		}
	}
	return false
}

// portSpans parses "8080,9000-9100".
func portSpans(s string) []PortSpan {
	var spans []PortSpan
	for part := range strings.SplitSeq(s, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			high = low
		}
		l, errLow := strconv.Atoi(low)
		h, errHigh := strconv.Atoi(high)
		if errLow == nil && errHigh == nil {
			spans = append(spans, PortSpan{l, h})
		}
	}
	return spans
}

// tcpListen is the state LISTEN in /proc/net/tcp (include/net/tcp_states.h).
const tcpListen = "0A"

func (v *view) listeners(all []Process) []Listener {
	owners := map[string]Process{}
	for _, p := range all {
		for _, f := range p.files {
			if inode, ok := strings.CutPrefix(f, "socket:["); ok {
				owners[strings.TrimSuffix(inode, "]")] = p
			}
		}
	}
	var found []Listener
	for _, proto := range []string{"tcp", "tcp6", "udp", "udp6"} {
		lines := v.lines("proc/net/" + proto)
		for _, line := range lines[min(1, len(lines)):] {
			l, inode, ok := parseSocket(line, proto)
			if !ok {
				continue
			}
			l.Owner = owners[inode]
			same := func(o Listener) bool { return o.Proto == l.Proto && o.Port == l.Port && o.Owner.PID == l.Owner.PID }
			if !slices.ContainsFunc(found, same) {
				found = append(found, l)
			}
		}
	}
	return found
}

// parseSocket reads a line of /proc/net/{tcp,udp}{,6}: number, local address,
// remote address, state … and in the tenth place the inode.
func parseSocket(line, proto string) (l Listener, inode string, ok bool) {
	w := strings.Fields(line)
	if len(w) < 10 {
		return l, "", false
	}
	l.Proto = strings.TrimSuffix(proto, "6")
	if l.Proto == "tcp" && w[3] != tcpListen {
		return l, "", false
	}
	_, hex, _ := strings.Cut(w[1], ":")
	port, err := strconv.ParseUint(hex, 16, 16)
	l.Port = int(port)
	return l, w[9], err == nil
}
