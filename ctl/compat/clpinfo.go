package compat

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"shisa/ctl/api"
	"shisa/ctl/config"
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
	m, err := c.model()
	if err != nil {
		return err
	}
	class, name := strings.TrimLeft(view, "-"), c.given.text(view)
	all := objects(s, m.Effective())
	if name != "" && !slices.ContainsFunc(all, func(o object) bool { return o.kind == class && o.name == name }) {
		return noName.say(fmt.Sprintf("There is no %q.", name))
	}
	p.head("CLUSTER INFORMATION", 23)
	numbers := map[string]int{}
	for _, o := range all {
		i := numbers[o.kind]
		numbers[o.kind]++
		if class != "i" && class != o.kind || name != "" && name != o.name {
			continue
		}
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
	return nil
}

var headings = map[string]string{"cl": "Cluster", "sv": "Server", "hb": "HB", "grp": "Group", "rsc": "Resource", "mon": "Monitor"}

func number(kind string, i int) string {
	if kind == "cl" {
		return ""
	}
	return fmt.Sprint(i)
}

// model reads the configuration that the daemon runs with.
func (c *call) model() (*config.Model, error) {
	text, err := c.client.Config(c.ctx)
	if err != nil {
		return nil, err
	}
	m, problems := config.Parse([]byte(text.Text), text.Source, "", registry())
	if m == nil {
		return nil, &failure{badConfig, "The daemon runs with one that this command cannot read.", problems.Err()}
	}
	return m, nil
}

// get returns the value of a key, as a person writes it; empty: it has none.
func get(t config.Table, key string) string {
	for _, e := range t.Entries {
		if e.Key == key {
			return plain(e)
		}
	}
	return ""
}

// plain is the value of a key without the quotes of a text; secrets stay what
// they are.
func plain(e config.Entry) string {
	if e.Secret {
		return "<secret>"
	}
	if text, err := strconv.Unquote(e.Text); err == nil {
		return text
	}
	return e.Text
}

// objects lists everything that has properties, class by class.
func objects(s api.Status, tables []config.Table) []object {
	cl := object{kind: "cl", name: s.Server, brief: []property{{"Name", s.Server}, {"Mode", s.Mode}}}
	var groups, resources, monitors []object
	known := registry()
	for i, t := range tables {
		switch t.Name {
		case "group":
			groups = append(groups, fromTable("grp", "failover", t))
		case "resource":
			resources = append(resources, fromTable("rsc", known.Resources[get(t, "type")].Alias, t))
		case "monitor":
			o := fromTable("mon", known.Monitors[get(t, "type")].Alias, t)
			o.all = append(o.all, labelled(tables[i+1])...) // its recovery
			monitors = append(monitors, o)
		case "monitor.recovery":
		case "keepalive":
			cl.all = append(cl.all, property{"Shutdown Monitoring Method", get(t, "method")}) // a line that scripts look for
			fallthrough
		default:
			cl.all = append(cl.all, labelled(t)...)
		}
	}
	if w, implied := impliedMonitor(s); implied {
		monitors = append(monitors, object{kind: "mon", name: w.Name, brief: []property{{"Type", w.Alias}, {"Comment", ""}}})
	}
	for i, o := range monitors {
		if o.brief[0].value == stallAlias {
			monitors[i] = userSpace(o, tables)
		}
	}
	all := []object{cl, {kind: "sv", name: s.Server, brief: []property{{"Comment", ""}}, all: []property{{"OS", "Linux " + s.Boot.Kernel}, {"Version", s.Version}}}}
	for _, h := range heartbeats(s) {
		all = append(all, object{kind: "hb", name: h.name, brief: []property{{"Type", h.comment}}})
	}
	return slices.Concat(all, groups, resources, monitors)
}

// fromTable is an object that has a table in the configuration. A type that the
// original did not have has only our name.
func fromTable(kind, alias string, t config.Table) object {
	return object{kind, get(t, "name"), []property{{"Type", cmp.Or(alias, get(t, "type"))}, {"Comment", get(t, "comment")}}, labelled(t, "name", "type", "comment")}
}

// userSpace adds to the monitor of user space its settings, which have tables of
// their own in our configuration.
func userSpace(o object, tables []config.Table) object {
	for _, t := range tables {
		switch t.Name {
		case "keepalive":
			o.brief = append(o.brief, property{"Method", get(t, "method")}, property{"Use HB interval and timeout", "Off"})
		case "stall":
			o.all = append(o.all, labelled(t)...)
		}
	}
	return o
}

// labelled turns the keys of a table that have a value into properties, but for
// some.
func labelled(t config.Table, but ...string) []property {
	prefix := t.Name[strings.LastIndexByte(t.Name, '.')+1:] + " "
	if slices.Contains([]string{"", "group", "resource", "monitor"}, t.Name) {
		prefix = ""
	}
	var all []property
	for _, e := range t.Entries {
		if e.Text == "" || slices.Contains(but, e.Key) {
			continue
		}
		words := prefix + strings.ReplaceAll(e.Key, "_", " ")
		all = append(all, property{strings.ToUpper(words[:1]) + words[1:], plain(e)})
	}
	return all
}
