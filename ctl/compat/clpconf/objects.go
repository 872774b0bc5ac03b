package clpconf

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"shisa/ctl/config"
	"shisa/ctl/param"
)

// names of tables and kinds of things that others refer to.
const (
	groupKind    = "group"
	resourceKind = "resource"
	monitorKind  = "monitor"
)

// A register gives the things of one kind names of ours.
type register struct {
	byNode map[*Node]string
	byKey  map[string]string // by the original's names; the first of equal ones counts
	taken  map[string]int    // how often a name was wanted
}

// name returns a name for n that is valid and taken only once.
func (r *register) name(n *Node) string {
	base := validName(n.Key)
	name := base
	for r.taken[name] > 0 {
		r.taken[base]++
		name = fmt.Sprintf("%s-%d", clipName(base, 8), r.taken[base])
	}
	r.taken[name]++
	r.byNode[n] = name
	if _, has := r.byKey[n.Key]; !has {
		r.byKey[n.Key] = name
	}
	return name
}

// kind returns the register of a kind.
func (i *importer) kind(kind string) *register {
	if i.names[kind] == nil {
		i.names[kind] = &register{map[*Node]string{}, map[string]string{}, map[string]int{}}
	}
	return i.names[kind]
}

// begin adds the table of an object.
func (i *importer) begin(kind string, n *Node) *table {
	name := i.kind(kind).name(n)
	t := i.doc.add(&table{name: kind, label: kind + "." + name, source: n})
	t.set("name", param.Literal(name), n)
	if name == n.Key {
		i.done(n, Mapped, t.label, "")
	} else {
		i.done(n, Mapped, t.label, "the name has letters that ours have not, or is taken: it is now %s", name)
	}
	return t
}

// lookup returns our name of the thing that the original called key.
func (i *importer) lookup(kind, key string) (string, bool) {
	name, ok := i.kind(kind).byKey[key]
	return name, ok
}

// validName makes a name of ours from any text.
func validName(text string) string {
	name := strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
			return r
		}
		return '-'
	}, text)
	return clipName(cmp.Or(strings.TrimLeft(name, "-_."), "unnamed"), 0)
}

// clipName leaves room for a few bytes more.
func clipName(name string, room int) string { return name[:min(len(name), config.NameLimit-room)] }

// comment takes over the comment of an object.
func (i *importer) comment(t *table, n *Node) {
	switch c := n.child("comment"); {
	case c == nil:
	case c.Text == "":
		i.done(c, Mapped, t.label+".comment", "empty")
	default:
		i.take(t, "comment", param.Literal(c.Text), c)
	}
}

func (i *importer) groups() {
	var tables []*table
	for _, n := range byNumber(i.root.all(groupKind), "gid") {
		t := i.begin(groupKind, n)
		i.comment(t, n)
		tables = append(tables, t)
	}
	for _, t := range tables {
		n := t.source
		i.plain(t, n, config.Declared(groupKind), "start_after", "stop_after", "stop_after_when")
		i.references(t, "start_after", groupKind, n.at("depend/act"))
		i.references(t, "stop_after", groupKind, n.at("depend/deact"))
		i.stopCauses(t, n.at("depend/deact"))
		i.extensions(n, func(string) *table { return t })
	}
}

// references takes over the children <depend name=…> of a node as a list of
// names.
func (i *importer) references(t *table, name, kind string, parent *Node) {
	var list []any
	all := parent.all("depend")
	for _, d := range all {
		ours, ok := i.lookup(kind, d.Key)
		switch {
		case d.Key == "":
			i.done(d, Mapped, t.label+"."+name, "explicitly none")
		case !ok:
			i.done(d, NotApplicable, t.label+"."+name, "%s %s is not imported", kind, clip(d.Key))
		default:
			list = append(list, ours)
			i.done(d, Mapped, t.label+"."+name, "%s", ours)
		}
	}
	if len(list) > 0 || len(all) > 0 && name == "depends_on" {
		t.set(name, param.Literal(list), all[0])
	}
}

