package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/sys/unix"

	"shisa/ctl/monitor"
	"shisa/ctl/param"
)

// NameLimit bounds names of groups, resources and monitors in bytes. The
// original stopped at 31.
const NameLimit = 63

var whens = []monitor.When{monitor.Always, monitor.WhileActive}

// isName reports whether s can name something.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || c != '_' && c != '-' && c != '.') {
			return false
		}
	}
	return s != "" && len(s) <= NameLimit
}

func wellNamed(p *string) func() error {
	return func() error {
		if !isName(*p) {
			return fmt.Errorf("%q is not a name: use at most %d letters, digits, '_', '.' and '-', starting with a letter or digit", *p, NameLimit)
		}
		return nil
	}
}

// oneLine accepts text that can stand in a line of a table or a log.
func oneLine(p *string) func() error {
	return func() error {
		if strings.ContainsFunc(*p, unicode.IsControl) {
			return fmt.Errorf("%q holds a control character; write one line of plain text", *p)
		}
		return nil
	}
}

// plainLines accepts text of several lines.
func plainLines(p *string) func() error {
	return func() error {
		if strings.ContainsFunc(*p, func(c rune) bool { return unicode.IsControl(c) && !strings.ContainsRune("\t\r\n", c) }) {
			return fmt.Errorf("%q holds a control character; write plain text", *p)
		}
		return nil
	}
}

func absolute(p *string) func() error {
	return func() error {
		if !filepath.IsAbs(*p) {
			return fmt.Errorf("%q must be an absolute path", *p)
		}
		return oneLine(p)()
	}
}

// socketPath accepts what a socket can be bound to (unix(7): sun_path).
func socketPath(p *string) func() error {
	return func() error {
		if limit := len(unix.RawSockaddrUnix{}.Path) - 1; len(*p) > limit {
			return fmt.Errorf("is %d bytes long; a socket can have %d", len(*p), limit)
		}
		return absolute(p)()
	}
}

func absoluteOrEmpty(p *string) func() error {
	return func() error {
		if *p == "" {
			return nil
		}
		return absolute(p)()
	}
}

// unknownType reports the type of raw, unless it is missing or of a wrong kind,
// which is reported anyway.
func (r *reader) unknownType(raw map[string]any, at *place, name string, aliases map[string]string) {
	typeName := text(raw["type"])
	if typeName == "" {
		return
	}
	types := slices.Sorted(maps.Values(aliases))
	guess := "no such type"
	if n := aliases[typeName]; n != "" {
		guess = fmt.Sprintf("that is the original's name; write type = %q", n)
	} else if n := param.Nearest(typeName, types); n != "" {
		guess += fmt.Sprintf("; did you mean %q?", n)
	} else {
		guess += "; there are: " + strings.Join(slices.Compact(types), ", ")
	}
	r.add(at.at("type"), name+".type", "%q: %s", typeName, guess)
}

// keysOfTypes returns every key that some type of monitor or resource has: what
// may be right in a table whose type is not known.
func keysOfTypes[T interface{ Params() *param.Set }](types map[string]T) []string {
	var keys []string
	for _, t := range types {
		keys = append(keys, t.Params().Names()...)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// monitorAliases maps the name and the original's name of each type to the name.
func monitorAliases(reg Registry) map[string]string {
	names := make(map[string]string)
	for name, t := range reg.Monitors {
		names[name] = name
		if t.Alias != "" {
			names[t.Alias] = name
		}
	}
	return names
}

func resourceAliases(reg Registry) map[string]string {
	names := make(map[string]string)
	for name, t := range reg.Resources {
		names[name] = name
		if t.Alias != "" {
			names[t.Alias] = name
		}
	}
	return names
}

// lost completes the text about an unknown key of the table called prefix.
// When another table has just this key, that is a better guess than a key that
// looks alike. When there is no guess, the keys of the type are named.
func lost(key, text, prefix string, own *param.Set) string {
	if homes := homes()[key]; len(homes) > 0 && len(homes) <= 3 {
		if prefix != "" && homes[0] == "" {
			return fmt.Sprintf("%s here; %s stands above the first table", param.NoSuchKey, key)
		}
		if homes[0] != "" {
			return fmt.Sprintf("%s here; it is a key of %s", param.NoSuchKey, strings.Join(homes, ", "))
		}
	}
	if own != nil && text == param.NoSuchKey && len(own.Names()) > 0 {
		text += "; this type has " + strings.Join(own.Names(), ", ")
	}
	return text
}

// homes maps each declared key to the tables that have it; "" is the root.
var homes = sync.OnceValue(func() map[string][]string {
	all := make(map[string][]string)
	add := func(table string, s *param.Set) {
		for _, name := range s.Names() {
			all[name] = append(all[name], table)
		}
	}
	var m Model
	var s param.Set
	root(&m, &s)
	add("", &s)
	for _, sec := range sections {
		var s param.Set
		sec.declare(&m, &s)
		add("["+sec.name+"]", &s)
	}
	var g, res, mon param.Set
	declareGroup(new(Group), &g)
	declareResource(new(Resource), &res)
	declareMonitor(new(Monitor), &mon)
	add("[[group]]", &g)
	add("[[resource]]", &res)
	add("[[monitor]]", &mon)
	add("[monitor.recovery]", &newRecoveryShape().set)
	return all
})

// checkMembers looks at the monitors that monitors name in parameters of their
// types: each must be there, and none may count on itself in a circle.
func (c *names) checkMembers() {
	listing := map[string][]*param.Spec{} // by type; most have none
	for name, t := range c.reg.Monitors {
		for _, sp := range t.Params().Specs() {
			if sp.IsMonitors {
				listing[name] = append(listing[name], sp)
			}
		}
	}
	for i := range c.m.Monitors {
		m, at := &c.m.Monitors[i], c.monitors[i]
		for _, sp := range listing[m.Type] {
			path := label(monitorTable, m.Name, i) + "." + sp.Name
			c.each(texts(m.Params[sp.Name]), at, sp.Name, path, func(name string, line int) {
				c.known(monitorTable, c.monitorAt, name, line, path)
			})
		}
	}
	members := func(i int) (names []string) {
		m := &c.m.Monitors[i]
		for _, sp := range listing[m.Type] {
			names = append(names, texts(m.Params[sp.Name])...)
		}
		return names
	}
	name := func(i int) string { return c.m.Monitors[i].Name }
	if first, path := cyclePath(len(c.m.Monitors), name, c.monitorAt, members); path != "" {
		key := listing[c.m.Monitors[first].Type][0].Name
		c.add(c.monitors[first].at(key), label(monitorTable, name(first), first)+"."+key, "monitors count on each other: %s", path)
	}
}

// texts returns the texts of a decoded list.
func texts(v any) []string {
	list, _ := v.([]any)
	names := make([]string, 0, len(list))
	for _, item := range list {
		names = append(names, text(item))
	}
	return names
}
