package config

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"shisa/ctl/param"
)

// masked stands for a secret that is written in the configuration itself, and
// otherMasked for one that it is replaced by.
const (
	masked      = `"<secret>"`
	otherMasked = `"<another secret>"`
)

// A field is one key of a table with its value as it is written; an empty
// value means that the key is left out.
type field struct {
	key, text string
	secret    bool // text must not be shown
}

// shown returns the value as anybody may see it.
func (f field) shown() string {
	if f.secret {
		return masked
	}
	return f.text
}

// fields returns the keys of set with the values of the bound variables.
func fields(set *param.Set) []field {
	all := make([]field, len(set.Specs()))
	for i, sp := range set.Specs() {
		text, isText := sp.Value().(string)
		all[i] = field{sp.Name, sp.Text(), sp.IsSecret && isText && text != "" && !isReference(text)}
	}
	return all
}

// bound returns the declarations of declare, bound to a copy of v.
func bound[T any](v T, declare func(*T, *param.Set)) *param.Set {
	c, set := new(T), new(param.Set)
	declare(c, set) // which stores the defaults
	*c = v
	return set
}

func rootFields(m *Model) []field { return fields(bound(*m, root)) }

func (sec section) fields(m *Model) []field { return fields(bound(*m, sec.declare)) }

// A form shows things of one kind. Declaring keys costs more than reading their
// values, so it is made once for many.
type form[T any] struct {
	v   *T
	set *param.Set
}

func newForm[T any](declare func(*T, *param.Set)) form[T] {
	f := form[T]{new(T), new(param.Set)}
	declare(f.v, f.set)
	return f
}

func (f form[T]) fields(v T) []field {
	*f.v = v
	return fields(f.set)
}

// shown is a recovery as it is written: with its target as text.
type shown struct {
	r      Recovery
	target string
}

// A shower shows groups, resources and monitors.
type shower struct {
	reg      Registry
	group    form[Group]
	resource form[Resource]
	monitor  form[Monitor]
	recovery form[shown]
	own      map[string]*param.Set // by table and type
}

func newShower(reg Registry) *shower {
	return &shower{reg, newForm(declareGroup), newForm(declareResource), newForm(declareMonitor),
		newForm(func(s *shown, set *param.Set) { declareRecovery(&s.r, &s.target, set) }), map[string]*param.Set{}}
}

func (s *shower) groupFields(g Group) []field { return s.group.fields(g) }

func (s *shower) resourceFields(r Resource) []field {
	all := s.resource.fields(r)
	t, ok := s.reg.Resources[r.Type]
	if !ok {
		return append(all, rawFields(r.Params)...)
	}
	return append(all, s.ownFields(resourceTable+r.Type, t.Params, r.Params)...)
}

func (s *shower) monitorFields(m Monitor) []field {
	all := s.monitor.fields(m)
	t, ok := s.reg.Monitors[m.Type]
	if !ok {
		return append(all, rawFields(m.Params)...)
	}
	return append(all, s.ownFields(monitorTable+m.Type, t.Params, m.Params)...)
}

func (s *shower) recoveryFields(r Recovery) []field {
	return s.recovery.fields(shown{r, r.Target.String()})
}

// ownFields returns the parameters of a type, with defaults.
func (s *shower) ownFields(key string, declared func() *param.Set, params map[string]any) []field {
	set := s.own[key]
	if set == nil {
		set = declared()
		s.own[key] = set
	}
	set.Reset()
	set.Decode(params) // which was without mistakes when the model was read
	return fields(set)
}

func groupFields(g Group) []field                     { return newShower(Registry{}).groupFields(g) }
func resourceFields(r Resource, reg Registry) []field { return newShower(reg).resourceFields(r) }
func monitorFields(m Monitor, reg Registry) []field   { return newShower(reg).monitorFields(m) }
func recoveryFields(r Recovery) []field               { return newShower(Registry{}).recoveryFields(r) }

// rawFields returns the parameters of a type that is not registered.
func rawFields(params map[string]any) []field {
	var all []field
	for _, k := range slices.Sorted(maps.Keys(params)) {
		all = append(all, field{key: k, text: param.Literal(params[k])})
	}
	return all
}

