package clpconf

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/param"
)

// A timing is what the original takes when a monitor does not say; seconds.
type timing struct {
	interval, timeout, retry, first int
	when                            string
}

// timings are the original's defaults by type.
var timings = map[string]timing{
	"pidw": {5, 60, 3, 3, "active"}, "psw": {5, 60, 3, 0, "always"}, "genw": {60, 120, 0, 0, "always"}, "mrw": {10, 30, 0, 0, "always"},
	"mtw": {30, 30, 0, 0, "always"}, "diskw": {60, 120, 0, 0, "always"}, "ipw": {30, 30, 1, 0, "always"}, "miiw": {10, 60, 3, 0, "always"},
	"ddnsw": {60, 100, 1, 0, "active"}, "vmw": {10, 30, 0, 0, "active"}, "httpw": {10, 30, 3, 0, "active"}, "smtpw": {30, 60, 3, 0, "active"},
	"pop3w": {30, 60, 3, 0, "active"}, "imap4w": {30, 60, 3, 0, "active"}, "ftpw": {30, 60, 3, 0, "active"}, "sambaw": {30, 60, 2, 0, "active"},
	"nfsw": {30, 60, 2, 0, "active"}, "otxw": {60, 120, 1, 0, "active"}, "sraw": {30, 60, 0, 0, "always"}, "psrw": {30, 60, 0, 0, "always"},
	"jraw": {60, 120, 0, 0, "always"}, "bmcw": {10, 10, 0, 0, "always"}, "volmgrw": {60, 120, 1, 0, "always"},
	"db2w": {60, 120, 2, 0, "active"}, "oraclew": {60, 120, 2, 0, "active"}, "psqlw": {60, 120, 2, 0, "active"}, "mysqlw": {60, 120, 2, 0, "active"},
	"sybasew": {60, 120, 2, 0, "active"}, "odbcw": {60, 120, 2, 0, "active"}, "sqlserverw": {60, 120, 2, 0, "active"},
	"tuxw": {60, 120, 2, 0, "active"}, "oracleasw": {60, 120, 2, 0, "active"}, "wlsw": {60, 120, 2, 0, "active"}, "wasw": {60, 120, 2, 0, "active"},
}

// ports are the types for which looking whether somebody listens is the nearest
// that shisa has, with their default ports.
var ports = map[string]int{"mysqlw": 3306, "psqlw": 5432, "smtpw": 25, "pop3w": 110, "imap4w": 143, "ftpw": 21, "sambaw": 139, "nfsw": 2049, "wlsw": 7002, "otxw": 6212}

func (i *importer) monitors() {
	var tables []*table
	for _, n := range unlisted(i.root.child(monitorKind)) {
		if why, ok := elsewhere[n.Name]; ok {
			i.refuse(n, NotApplicable, why)
			continue
		}
		if _, ok := i.monitorName(n.Name); !ok {
			i.refuse(n, Unsupported, "shisa has no monitors of type "+clip(n.Name))
			i.note(Attention, n, "", "shisa has no monitors of type %s: nothing watches what it watched", clip(n.Name))
			continue
		}
		tables = append(tables, i.begin(monitorKind, n), i.doc.add(&table{name: "monitor.recovery", source: n}))
	}
	for at := 0; at < len(tables); at += 2 {
		t, rec := tables[at], tables[at+1]
		rec.within, rec.label = t, t.label+".recovery"
		i.monitor(t, rec, t.source)
	}
}

// monitorName returns our name of a type of the original.
func (i *importer) monitorName(kind string) (string, bool) {
	for name, t := range i.Types.Monitors {
		if t.Alias == kind || prefix+name == kind {
			return name, true
		}
	}
	if _, ok := ports[kind]; ok && i.Types.Monitors["tcp"].Name != "" {
		return "tcp", true
	}
	return "", false
}

