package host

import (
	"encoding/xml"
	"path"
	"strings"
)

// firewall reads the permanent configuration of firewalld or ufw. Rules made
// in another way are not judged.
func (v *view) firewall(all []Process) Firewall {
	switch {
	case running(all, "firewalld") != "":
		return v.firewalld()
	case v.ufwEnabled():
		return v.ufw()
	}
	return Firewall{}
}

// A fwFile is the part of a zone or service of firewalld that opens ports.
type fwFile struct {
	Target string `xml:"target,attr"`
	Ports  []struct {
		Protocol string `xml:"protocol,attr"`
		Port     string `xml:"port,attr"`
	} `xml:"port"`
	Services []struct {
		Name string `xml:"name,attr"`
	} `xml:"service"`
}

func (v *view) firewalld() Firewall {
	f := Firewall{Name: "firewalld", Zone: "public"}
	for _, line := range v.lines("etc/firewalld/firewalld.conf") {
		if z, ok := strings.CutPrefix(line, "DefaultZone="); ok {
			f.Zone = strings.TrimSpace(z)
		}
	}
	zone, ok := v.fwFile("zones", f.Zone)
	if !ok {
		return Firewall{Name: f.Name, Zone: f.Zone}
	}
	f.open(zone)
	for _, s := range zone.Services {
		if service, ok := v.fwFile("services", s.Name); ok {
			f.open(service)
		}
	}
	return f
}

func (v *view) fwFile(kind, name string) (fwFile, bool) {
	var x fwFile
	name = path.Base(name) + ".xml"
	file := v.first(path.Join("etc/firewalld", kind, name), path.Join("usr/lib/firewalld", kind, name))
	if file == "" {
		return x, false
	}
	if err := xml.Unmarshal(v.read(file), &x); err != nil {
		v.unread[file] = err.Error()
		return x, false
	}
	return x, true
}

func (f *Firewall) open(x fwFile) {
	if x.Target == "ACCEPT" {
		f.All = true
	}
	for _, p := range x.Ports {
		f.openSpan(p.Port, p.Protocol, "-")
	}
}

func (f *Firewall) openSpan(ports, proto, dash string) {
	for _, s := range portSpans(strings.ReplaceAll(ports, dash, "-")) {
		f.Spans = append(f.Spans, OpenSpan{PortSpan: s, Proto: proto})
	}
}

func (v *view) ufwEnabled() bool {
	for _, line := range v.lines("etc/ufw/ufw.conf") {
		if e, ok := strings.CutPrefix(line, "ENABLED="); ok {
			return strings.EqualFold(unquote(e), "yes")
		}
	}
	return false
}

// ufw reads the tuples that ufw keeps as comments in its rules:
// "### tuple ### allow tcp 29003 0.0.0.0/0 any 0.0.0.0/0 in".
func (v *view) ufw() Firewall {
	f := Firewall{Name: "ufw"}
	for line := range strings.Lines(string(v.read("etc/ufw/user.rules"))) {
		t, ok := strings.CutPrefix(line, "### tuple ### ")
		w := strings.Fields(t)
		if ok && len(w) >= 3 && (w[0] == "allow" || w[0] == "limit") {
			f.openSpan(w[2], w[1], ":")
		}
	}
	return f
}