// WriteTOML writes the effective configuration: every key with the value that
// holds, defaults filled in. It reads back as the same model, except for
// secrets that are written in the configuration itself, which are masked.
func (m *Model) WriteTOML(w io.Writer) error {
	b, s := bufio.NewWriter(w), newShower(m.reg)
	writeFields(b, rootFields(m))
	for _, sec := range sections {
		fmt.Fprintf(b, "\n[%s]\n", sec.name)
		writeFields(b, sec.fields(m))
	}
	for _, g := range m.Groups {
		fmt.Fprintf(b, "\n[[%s]]\n", groupTable)
		writeFields(b, s.groupFields(g))
	}
	for _, r := range m.Resources {
		fmt.Fprintf(b, "\n[[%s]]\n", resourceTable)
		writeFields(b, s.resourceFields(r))
	}
	for _, mon := range m.Monitors {
		fmt.Fprintf(b, "\n[[%s]]\n", monitorTable)
		writeFields(b, s.monitorFields(mon))
		fmt.Fprintf(b, "\n[%s.%s]\n", monitorTable, recoveryTable)
		writeFields(b, s.recoveryFields(mon.Recovery))
	}
	return b.Flush()
}

func writeFields(w io.Writer, all []field) {
	for _, f := range all {
		if f.text != "" {
			fmt.Fprintf(w, "%s = %s\n", f.key, f.shown())
		}
	}
}

// signs mark the steps in the text form of a plan.
var signs = map[Op]string{OpStart: "+", OpStop: "-", OpChange: "~", OpRestart: "↻", OpLater: "…"}

// meanings say in words what a step does.
var meanings = map[Op]string{
	OpStart:   "starts",
	OpStop:    "stops",
	OpChange:  "changes in place",
	OpRestart: "restarts",
	OpLater:   "changes when shisad is started the next time",
}

// WriteText writes the plan for people: a line for each step, which begins
// with + - ~ ↻ or …, below it each key with its old and new value, and at the
// end what there is to do in all and whether the countdown is touched.
func (p Plan) WriteText(w io.Writer) error {
	var b strings.Builder
	if p.Empty() {
		b.WriteString("Nothing to do: both configurations mean the same.\n")
		_, err := io.WriteString(w, b.String())
		return err
	}
	counts := make(map[Op]int)
	for _, s := range p.Steps {
		counts[s.Op]++
		s.write(&b)
	}
	b.WriteString("\n" + tally(counts))
	if p.Rearm {
		b.WriteString("The countdown is armed anew.\n")
	} else {
		b.WriteString("The countdown goes on untouched.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// title names the thing the way its table is written.
func (s Step) title() string {
	switch {
	case s.Kind == SectionKind && s.Name == "":
		return "general"
	case s.Kind == SectionKind:
		return "[" + s.Name + "]"
	case s.Type != "":
		return fmt.Sprintf("%s %s (%s)", s.Kind, s.Name, s.Type)
	}
	return fmt.Sprintf("%s %s", s.Kind, s.Name)
}

func (s Step) write(b *strings.Builder) {
	fmt.Fprintf(b, "%s %s %s", signs[s.Op], s.title(), meanings[s.Op])
	if s.Why != "" {
		b.WriteString(": " + s.Why)
	}
	b.WriteByte('\n')
	width := 0
	for _, f := range s.Fields {
		width = max(width, utf8.RuneCountInString(f.Key))
	}
	for _, f := range s.Fields {
		fmt.Fprintf(b, "    %-*s  %s → %s\n", width, f.Key, orNothing(f.Old), orNothing(f.New))
	}
}

func orNothing(text string) string {
	if text == "" {
		return "(none)"
	}
	return text
}

// tally counts the steps in words.
func tally(counts map[Op]int) string {
	var parts []string
	for _, c := range []struct {
		op   Op
		text string
	}{{OpStart, "to start"}, {OpStop, "to stop"}, {OpRestart, "to restart"}, {OpChange, "to change in place"}, {OpLater, "to change later"}} {
		if n := counts[c.op]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, c.text))
		}
	}
	text := strings.Join(parts, ", ")
	return strings.ToUpper(text[:1]) + text[1:] + ". "
}
