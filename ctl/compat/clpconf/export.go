package clpconf

import (
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"shisa/ctl/config"
	"shisa/ctl/param"
)

// An exporter turns a model into a tree.
type exporter struct {
	types config.Registry
	m     *config.Model
	root  *Node
	files map[string]string // name in the result → name beside our configuration
	stall *Node             // the monitor of user space; nil: none
}

// Export writes a configuration as a clp.conf with its scripts, which are in
// from. server is the name for a server that the configuration does not name.
func Export(m *config.Model, types config.Registry, server string, from Folder) (*Source, error) {
	e := &exporter{types: types, m: m, root: &Node{Name: "root"}, files: map[string]string{}}
	e.skeleton(server)
	tables := m.Effective()
	for at, t := range tables {
		switch t.Name {
		case groupKind:
			e.group(t)
		case resourceKind:
			e.resource(t)
		case monitorKind:
			e.monitor(t, tables[at+1])
		}
	}
	for _, t := range tables {
		switch {
		case t.Name == "stall":
			e.userSpace(t)
		case t.Name == "keepalive":
			e.section(t)
		case !slices.Contains(repeated, t.Name) && !strings.Contains(t.Name, "."):
			e.section(t)
		}
	}
	// The number of objects that the original's editor keeps: four of its own,
	// and each object, with one heartbeat a server.
	e.root.set("webmgr/client/objectnumber", strconv.Itoa(4+1+len(m.Groups)+len(m.Resources)+len(e.root.child("monitor").objects())+1))
	s := &Source{Name: m.Source, Files: map[string][]byte{FileName: e.root.Bytes()}}
	if err := s.copyFiles(e.files, from); err != nil {
		return nil, err
	}
	return s, nil
}

// objects are the children that are no announcements of a type.
func (n *Node) objects() []*Node { return unlisted(n) }

// skeleton makes what a single server always has.
func (e *exporter) skeleton(server string) {
	r := e.root
	r.set("all/charset", "")
	r.set("all/serveros", "linux")
	r.set("all/encode", "")
	if e.m.Server.Name != "" {
		server = e.m.Server.Name
	}
	r.set("cluster/name", server)
	r.set("cluster/comment", "")
	s := r.add(&Node{Name: "server", Attr: "name", Key: server})
	s.set("priority", "0")
	d := s.add(&Node{Name: "device", Attr: "id", Key: "0"})
	d.set("type", "lan")
	d.set("info", "127.0.0.1")
	hb := r.add(&Node{Name: "heartbeat"}).object("lanhb", "lanhb1")
	hb.set("priority", "0")
	hb.set("device", "0")
}

// spec finds a declaration by its key.
func spec(list []*param.Spec, key string) *param.Spec {
	i := slices.IndexFunc(list, func(s *param.Spec) bool { return s.Name == key })
	if i < 0 {
		return &param.Spec{Name: key}
	}
	return list[i]
}

// put writes one key: at its path, or in our own words below n.
func (e *exporter) put(n *Node, sub string, s *param.Spec, text string) {
	if file, kept := strings.CutPrefix(bare(text), "file:"); s.IsSecret && kept && e.m.Dir != "" {
		text = param.Literal("file:" + within(e.m.Dir, file)) // secrets stay where they are
	}
	if s.Alias != "" {
		if v, ok := original(s, text); ok && v != "" {
			n.set(s.Alias, v)
			return
		}
	}
	e.own(n, sub, s.Name, text)
}

// within returns the absolute name of a file that dir is the start of.
func within(dir, file string) string {
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	if abs, err := filepath.Abs(file); err == nil {
		return abs
	}
	return file
}

func (e *exporter) own(n *Node, sub, key, text string) {
	if text != "" {
		n.set(strings.TrimSuffix(path.Join(extension, sub), "/")+"/"+key, text)
	}
}

// section writes one of the tables that occur once.
func (e *exporter) section(t config.Table) {
	specs := config.Declared(t.Name)
	for _, k := range t.Entries {
		s := spec(specs, k.Key)
		switch {
		case t.Name == "server" && k.Key == "name":
			if k.Text == `""` {
				e.own(e.root, t.Name, k.Key, k.Text)
			}
		case t.Name == "" && k.Key == "mode":
			e.own(e.root, t.Name, k.Key, k.Text)
		case k.Text == s.Default:
		case s.IsFile:
			e.script(e.root, path.Join(scriptDir, extension, t.Name), t.Name, s, k.Text)
		case t.Name == "keepalive" && e.stall != nil && (k.Key == "method" || k.Key == "action"):
			if v, ok := original(ofUserSpace(s), k.Text); ok {
				e.stall.set("parameters/"+k.Key, v)
			} else {
				e.own(e.root, t.Name, k.Key, k.Text)
			}
		default:
			e.put(e.root, t.Name, s, k.Text)
		}
	}
}

// userSpace writes the watch over user space into its monitor.
func (e *exporter) userSpace(t config.Table) {
	specs := config.Declared(t.Name)
	n := e.stall
	if n != nil {
		n.set("parameters/usehb", "0")
	}
	for _, k := range t.Entries {
		s := spec(specs, k.Key)
		always := n != nil && (k.Key == "interval" || k.Key == "timeout")
		switch {
		case k.Key == "enabled" && (n != nil) == (k.Text == "true"): // as the presence of the monitor says
		case k.Key != "enabled" && k.Text == s.Default && !always:
		case n == nil || s.Alias == "":
			e.own(e.root, t.Name, k.Key, k.Text)
		default:
			if v, ok := original(s, k.Text); ok && v != "" {
				n.set(s.Alias, v)
			} else {
				e.own(e.root, t.Name, k.Key, k.Text)
			}
		}
	}
}

