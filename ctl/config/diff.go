package config

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
)

// An Op is what applying a configuration does to one thing.
type Op string

// Ops.
const (
	OpStart   Op = "start"   // it is new
	OpStop    Op = "stop"    // it is gone
	OpChange  Op = "change"  // the new settings hold at once, nothing is interrupted
	OpRestart Op = "restart" // it is stopped and started again with the new settings
	OpLater   Op = "later"   // the new settings hold when the daemon is started the next time
)

// A Kind says what a step of a plan is about.
type Kind string

// Kinds. A section is named by its table; the keys above the first table are
// the section "".
const (
	SectionKind  Kind = "section"
	GroupKind    Kind = groupTable
	ResourceKind Kind = resourceTable
	MonitorKind  Kind = monitorTable
)

// A Plan is what happens when one model replaces another. What a plan does not
// name is not touched. A renamed thing is stopped under its old name and
// started under the new one.
type Plan struct {
	// Steps are in the order of the file, for each kind first what is stopped.
	Steps []Step `json:"steps"`
	// Rearm says that the countdown is armed anew, because it, or what it
	// guards, is set otherwise. Without it the armed countdown goes on untouched.
	Rearm bool `json:"rearm"`

	at map[thing]int // in Steps; nil while they are gathered
}

// A thing is what a step is about.
type thing struct {
	kind Kind
	name string
}

// A Step is what happens to one thing.
type Step struct {
	Op     Op            `json:"op"`
	Kind   Kind          `json:"kind"`
	Name   string        `json:"name"`
	Type   string        `json:"type,omitempty"`   // of a resource or monitor
	Fields []FieldChange `json:"fields,omitempty"` // that differ; none for what is started or stopped
	Why    string        `json:"why,omitempty"`    // of a restart without a change of its own
}

// A FieldChange is a key whose value differs, as it is written in the
// configuration. Secrets are masked, as [Model.WriteTOML] does; an empty value
// means that the key is left out.
type FieldChange struct {
	Key string `json:"key"` // "interval", "recovery.restarts"
	Old string `json:"old"`
	New string `json:"new"`
}

// Empty reports whether there is nothing to do.
func (p Plan) Empty() bool { return len(p.Steps) == 0 }

// Step returns the step about one thing, and false when it is not touched.
func (p Plan) Step(kind Kind, name string) (Step, bool) {
	i, ok := p.at[thing{kind, name}]
	if !ok {
		return Step{}, false
	}
	return p.Steps[i], true
}

// sectionOps are the sections, and keys of sections as "section.key", whose
// change is more than an OpChange.
var sectionOps = map[string]Op{
	"api":             OpRestart,
	"store.dir":       OpLater,
	"witness.enabled": OpLater,
	"witness.off":     OpLater,
	"witness.without": OpLater,
}

// rearming are the sections and keys that the countdown depends on.
var rearming = []string{"mode", "keepalive", "stall.enabled", "stall.timeout"}

// restarting are the common keys whose change restarts a resource or monitor;
// every key of its type does, too.
var (
	restartingResource = []string{"type", "group"}
	restartingMonitor  = []string{"type", "when", "target"}
)

// Diff returns the plan that leads from old to new.
func Diff(old, new *Model) Plan {
	p := Plan{Steps: []Step{}} // which JSON shows as a list, even when empty
	p.section("", rootFields(old), rootFields(new))
	for _, sec := range sections {
		p.section(sec.name, sec.fields(old), sec.fields(new))
	}
	p.groups(old, new)
	p.resources(old, new)
	p.monitors(old, new)
	p.at = make(map[thing]int, len(p.Steps))
	for i, s := range p.Steps {
		p.at[thing{s.Kind, s.Name}] = i
	}
	return p
}

// compare returns the keys whose values differ, in order.
func compare(old, new []field) []FieldChange {
	was := make(map[string]field, len(old))
	for _, f := range old {
		was[f.key] = f
	}
	var all []FieldChange
	for _, f := range new {
		o := was[f.key]
		delete(was, f.key)
		switch {
		case o.text == f.text:
		case o.secret && f.secret:
			all = append(all, FieldChange{f.key, masked, otherMasked})
		default:
			all = append(all, FieldChange{f.key, o.shown(), f.shown()})
		}
	}
	for _, f := range old { // what is left is of another type
		if _, ok := was[f.key]; ok && f.text != "" {
			all = append(all, FieldChange{f.key, f.shown(), ""})
		}
	}
	return all
}

func (p *Plan) section(name string, old, new []field) {
	changes := compare(old, new)
	if len(changes) == 0 {
		return
	}
	op := cmp.Or(sectionOps[name], OpChange)
	for _, c := range changes {
		key := strings.TrimPrefix(name+"."+c.Key, ".")
		op = cmp.Or(sectionOps[key], op)
		if slices.Contains(rearming, key) || slices.Contains(rearming, name) {
			p.Rearm = true
		}
	}
	p.Steps = append(p.Steps, Step{Op: op, Kind: SectionKind, Name: name, Fields: changes})
}

// pair calls gone with each of old that new has not, then both or added with
// each of new, in order of the lists.
func pair[T any](old, new []T, name func(T) string, gone, added func(T), both func(old, new T)) {
	was := make(map[string]T, len(old))
	is := make(map[string]bool, len(new))
	for _, o := range old {
		was[name(o)] = o
	}
	for _, n := range new {
		is[name(n)] = true
	}
	for _, o := range old {
		if !is[name(o)] {
			gone(o)
		}
	}
	for _, n := range new {
		if o, ok := was[name(n)]; ok {
			both(o, n)
		} else {
			added(n)
		}
	}
}

