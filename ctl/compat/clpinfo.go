package compat

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"shisa/ctl/api"
	"shisa/ctl/config"
	"shisa/ctl/monitor/types"
	restypes "shisa/ctl/resource/types"
)

// A property is one line of the properties of an object.
type property struct{ label, value string }

// An object is a cluster, server, heartbeat, group, resource or monitor with its
// properties as the configuration has them.
type object struct {
	kind  string // "cl", "sv", "hb", "grp", "rsc", "mon"
	name  string
	brief []property
	all   []property // with --detail
}

// properties shows the objects of the class that view names, or all of them.
// Those with --detail derive from the declarations of the types, so that none
// is left out (fix 82).
func (c *call) properties(p *page, s api.Status, view string) error {
	text, err := c.client.Config(c.ctx)
	if err != nil {
		return err
	}
	tables, err := effective(text)
	if err != nil {
		return err
	}
	class, name := strings.TrimLeft(view, "-"), c.given.text(view)
	found := 0
	p.head("CLUSTER INFORMATION", 23)
	numbers := map[string]int{}
	for _, o := range objects(s, tables) {
		i := numbers[o.kind]
		numbers[o.kind]++
		if class != "i" && class != o.kind || name != "" && name != o.name {
			continue
		}
		found++
		p.line("  [%s%s : %s]", headings[o.kind], number(o.kind, i), o.name)
		lines := o.brief
		if c.given.has("--detail") {
			lines = append(lines[:len(lines):len(lines)], o.all...)
		}
		for _, l := range lines {
			p.line("  %-55s : %s", l.label, inert(l.value))
		}
	}
	p.foot()
	if found == 0 && name != "" {
		return &failure{noName, fmt.Sprintf("There is no %q.", name), nil}
	}
	return nil
}

var headings = map[string]string{"cl": "Cluster", "sv": "Server", "hb": "HB", "grp": "Group", "rsc": "Resource", "mon": "Monitor"}

func number(kind string, i int) string {
	if kind == "cl" {
		return ""
	}
	return fmt.Sprint(i)
}

// A table is one table of the configuration with all its keys in order.
type table struct {
	name string
	keys []property
}

// get returns the value of a key without its quotes.
func (t table) get(key string) string {
	for _, k := range t.keys {
		if k.label == key {
			return strings.Trim(k.value, `"`)
		}
	}
	return ""
}

// effective reads the running configuration and returns its tables with every
// default filled in, one key a line as [config.Model.WriteTOML] writes them.
func effective(text api.ConfigText) ([]table, error) {
	m, problems := config.Parse([]byte(text.Text), text.Source, "", config.NewRegistry(types.All(), restypes.All()))
	if m == nil {
		return nil, &failure{badConfig, "The daemon runs with one that this command cannot read.", problems.Err()}
	}
	var b strings.Builder
	if err := m.WriteTOML(&b); err != nil {
		return nil, err
	}
	all := []table{{}}
	for line := range strings.Lines(b.String()) {
		line = strings.TrimSpace(line)
		switch key, value, ok := strings.Cut(line, " = "); {
		case strings.HasPrefix(line, "["):
			all = append(all, table{name: strings.Trim(line, "[]")})
		case ok:
			t := &all[len(all)-1]
			t.keys = append(t.keys, property{key, value})
		}
	}
	return all, nil
}

// objects lists everything that has properties.
func objects(s api.Status, tables []table) []object {
	cl := object{kind: "cl", name: s.Server, brief: []property{{"Name", s.Server}, {"Mode", s.Mode}}}
	var rest []object
	for i, t := range tables {
		switch t.name {
		case "group":
			rest = append(rest, object{"grp", t.get("name"), []property{{"Type", "failover"}, {"Comment", t.get("comment")}}, labelled(t, "name", "comment")})
		case "resource":
			rest = append(rest, object{"rsc", t.get("name"), []property{{"Type", original(t.get("type"))}, {"Comment", t.get("comment")}},
				labelled(t, "name", "type", "comment")})
		case "monitor":
			o := object{"mon", t.get("name"), []property{{"Type", original(t.get("type"))}, {"Comment", t.get("comment")}}, labelled(t, "name", "type", "comment")}
			if i+1 < len(tables) && tables[i+1].name == "monitor.recovery" {
				o.all = append(o.all, labelled(tables[i+1])...)
			}
			rest = append(rest, o)
		case "monitor.recovery":
		default:
			if t.name == "keepalive" { // a line that scripts look for
				cl.all = append(cl.all, property{"Shutdown Monitoring Method", t.get("method")})
			}
			cl.all = append(cl.all, labelled(t)...)
		}
	}
	all := []object{cl, {kind: "sv", name: s.Server, brief: []property{{"Comment", ""}}, all: []property{{"OS", "Linux " + s.Boot.Kernel}, {"Version", s.Version}}}}
	for _, h := range heartbeats(s) {
		all = append(all, object{kind: "hb", name: h.name, brief: []property{{"Type", h.comment}}})
	}
	if tw := monitors(s); len(tw) > len(s.Monitors) {
		rest = append(rest, userSpace(tw[len(tw)-1], tables))
	}
	all = append(all, rest...)
	order := []string{"cl", "sv", "hb", "grp", "rsc", "mon"}
	slices.SortStableFunc(all, func(a, b object) int { return cmp.Compare(slices.Index(order, a.kind), slices.Index(order, b.kind)) })
	return all
}

// userSpace is the monitor of user space, whose settings have tables of their
// own in our configuration.
func userSpace(m api.Monitor, tables []table) object {
	o := object{kind: "mon", name: m.Name, brief: []property{{"Type", m.Alias}, {"Comment", ""}}}
	for _, t := range tables {
		switch t.name {
		case "keepalive":
			o.brief = append(o.brief, property{"Method", t.get("method")}, property{"Use HB interval and timeout", "Off"})
		case "stall":
			o.all = append(o.all, labelled(t)...)
		}
	}
	return o
}

// original is the original's name of a type; a type of ours keeps its own.
func original(name string) string {
	for _, t := range types.All() {
		if t.Name == name {
			return cmp.Or(t.Alias, name)
		}
	}
	for _, t := range restypes.All() {
		if t.Name == name {
			return cmp.Or(t.Alias, name)
		}
	}
	return name
}

// labelled turns the keys of a table into properties, but for some.
func labelled(t table, but ...string) []property {
	var all []property
	for _, k := range t.keys {
		if slices.Contains(but, k.label) {
			continue
		}
		words := strings.ReplaceAll(k.label, "_", " ")
		if t.name != "" && !slices.Contains([]string{"group", "resource", "monitor"}, t.name) {
			_, short, nested := strings.Cut(t.name, ".")
			if !nested {
				short = t.name
			}
			words = short + " " + words
		}
		all = append(all, property{strings.ToUpper(words[:1]) + words[1:], strings.Trim(k.value, `"`)})
	}
	return all
}
