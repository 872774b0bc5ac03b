package config

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"shisa/ctl/param"
)

// DefaultSource is the Source of the embedded default configuration.
const DefaultSource = "default"

// Default returns the configuration that holds when there is no file: it
// watches user space for stalls and only observes, so that it is safe on
// every machine.
func Default() *Model {
	m := &Model{Source: DefaultSource}
	root(m, new(param.Set))
	for _, sec := range sections {
		sec.declare(m, new(param.Set))
	}
	return m
}

// WriteDefault writes the default configuration as a file to start from: every
// key with its default, meaning and range, commented out, and an example of
// each registered type. It reads as [Default]; with every key and example
// uncommented it is valid, too.
func WriteDefault(w io.Writer, reg Registry) error {
	b := bufio.NewWriter(w)
	fmt.Fprint(b, `# The configuration of shisa.
#
# Every key stands here with its default, commented out. Remove the # in front
# of a key to set it, and of the header in double brackets above it, too.
# Check with `+"`shisa config check`"+`, see what would change with
# `+"`shisa config diff`"+`, put it to use with `+"`shisa config apply`"+`.

`)
	var set param.Set
	var m Model
	root(&m, &set)
	set.TOML(b, map[string]string{"version": fmt.Sprint(FormatVersion), "mode": param.Literal(string(Observe))})
	for _, sec := range sections {
		var set param.Set
		sec.declare(&m, &set)
		fmt.Fprintf(b, "\n# %s\n[%s]\n", sec.help, sec.name)
		set.TOML(b, nil)
	}
	e := exampler{w: b, reg: reg}
	e.groups()
	e.monitors()
	return b.Flush()
}

// An exampler writes the commented examples.
type exampler struct {
	w        io.Writer
	reg      Registry
	resource string // the first example of one
}

// exampleGroup is the name of the group in the examples.
const exampleGroup = "web"

func (e *exampler) groups() {
	var g param.Set
	declareGroup(new(Group), &g)
	e.title("A group is an ordered set of resources that are started and stopped together.", groupTable)
	e.keys(g.Specs(), map[string]any{"name": exampleGroup})
	for i, name := range slices.Sorted(maps.Keys(e.reg.Resources)) {
		t := e.reg.Resources[name]
		sh := newResourceShape(t)
		e.resource = cmp.Or(e.resource, name+"-1")
		e.title(fmt.Sprintf("A resource of type %q: %s", name, summary(t.Doc, t.Title)), resourceTable)
		e.example(sh.set, sh.own, i == 0, map[string]any{"name": name + "-1", "type": name, "group": exampleGroup}, t.Example)
	}
}

func (e *exampler) monitors() {
	for i, name := range slices.Sorted(maps.Keys(e.reg.Monitors)) {
		t := e.reg.Monitors[name]
		sh := newMonitorShape(t)
		set := map[string]any{"name": name + "-1", "type": name}
		if t.NeedsTarget || t.When != "always" {
			set["target"] = e.resource
		}
		e.title(fmt.Sprintf("A monitor of type %q: %s", name, summary(t.Doc, t.Title)), monitorTable)
		e.example(sh.set, sh.own, i == 0, set, t.Example)
		if i > 0 {
			continue
		}
		fmt.Fprintf(e.w, "\n# What follows when it fails; every monitor may have this table.\n#[%s.%s]\n", monitorTable, recoveryTable)
		e.keys(newRecoveryShape().set.Specs(), nil)
	}
}

func (e *exampler) title(text, table string) { fmt.Fprintf(e.w, "\n# %s\n#[[%s]]\n", text, table) }

// example writes the keys of one type: all of them, or only those that the
// first example does not show.
func (e *exampler) example(set, own *param.Set, all bool, values, example map[string]any) {
	values = maps.Clone(values)
	maps.Copy(values, example)
	e.keys(slices.DeleteFunc(slices.Clone(set.Specs()), func(sp *param.Spec) bool {
		_, given := values[sp.Name]
		return !all && !given && !slices.Contains(own.Names(), sp.Name)
	}), values)
}

// keys writes keys with the values given, or their defaults.
func (e *exampler) keys(specs []*param.Spec, values map[string]any) {
	for _, sp := range specs {
		help := sp.Help
		if r := sp.Range(); r != "" {
			help += " (" + r + ")"
		}
		if sp.Default == "" {
			help += " Left out by default."
		}
		text := cmp.Or(sp.Default, "[]")
		if v, ok := values[sp.Name]; ok {
			text = param.Literal(v)
		}
		fmt.Fprintf(e.w, "# %s\n#%s = %s\n", help, sp.Name, text)
	}
}

// summary returns the first sentence of doc, or else title.
func summary(doc, title string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(doc), "\n\n")
	line = strings.Join(strings.Fields(line), " ")
	if i := strings.Index(line, ". "); i >= 0 {
		line = line[:i+1]
	}
	return cmp.Or(line, title)
}
