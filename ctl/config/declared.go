package config

import "shisa/ctl/param"

// Tables lists the tables that may stand in a configuration, in order: "" holds
// the keys above the first one, "monitor.recovery" stands within a monitor.
func Tables() []string {
	return append(append([]string{""}, tableNames()...), monitorTable+"."+recoveryTable)
}

// Declared returns the declarations of the keys that every table of this name
// has, without those of types; nil when there is no such table. The defaults of
// keys that depend on a type are not among them.
func Declared(table string) []*param.Spec {
	var m Model
	var s param.Set
	switch table {
	case "":
		root(&m, &s)
	case groupTable:
		declareGroup(new(Group), &s)
	case resourceTable:
		declareResource(new(Resource), &s)
	case monitorTable:
		declareMonitor(new(Monitor), &s)
	case monitorTable + "." + recoveryTable:
		return newRecoveryShape().set.Specs()
	default:
		for _, sec := range sections {
			if sec.name == table {
				sec.declare(&m, &s)
			}
		}
	}
	return s.Specs()
}

// An Entry is one key with the value that holds, as it is written; an empty text
// means that the key is left out.
type Entry struct {
	Key    string
	Text   string
	Secret bool // Text is a secret itself, not a reference to one
}

// A Table is one table of a configuration with every key that it may have.
type Table struct {
	Name    string // as Tables lists them
	Entries []Entry
}

// Effective returns the whole configuration with all defaults filled in, in the
// order in which [Model.WriteTOML] writes it. Secrets are in it.
func (m *Model) Effective() []Table {
	var all []Table
	add := func(name string, list []field) {
		t := Table{Name: name}
		for _, f := range list {
			t.Entries = append(t.Entries, Entry{f.key, f.text, f.secret})
		}
		all = append(all, t)
	}
	add("", rootFields(m))
	for _, sec := range sections {
		add(sec.name, sec.fields(m))
	}
	shower := newShower(m.reg)
	for _, g := range m.Groups {
		add(groupTable, shower.groupFields(g))
	}
	for _, r := range m.Resources {
		add(resourceTable, shower.resourceFields(r))
	}
	for _, w := range m.Monitors {
		add(monitorTable, shower.monitorFields(w))
		add(monitorTable+"."+recoveryTable, shower.recoveryFields(w.Recovery))
	}
	return all
}