func (i *importer) monitor(t, rec *table, n *Node) {
	name, _ := i.monitorName(n.Name)
	typ := i.Types.Monitors[name]
	own := typ.Params().Specs()
	t.set("type", param.Literal(name), n)
	i.comment(t, n)
	i.target(t, n)
	dir := i.folder(monitorKind, n, "monitor.s", "monitor.s")
	i.done(i.find(n, "parameters/default"), Mapped, t.label+".script", ownOrTheirs)
	switch {
	case n.Name == stallAlias:
	case name == "http":
		i.page(t, n)
	case name == "multi":
		i.members(t, n)
	case name == "tcp" && typ.Alias != n.Name && !strings.HasPrefix(n.Name, prefix):
		i.listener(t, n)
	}
	i.scripts(t, n, dir, own)
	i.rotation(t, n, own)
	if n.Name != stallAlias {
		i.plain(t, n, config.Declared(monitorKind))
		i.plain(t, n, own)
		i.times(t, n)
	}
	i.recovery(rec, n, dir)
	i.extensions(n, func(sub string) *table {
		if sub == "recovery" {
			return rec
		}
		return t
	})
	if w := t.get("when"); w != nil && w.literal == `"active"` && t.get("target") == nil && !typ.NeedsTarget {
		i.note(Attention, n, t.label+".when", "%s: it watches always now", cmp.Or(i.unwatched(n), "it watched while a resource was active, and named none"))
		t.set("when", `"always"`, w.source)
	}
}

// unwatched says that the resource is not imported while which a monitor watched;
// empty: it named none.
func (i *importer) unwatched(n *Node) string {
	leaf := n.child("target")
	if leaf == nil || leaf.Text == "" {
		return ""
	}
	return "it watched while resource " + clip(leaf.Text) + " was active, which is not imported"
}

// target takes over the resource that is watched over.
func (i *importer) target(t *table, n *Node) {
	leaf := n.child("target")
	if leaf == nil {
		return
	}
	name, ok := i.lookup(resourceKind, leaf.Text)
	switch {
	case leaf.Text == "":
		i.done(leaf, Mapped, t.label+".target", "none")
	case !ok:
		i.done(leaf, NotApplicable, t.label+".target", "resource %s is not imported", clip(leaf.Text))
	default:
		i.take(t, "target", param.Literal(name), leaf)
	}
}

// times writes out the original's defaults, which are other than ours.
func (i *importer) times(t *table, n *Node) {
	d, ok := timings[n.Name]
	if !ok {
		return
	}
	seconds := func(s int) string { return param.Literal(param.FormatDuration(time.Duration(s) * time.Second)) }
	i.imply(t, "when", param.Literal(d.when))
	i.imply(t, "interval", seconds(d.interval))
	i.imply(t, "timeout", seconds(d.timeout))
	i.imply(t, "retry", strconv.Itoa(d.retry))
	i.imply(t, "first_wait", seconds(d.first))
}

// page makes a URL of what the original says in parts.
func (i *importer) page(t *table, n *Node) {
	get := func(name, other string) (*Node, string) {
		leaf := i.find(n, "parameters/"+name)
		if leaf == nil {
			return nil, other
		}
		return leaf, cmp.Or(leaf.Text, other)
	}
	hostLeaf, host := get("servername", "localhost")
	portLeaf, port := get("port", "")
	uriLeaf, uri := get("requesturi", "/")
	tlsLeaf, tls := get("https", "0")
	u := url.URL{Scheme: "http", Host: host}
	if tls == "1" {
		u.Scheme = "https"
	}
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		u.Host = "[" + host + "]"
	}
	if port != "" && port != map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		u.Host += ":" + port
	}
	text := u.String() + "/" + strings.TrimPrefix(uri, "/")
	t.set("url", param.Literal(text), cmp.Or(uriLeaf, hostLeaf, portLeaf, tlsLeaf))
	for _, leaf := range []*Node{hostLeaf, portLeaf, uriLeaf, tlsLeaf} {
		i.done(leaf, Mapped, t.label+".url", "%s", text)
	}
}

// members finds the monitors that a monitor of monitors counts: whatever below
// its parameters names one.
func (i *importer) members(t *table, n *Node) {
	p := n.child("parameters")
	if p == nil {
		return
	}
	var list []any
	p.leaves(func(leaf *Node) {
		called := leaf.Text
		if len(leaf.Children) == 0 {
			called = cmp.Or(called, leaf.Key)
		}
		name, ok := i.lookup(monitorKind, called)
		o, text := Mapped, name
		switch {
		case ok && !slices.Contains(list, any(name)):
			list = append(list, name)
			t.set("monitors", param.Literal(list), leaf)
		case !ok && leaf.Name == "name":
			o, text = Attention, "monitor "+clip(called)+" is not imported, and does not count"
		default:
			return
		}
		for _, said := range []*Node{leaf, leaf.parent} {
			if said == leaf || said.Attr != "" {
				i.done(said, o, t.label+".monitors", "%s", text)
			}
		}
	})
}