// stopCauses takes over which stops wait for other groups. The stop of the
// cluster is that of the service, alone or before the machine goes down.
func (i *importer) stopCauses(t *table, parent *Node) {
	on := map[string]bool{"cluster": true}
	var from *Node
	for _, name := range []string{"cluster", "server", "other"} {
		if n := parent.at(name + "/use"); n != nil {
			on[name], from = n.Text == "1", n
			i.done(n, Mapped, t.label+".stop_after_when", "")
		}
	}
	if from == nil {
		return
	}
	var when []any
	if on["cluster"] {
		when = append(when, "service")
	}
	if on["cluster"] || on["server"] {
		when = append(when, "shutdown")
	}
	if on["other"] {
		when = append(when, "group")
	}
	t.set("stop_after_when", param.Literal(when), from)
}

// elsewhere are types of resources and monitors that belong to clusters of
// several servers.
var elsewhere = map[string]string{
	"md": "a mirrored disk needs a second server", "hd": "a mirrored disk needs a second server", "disk": "a shared disk is switched between servers",
	"raw": "a shared disk is switched between servers", "fip": "an address that moves needs a second server", "vip": "an address that moves needs a second server",
	"volmgr": "volumes are switched between servers", "nas": "a share is switched between servers", "ddns": "the name follows a group from server to server",
	"mdw": "a mirrored disk needs a second server", "mdnw": "a mirrored disk needs a second server", "hdw": "a mirrored disk needs a second server",
	"hdnw": "a mirrored disk needs a second server", "fipw": "an address that moves needs a second server", "vipw": "an address that moves needs a second server",
	"lankhbw": "no other server has to be heard", "arpw": "an address that moves needs a second server",
}

// refuse notes that nothing of an object is imported.
func (i *importer) refuse(n *Node, o Outcome, why string) {
	n.leaves(func(leaf *Node) {
		if _, looked := i.fates[leaf]; !looked {
			i.done(leaf, o, "", "%s", why)
		}
	})
}

// A member is a resource in its group.
type member struct {
	t     *table
	group string
	ref   *Node  // that makes it a member
	dir   folder // of its scripts
}

func (i *importer) resources() {
	top := i.root.child(resourceKind)
	var members []member
	for _, g := range byNumber(i.root.all(groupKind), "gid") {
		group := i.kind(groupKind).byNode[g]
		for _, ref := range g.all(resourceKind) {
			kind, name, _ := strings.Cut(ref.Key, "@")
			n := top.keyed(kind, name)
			if n == nil {
				i.done(ref, Attention, "", "there is no resource of this name in the file")
				continue
			}
			if !i.resourceType(n) {
				i.done(ref, NotApplicable, "", "the resource is not imported")
				continue
			}
			if ours := i.kind(resourceKind).byNode[n]; ours != "" {
				i.done(ref, Invalid, "resource."+ours+".group", "it is in a group already, and can be in one")
				continue
			}
			members = append(members, member{i.begin(resourceKind, n), group, ref, i.folder(resourceKind, n, g.Key, group)})
			i.done(ref, Mapped, "resource."+i.kind(resourceKind).byNode[n]+".group", "%s", group)
		}
	}
	for _, m := range members {
		i.resource(m)
	}
	for _, n := range unlisted(top) {
		if i.kind(resourceKind).byNode[n] == "" {
			i.refuse(n, Unsupported, "it belongs to no group")
		}
	}
}

// unlisted are the objects below a node.
func unlisted(top *Node) []*Node {
	var all []*Node
	if top != nil {
		for _, n := range top.Children {
			if n.Name != "types" && n.Attr != "" {
				all = append(all, n)
			}
		}
	}
	return all
}

// resourceType reports whether shisa has the type of a resource, and notes it
// if not.
func (i *importer) resourceType(n *Node) bool {
	if _, ok := i.resourceName(n.Name); ok {
		return true
	}
	if why, ok := elsewhere[n.Name]; ok {
		i.refuse(n, NotApplicable, why)
	} else {
		i.refuse(n, Unsupported, "shisa has no resources of type "+clip(n.Name))
		i.note(Attention, n, "", "shisa has no resources of type %s", clip(n.Name))
	}
	return false
}

func (i *importer) resourceName(kind string) (string, bool) {
	for name, t := range i.Types.Resources {
		if t.Alias == kind || prefix+name == kind {
			return name, true
		}
	}
	return "", false
}

// prefix makes a name in a clp.conf for a type that the original does not have.
const prefix = "shisa-"

