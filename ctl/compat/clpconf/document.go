package clpconf

import (
	"fmt"
	"slices"
	"strings"

	"shisa/ctl/param"
)

// A document is the TOML that an import writes, table by table.
type document struct {
	comments []string
	tables   []*table
}

// A table is one table of it.
type table struct {
	name   string // "" for the keys above the first one
	label  string // for the report: "monitor.web"
	source *Node  // that it was made from; nil: several
	keys   []*key
	within *table // that it belongs to; nil: none
	gone   string // why it was left out after all; empty: it stands
	line   int    // of its header
}

// A key is one key of a table.
type key struct {
	name    string
	literal string // the value as TOML
	source  *Node  // nil: a default of the original
	gone    string // why it was left out after all; empty: it stands
	lost    []loss // items of its list that were left out
	line    int
}

// A loss is an item of a list that was left out.
type loss struct{ item, why string }

// table returns the table that occurs once and is called name.
func (d *document) table(name string) *table {
	i := slices.IndexFunc(d.tables, func(t *table) bool { return t.name == name })
	if i >= 0 {
		return d.tables[i]
	}
	return d.add(&table{name: name, label: name})
}

func (d *document) add(t *table) *table {
	d.tables = append(d.tables, t)
	return t
}

// get returns a key of the table, or nil.
func (t *table) get(name string) *key {
	i := slices.IndexFunc(t.keys, func(k *key) bool { return k.name == name })
	if i < 0 {
		return nil
	}
	return t.keys[i]
}

// set gives a key a value; what was set first for it no longer counts.
func (t *table) set(name, literal string, source *Node) {
	if k := t.get(name); k != nil {
		k.literal, k.source = literal, source
		return
	}
	t.keys = append(t.keys, &key{name: name, literal: literal, source: source})
}

// stands reports whether the table is written.
func (t *table) stands() bool { return t.gone == "" && (t.within == nil || t.within.stands()) }

var repeated = []string{"group", "resource", "monitor"}

// text writes the document and notes on which line each part stands.
func (d *document) text() string {
	var b strings.Builder
	line := 1
	put := func(format string, args ...any) int {
		text := fmt.Sprintf(format, args...) + "\n"
		b.WriteString(text)
		at := line
		line += strings.Count(text, "\n")
		return at
	}
	for _, c := range d.comments {
		put("# %s", c)
	}
	for _, t := range d.tables {
		if !t.stands() || len(t.keys) == 0 && t.name != "monitor" {
			continue
		}
		switch {
		case t.name == "":
			t.line = put("")
		case slices.Contains(repeated, t.name):
			t.line = put("\n[[%s]]", t.name) + 1
		default:
			t.line = put("\n[%s]", t.name) + 1
		}
		for _, k := range t.keys {
			if k.gone == "" {
				k.line = put("%s = %s", k.name, k.literal)
			}
		}
	}
	return b.String()
}

// drop leaves out what stands on a line, for a reason. It reports whether
// anything does.
func (d *document) drop(line int, why string) bool {
	for _, t := range d.tables {
		if !t.stands() {
			continue
		}
		for _, k := range t.keys {
			if k.gone != "" || k.line != line {
				continue
			}
			switch {
			case k.name == "name" || k.name == "type":
				t.gone = why // without them there is no such thing
			case !k.lose(why):
				k.gone = why
				if k.name == "depends_on" { // without it, it would need all that stand before
					t.keys = append(t.keys, &key{name: k.name, literal: "[]"})
				}
			}
			return true
		}
		if t.line == line && t.name != "" {
			t.gone = why
			return true
		}
	}
	return false
}

// lose leaves out the item of a list that a problem names, such as `there is no
// monitor "web"; did you mean "www"?`. It reports whether others are left.
func (k *key) lose(why string) bool {
	v, err := value(k.literal)
	list, ok := v.([]any)
	if err != nil || !ok || len(list) < 2 {
		return false
	}
	what, _, _ := strings.Cut(why, ";")
	i := slices.IndexFunc(list, func(item any) bool { return strings.Contains(what, fmt.Sprintf("%q", item)) })
	if i < 0 {
		return false
	}
	k.lost = append(k.lost, loss{fmt.Sprint(list[i]), why})
	k.literal = param.Literal(slices.Delete(list, i, i+1))
	return true
}