// listener makes a look at a port of a monitor that also logs in.
func (i *importer) listener(t *table, n *Node) {
	i.note(Attention, n, t.label, "shisa only looks whether somebody listens, where %s logs in as well", clip(n.Name))
	if leaf := i.find(n, "parameters/ipaddress"); leaf != nil && leaf.Text != "" {
		i.take(t, "host", param.Literal(leaf.Text), leaf)
	}
	t.set("port", strconv.Itoa(ports[n.Name]), nil)
	if leaf := i.find(n, "parameters/port"); leaf != nil {
		if port, err := whole(leaf.Text); err == nil {
			i.take(t, "port", strconv.FormatInt(port, 10), leaf)
		} else {
			i.done(leaf, Invalid, t.label+".port", "%v", err)
		}
	}
	if p := n.child("parameters"); p != nil {
		p.leaves(func(leaf *Node) {
			if _, looked := i.fates[leaf]; !looked {
				i.done(leaf, Unsupported, "", "needed to log in, which shisa does not do here")
			}
		})
	}
}

// recovery takes over what follows a failure.
func (i *importer) recovery(t *table, n *Node, dir folder) {
	i.relation(t, n)
	i.preaction(t, n, dir)
	i.plain(t, n, config.Declared("monitor.recovery"), "target", "script", "before_restart", "before_final")
}

// relation takes over what is recovered.
func (i *importer) relation(t *table, n *Node) {
	kind, name := i.find(n, "relation/type"), i.find(n, "relation/name")
	if kind == nil || name == nil {
		return
	}
	ref := ""
	switch kind.Text {
	case "rsc", "grp":
		what := map[string]string{"rsc": resourceKind, "grp": groupKind}[kind.Text]
		ours, ok := i.lookup(what, name.Text)
		if !ok {
			i.done(kind, NotApplicable, t.label+".target", "%s %s is not imported", what, clip(name.Text))
			i.done(name, NotApplicable, t.label+".target", "%s %s is not imported", what, clip(name.Text))
			i.note(Attention, n, t.label+".target", "it recovered %s %s, which is not imported", what, clip(name.Text))
			return
		}
		ref = what + "/" + ours
	case "cls":
		if ref = "server"; name.Text != "LocalServer" {
			ref = "groups"
		}
	default:
		i.done(kind, Invalid, t.label+".target", "%q is neither rsc, grp nor cls", clip(kind.Text))
		return
	}
	if n.Name == stallAlias && ref == "server" {
		i.done(kind, Mapped, "stall.enabled", "the countdown resets the server")
		i.done(name, Mapped, "stall.enabled", "the countdown resets the server")
		return
	}
	i.done(kind, Mapped, t.label+".target", "%s", ref)
	i.take(t, "target", param.Literal(ref), name)
}

// ownOrTheirs is said of the switch between the two kinds of scripts.
const ownOrTheirs = "an absolute path is the operator's own program, any other a script beside the configuration"

// preaction takes over the one script that the original runs before each step
// that says so.
func (i *importer) preaction(t *table, n *Node, dir folder) {
	at := func(name string) *Node { return i.find(n, "emergency/preaction/"+name) }
	leaf, runs := at("path"), false
	for _, step := range [][2]string{{"before_restart", "userestart"}, {"before_final", "use"}} {
		name, flag := step[0], at(step[1])
		switch {
		case flag == nil:
		case flag.Text == "1" && leaf != nil:
			runs = true
			i.script(t, name, leaf, dir)
			i.done(flag, Mapped, t.label+"."+name, "%s", clip(leaf.Text))
		default:
			i.done(flag, Mapped, t.label+"."+name, "none")
		}
	}
	if count := i.find(n, "emergency/threshold/script"); leaf != nil && number(count) > 0 {
		runs = true
		i.script(t, "script", leaf, dir)
	}
	if leaf != nil && !runs {
		i.done(leaf, NotApplicable, t.label+".script", "it is named, but no step runs it")
	}
	i.done(at("default"), Mapped, t.label+".script", ownOrTheirs)
}