// list decodes a list of names.
func list(text string) []string {
	v, err := value(text)
	if err != nil {
		return nil
	}
	var names []string
	items, _ := v.([]any)
	for _, item := range items {
		name, _ := item.(string)
		names = append(names, name)
	}
	return names
}

// bare is a text value without its quotes.
func bare(text string) string {
	v, err := value(text)
	if err != nil {
		return ""
	}
	s, _ := v.(string)
	return s
}

// entry returns the value of a key of a table.
func entry(t config.Table, key string) string {
	for _, k := range t.Entries {
		if k.Key == key {
			return k.Text
		}
	}
	return ""
}

// comment writes a comment where the original has it.
func (e *exporter) comment(n *Node, text string) {
	if v, ok := originalText(&param.Spec{Kind: param.Text}, bare(text)); ok {
		n.set("comment", v)
		return
	}
	e.own(n, "", "comment", text)
}

func (e *exporter) group(t config.Table) {
	n := e.root.add(&Node{Name: "group", Attr: "name", Key: bare(entry(t, "name"))})
	n.set("gid", strconv.Itoa(len(e.root.all("group"))-1))
	specs := config.Declared(groupKind)
	for _, k := range t.Entries {
		s := spec(specs, k.Key)
		switch k.Key {
		case "name":
		case "comment":
			e.comment(n, k.Text)
		case "start_after", "stop_after":
			for _, name := range list(k.Text) {
				n.make(path.Dir(s.Alias)).add(&Node{Name: "depend", Attr: "name", Key: name})
			}
		case "stop_after_when":
			if k.Text != s.Default {
				e.own(n, "", k.Key, k.Text)
			}
		default:
			if k.Text != s.Default {
				e.put(n, "", s, k.Text)
			}
		}
	}
}

// kindOf is the original's name of a type, or one that it does not know.
func kindOf(alias, name string) string {
	if alias != "" {
		return alias
	}
	return prefix + name
}

// file writes the name of a script, and notes that it is to be copied into the
// folder of its object. It returns the name as it is then.
func (e *exporter) file(dir, text string) string {
	name := bare(text)
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	to := path.Clean(name)
	if !strings.HasPrefix(to, dir+"/") {
		to = path.Join(dir, path.Base(to))
	}
	for try := 2; e.files[to] != "" && e.files[to] != name; try++ {
		to = path.Join(dir, strconv.Itoa(try)+"-"+path.Base(name))
	}
	e.files[to] = name
	return to
}

// below is a script as an object of the original names it.
func below(dir, name string) string { return strings.TrimPrefix(name, dir+"/") }

func (e *exporter) resource(t config.Table) {
	name, kind, group := bare(entry(t, "name")), bare(entry(t, "type")), bare(entry(t, "group"))
	typ := e.types.Resources[kind]
	kind = kindOf(typ.Alias, kind)
	e.root.keyed("group", group).add(&Node{Name: "resource", Attr: "name", Key: kind + "@" + name})
	n := e.root.make("resource").object(kind, name)
	specs := slices.Concat(config.Declared(resourceKind), typ.Params().Specs())
	dir := path.Join(scriptDir, group, name)
	for _, k := range t.Entries {
		s := spec(specs, k.Key)
		switch {
		case k.Key == "name" || k.Key == "type" || k.Key == "group" || k.Text == "" && k.Key != "depends_on":
		case k.Key == "comment":
			e.comment(n, k.Text)
		case k.Key == "depends_on":
			e.needs(n, name)
		case kind == "exec" && (k.Key == "start_timeout" || k.Key == "stop_timeout"):
			e.execTime(n, s, k.Text)
		case k.Key == "start_anyway":
			if k.Text == "true" && entry(t, "on_start_failure") == `"none"` {
				n.set("act/action", "0")
			} else if k.Text == "true" {
				e.own(n, "", k.Key, k.Text)
			}
		case k.Key == "log_rotate" && k.Text != s.Default:
			e.rotation(n, s, k.Text)
		case s.IsFile:
			e.script(n, dir, "", s, k.Text)
		case k.Text != s.Default || k.Key == "on_stop_failure" || strings.HasSuffix(k.Key, "_timeout"):
			e.put(n, "", s, k.Text)
		}
	}
}

// needs writes what a resource depends on. With us no list means all that stand
// before it, with the original none.
func (e *exporter) needs(n *Node, name string) {
	names := e.m.Needs(slices.IndexFunc(e.m.Resources, func(r config.Resource) bool { return r.Name == name }))
	if len(names) == 0 {
		names = []string{""}
	}
	for _, other := range names {
		n.add(&Node{Name: "depend", Attr: "name", Key: other})
	}
}

// execTime writes the limit on a script, and that on the whole, which is three
// minutes longer.
func (e *exporter) execTime(n *Node, s *param.Spec, text string) {
	v, ok := original(s, text)
	if !ok {
		e.own(n, "", s.Name, text)
		return
	}
	seconds, err := whole(v)
	if err != nil {
		return
	}
	n.set("parameters/timeout/"+strings.TrimSuffix(s.Name, "_timeout"), v)
	n.set(s.Alias, strconv.FormatInt(seconds+180, 10))
}

func (e *exporter) rotation(n *Node, s *param.Spec, text string) {
	v, ok := original(&param.Spec{Kind: param.Size}, text)
	if !ok {
		e.own(n, "", s.Name, text)
		return
	}
	n.set("parameters/logrotate/use", "1")
	n.set("parameters/logrotate/size", v)
}

// script writes the name of one file.
func (e *exporter) script(n *Node, dir, sub string, s *param.Spec, text string) {
	name := e.file(dir, text)
	switch {
	case name == "":
	case s.Alias == "":
		e.own(n, sub, s.Name, param.Literal(name))
	default:
		n.set(s.Alias, below(dir, name))
	}
}