func (i *importer) resource(m member) {
	t, n := m.t, m.t.source
	name, _ := i.resourceName(n.Name)
	t.set("type", param.Literal(name), n)
	t.set("group", param.Literal(m.group), m.ref)
	i.comment(t, n)
	own := i.Types.Resources[name].Params().Specs()
	if name == "vm" {
		i.machine(t, n)
	}
	i.beforeFinal(t, n, m.dir)
	i.scripts(t, n, m.dir, own)
	if name == "exec" {
		i.rotation(t, n, own)
		i.execTimes(t, n)
	}
	i.goOn(t, n)
	i.references(t, "depends_on", resourceKind, n)
	i.plain(t, n, config.Declared(resourceKind), "depends_on")
	i.plain(t, n, own)
	i.extensions(n, func(string) *table { return t })
	// The original's own order is by type, and these types do not wait for each
	// other; its final action when a stop fails is to take the machine down.
	i.imply(t, "depends_on", "[]")
	i.imply(t, "on_stop_failure", `"shutdown"`)
}

// execTimes takes over how long scripts may take. The original has a limit on
// the script and a longer one on the whole.
func (i *importer) execTimes(t *table, n *Node) {
	for _, c := range []struct{ key, script, whole string }{{"start_timeout", "parameters/timeout/start", "act/timeout"}, {"stop_timeout", "parameters/timeout/stop", "deact/timeout"}} {
		if leaf := i.find(n, c.script); leaf != nil {
			spec := &param.Spec{Name: c.key, Kind: param.Duration}
			i.convert(t, spec, leaf)
			if whole := i.find(n, c.whole); whole != nil && t.get(c.key) != nil {
				i.done(whole, NotApplicable, t.label+"."+c.key, "the limit on the script bounds the whole")
			}
			continue
		}
		if i.find(n, c.whole) == nil {
			i.imply(t, c.key, `"30m"`)
		}
	}
}

// goOn takes over action 0: the next resource is started all the same.
func (i *importer) goOn(t *table, n *Node) {
	if a := i.find(n, "act/action"); a != nil && a.Text == "0" {
		i.take(t, "start_anyway", "true", a)
	}
	if a := i.find(n, "deact/action"); a != nil && a.Text == "0" {
		i.take(t, "on_stop_failure", `"none"`, a)
	}
}

// rotation takes over a rotated log, of which the original has a switch and a
// size.
func (i *importer) rotation(t *table, n *Node, own []*param.Spec) {
	use, size := i.find(n, "parameters/logrotate/use"), i.find(n, "parameters/logrotate/size")
	if !slices.ContainsFunc(own, func(s *param.Spec) bool { return s.Name == "log_rotate" }) {
		return
	}
	switch {
	case use == nil || use.Text != "1":
		i.done(use, Mapped, t.label+".log_rotate", "never")
		i.done(size, Mapped, t.label+".log_rotate", "never, so that the size does not count")
	case size != nil:
		i.done(use, Mapped, t.label+".log_rotate", "")
		i.convert(t, &param.Spec{Name: "log_rotate", Kind: param.Size}, size)
	default:
		i.take(t, "log_rotate", `"1000000B"`, use)
	}
}

// machine takes over where a virtual machine runs. The original has the same
// elements for all hypervisors, and some of them mean nothing to some of them.
func (i *importer) machine(t *table, n *Node) {
	at := func(name string) *Node { return i.find(n, "parameters/"+name) }
	kind, host, file := at("vmtype"), at("guestos/esxserverip"), at("vmconfigpath")
	hypervisor := ""
	if kind != nil {
		hypervisor = words["parameters/vmtype"][kind.Text]
	} else if host != nil && host.Text != "" {
		hypervisor = "vsphere"
		i.imply(t, "hypervisor", param.Literal(hypervisor))
		i.note(Attention, n, t.label+".hypervisor", "it does not say what the machine runs on; since it names a host, vSphere is taken")
	}
	switch hypervisor {
	case "vsphere", "xenserver":
		i.done(file, NotApplicable, "", "the host knows the machine by its name")
		i.note(Attention, n, t.label+".ca_file", "the certificate of the host is checked: name the authority's or the host's own with ca_file")
		if hypervisor == "xenserver" && (host == nil || host.Text == "") {
			i.imply(t, "address", `"localhost"`)
		}
	default:
		i.done(host, NotApplicable, "", "the libvirt of this server is asked")
	}
}