func (p *Plan) add(s Step) { p.Steps = append(p.Steps, s) }

func (p *Plan) groups(old, new *Model) {
	pair(old.Groups, new.Groups, func(g Group) string { return g.Name },
		func(g Group) { p.add(Step{Op: OpStop, Kind: GroupKind, Name: g.Name}) },
		func(g Group) { p.add(Step{Op: OpStart, Kind: GroupKind, Name: g.Name}) },
		func(o, n Group) {
			changes := compare(groupFields(o), groupFields(n))
			was, is := order(old, new, n.Name)
			if !slices.Equal(was, is) {
				changes = append(changes, FieldChange{"order", strings.Join(was, ", "), strings.Join(is, ", ")})
			}
			if len(changes) > 0 {
				p.add(Step{Op: OpChange, Kind: GroupKind, Name: n.Name, Fields: changes})
			}
		})
}

// order returns the members of a group that both models have, in the order of
// each.
func order(old, new *Model, group string) (was, is []string) {
	members := func(m *Model) []string {
		var names []string
		for _, r := range m.Resources {
			if r.Group == group {
				names = append(names, r.Name)
			}
		}
		return names
	}
	was, is = members(old), members(new)
	if slices.Equal(was, is) {
		return nil, nil
	}
	only := func(a, b []string) []string {
		return slices.DeleteFunc(slices.Clone(a), func(n string) bool { return !slices.Contains(b, n) })
	}
	return only(was, is), only(is, was)
}

func (p *Plan) resources(old, new *Model) {
	first, common := len(p.Steps), bound(Resource{}, declareResource).Names()
	pair(old.Resources, new.Resources, func(r Resource) string { return r.Name },
		func(r Resource) { p.add(Step{Op: OpStop, Kind: ResourceKind, Name: r.Name, Type: r.Type}) },
		func(r Resource) { p.add(Step{Op: OpStart, Kind: ResourceKind, Name: r.Name, Type: r.Type}) },
		func(o, n Resource) {
			o.Line = n.Line
			if reflect.DeepEqual(o, n) {
				return
			}
			changes := compare(resourceFields(o, old.reg), resourceFields(n, new.reg))
			if len(changes) > 0 {
				p.add(Step{Op: opOf(changes, restartingResource, common), Kind: ResourceKind, Name: n.Name, Type: n.Type, Fields: changes})
			}
		})
	p.dependents(new, first)
}

// opOf says what changes do: some of the common keys and every key that is not
// common restart.
func opOf(changes []FieldChange, restarting, common []string) Op {
	for _, c := range changes {
		if slices.Contains(restarting, c.Key) || !slices.Contains(common, c.Key) {
			return OpRestart
		}
	}
	return OpChange
}

// dependents restarts what needs a resource that restarts, as an ordinary stop
// would, so that nothing runs while what it needs is down. The steps of
// resources begin at first.
func (p *Plan) dependents(m *Model, first int) {
	step := make(map[string]int)
	for i, s := range p.Steps[first:] {
		step[s.Name] = first + i
	}
	restarts := func(name string) bool {
		i, ok := step[name]
		return ok && p.Steps[i].Op == OpRestart
	}
	// Explicit dependencies may point forward in the file, so that one round
	// may not find all.
	for again := true; again; {
		again = false
		before := make(map[string]string) // by group: a resource so far that restarts
		for _, r := range m.Resources {
			need := before[r.Group]
			if r.DependsOn != nil {
				i := slices.IndexFunc(r.DependsOn, restarts)
				need = ""
				if i >= 0 {
					need = r.DependsOn[i]
				}
			}
			if i, ok := step[r.Name]; need != "" && !restarts(r.Name) && (!ok || p.Steps[i].Op == OpChange) {
				again = true
				if !ok {
					i = len(p.Steps)
					step[r.Name] = i
					p.add(Step{Kind: ResourceKind, Name: r.Name, Type: r.Type})
				}
				p.Steps[i].Op, p.Steps[i].Why = OpRestart, "it needs "+need+", which restarts"
			}
			if restarts(r.Name) && before[r.Group] == "" {
				before[r.Group] = r.Name
			}
		}
	}
}

func (p *Plan) monitors(old, new *Model) {
	common := bound(Monitor{}, declareMonitor).Names()
	pair(old.Monitors, new.Monitors, func(m Monitor) string { return m.Name },
		func(m Monitor) { p.add(Step{Op: OpStop, Kind: MonitorKind, Name: m.Name, Type: m.Type}) },
		func(m Monitor) { p.add(Step{Op: OpStart, Kind: MonitorKind, Name: m.Name, Type: m.Type}) },
		func(o, n Monitor) {
			o.Line = n.Line
			if reflect.DeepEqual(o, n) {
				return
			}
			changes := compare(monitorFields(o, old.reg), monitorFields(n, new.reg))
			op := opOf(changes, restartingMonitor, common)
			for _, c := range compare(recoveryFields(o.Recovery), recoveryFields(n.Recovery)) {
				c.Key = recoveryTable + "." + c.Key
				changes = append(changes, c)
			}
			if len(changes) > 0 {
				p.add(Step{Op: op, Kind: MonitorKind, Name: n.Name, Type: n.Type, Fields: changes})
			}
		})
}
