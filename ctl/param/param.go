// Package param declares the parameters of anything configurable once, in the
// style of package flag, and derives everything else from that declaration:
// decoding, validation, defaults, JSON Schema (the web form), the reference
// documentation and the commented default configuration.
package param

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Kind is the type of a parameter's value.
type Kind string

// Kinds. Their text form in a configuration file is named in the comment.
const (
	Text     Kind = "string"   // "…"
	Integer  Kind = "integer"  // 42
	Number   Kind = "number"   // 0.5
	Boolean  Kind = "boolean"  // true
	Duration Kind = "duration" // "30s", "1m30s", "500ms"
	Size     Kind = "size"     // "10000B", "64KiB", "500MiB"
	Choice   Kind = "choice"   // one of Spec.Choices
	List     Kind = "list"     // ["…", "…"]
)

// A Spec is the declaration of one parameter.
type Spec struct {
	Name    string   // key in the configuration file, lower_snake_case
	Help    string   // one sentence, ends in a full stop
	Kind    Kind     // how the value is written
	Unit    string   // "percent", "B"; empty where the kind carries its own unit
	Default string   // as it is written in a configuration file; empty: none
	Choices []string // of a Choice
	Min     string   // smallest value as it is written; empty: unbounded
	Max     string   // largest value as it is written; empty: unbounded
	Alias   string   // path in the original's clp.conf below the object; empty: none

	IsRequired bool // absent or empty is a mistake
	IsSecret   bool // value is kept out of logs, status output and collected logs
	IsFile     bool // value names a file beside the configuration, such as a script; empty: none
	IsMonitors bool // value lists names of other monitors

	Listens string // "udp" or "tcp": value is an address and port that is opened to it; empty: it is none

	set   func(raw any) error
	get   func() any // what a decoder would have yielded for the bound variable
	reset func()     // stores the default
	check []func() error

	def       any // what get returns for the default
	noDefault bool
}

// Required makes an absent or empty value a mistake.
func (s *Spec) Required() *Spec { s.IsRequired = true; return s }

// Secret keeps the value out of logs, status output and collected logs.
func (s *Spec) Secret() *Spec { s.IsSecret = true; return s }

// File says that the value names a file, usually a script. A relative path
// starts at the directory of the configuration, which is checked to hold it.
func (s *Spec) File() *Spec { s.IsFile = true; return s }

// Monitors says that the values of a list are names of other monitors, which the
// configuration must have.
func (s *Spec) Monitors() *Spec { s.IsMonitors = true; return s }

// Port says that the value is an address with a port that is opened for a protocol,
// "udp" or "tcp"; an empty value opens none.
func (s *Spec) Port(protocol string) *Spec { s.Listens = protocol; return s }

// NoDefault says of a list that leaving it out means something else than
// writing an empty one; the variable is nil when it was left out.
func (s *Spec) NoDefault() *Spec { s.Default, s.noDefault = "", true; return s }

// Value returns the current value of the bound variable in the form that
// Decode takes: string, bool, int64, float64 or []any; nil for a list without
// default that was left out.
func (s *Spec) Value() any { return s.get() }

// Text returns the current value of the bound variable as it is written in a
// configuration file; empty when Value is nil.
func (s *Spec) Text() string { return Literal(s.get()) }

// IsDefault reports whether the bound variable holds the default.
func (s *Spec) IsDefault() bool {
	switch v := s.get().(type) {
	case nil:
		return s.Default == ""
	case []any:
		return Literal(v) == s.Default
	default:
		return v == s.def
	}
}

// As names the path that the original's clp.conf gives this parameter.
func (s *Spec) As(path string) *Spec { s.Alias = path; return s }

// Check adds a condition that the decoded value must meet; its error says what
// to write instead. Checks run only when the value itself was well formed.
func (s *Spec) Check(f func() error) *Spec { s.check = append(s.check, f); return s }

// A Set is the ordered list of parameters of one type. The order is the order
// of the form and of the documentation. The zero Set is empty and ready.
type Set struct{ specs []*Spec }

// Specs returns the declarations in order.
func (s *Set) Specs() []*Spec { return s.specs }

// Names returns the keys in order.
func (s *Set) Names() []string {
	names := make([]string, len(s.specs))
	for i, sp := range s.specs {
		names[i] = sp.Name
	}
	return names
}

func (s *Set) spec(name string) *Spec {
	for _, sp := range s.specs {
		if sp.Name == name {
			return sp
		}
	}
	return nil
}

// Join returns a set of the declarations of all sets, in order. It shares them
// with the sets, whose names must differ.
func Join(sets ...*Set) *Set {
	var all Set
	for _, s := range sets {
		all.specs = append(all.specs, s.specs...)
	}
	return &all
}

// Reset stores the default in every bound variable, so that the set can be
// used for another Decode.
func (s *Set) Reset() {
	for _, sp := range s.specs {
		sp.reset()
	}
}

// bind adds sp, which stands for p.
func bind[T any](s *Set, sp *Spec, p *T, def T, raw func(T) any) *Spec {
	*p = def
	sp.reset = func() { *p = def }
	sp.get = func() any { return raw(*p) }
	sp.def = raw(def)
	sp.Default = Literal(sp.def)
	s.specs = append(s.specs, sp)
	return sp
}

func same[T any](v T) any { return v }

// String declares a text parameter stored in p.
func (s *Set) String(p *string, name, def, help string) *Spec {
	sp := &Spec{Name: name, Help: help, Kind: Text}
	sp.set = func(raw any) error { return as(raw, p, `text in quotes`) }
	return bind(s, sp, p, def, same)
}

// Choice declares a text parameter that is one of choices, stored in p.
func (s *Set) Choice(p *string, name, def string, choices []string, help string) *Spec {
	return Enum(s, p, name, def, choices, help)
}

// Enum is Choice for constants of a text type. It is a function because Go has
// no generic methods.
func Enum[T ~string](s *Set, p *T, name string, def T, values []T, help string) *Spec {
	choices := make([]string, len(values))
	for i, v := range values {
		choices[i] = string(v)
	}
	sp := &Spec{Name: name, Help: help, Kind: Choice, Choices: choices}
	sp.set = func(raw any) error {
		var v string
		if err := as(raw, &v, "one of "+strings.Join(choices, ", ")); err != nil {
			return err
		}
		if !slices.Contains(choices, v) {
			return fmt.Errorf("%q is none of %s%s", v, strings.Join(choices, ", "), suggest(v, choices))
		}
		*p = T(v)
		return nil
	}
	return bind(s, sp, p, def, func(v T) any { return string(v) })
}

// Bool declares a yes-or-no parameter stored in p.
func (s *Set) Bool(p *bool, name string, def bool, help string) *Spec {
	sp := &Spec{Name: name, Help: help, Kind: Boolean}
	sp.set = func(raw any) error { return as(raw, p, "true or false") }
	return bind(s, sp, p, def, same)
}

// Int declares a whole number in [lo, hi] stored in p, counted in unit.
func (s *Set) Int(p *int, name string, def, lo, hi int, unit, help string) *Spec {
	sp := &Spec{Name: name, Help: help, Kind: Integer, Unit: unit, Min: strconv.Itoa(lo), Max: strconv.Itoa(hi)}
	sp.set = func(raw any) error {
		v, err := wholeNumber(raw)
		if err == nil {
			err = within(v, int64(lo), int64(hi), func(n int64) string { return strconv.FormatInt(n, 10) })
		}
		if err != nil {
			return err
		}
		*p = int(v)
		return nil
	}
	return bind(s, sp, p, def, func(v int) any { return int64(v) })
}

// Float declares a number in [lo, hi] stored in p, counted in unit.
func (s *Set) Float(p *float64, name string, def, lo, hi float64, unit, help string) *Spec {
	text := func(f float64) string { return Literal(f) }
	sp := &Spec{Name: name, Help: help, Kind: Number, Unit: unit, Min: text(lo), Max: text(hi)}
	sp.set = func(raw any) error {
		v, ok := raw.(float64)
		if !ok {
			n, err := wholeNumber(raw)
			if err != nil {
				return fmt.Errorf("want a number, got %s", describe(raw))
			}
			v = float64(n)
		}
		// Written so that NaN, which compares false with everything, is refused.
		if !(v >= lo && v <= hi) {
			return fmt.Errorf("%s is outside %s to %s", text(v), text(lo), text(hi))
		}
		*p = v
		return nil
	}
	return bind(s, sp, p, def, same)
}

// Duration declares a time span in [lo, hi] stored in p.
func (s *Set) Duration(p *time.Duration, name string, def, lo, hi time.Duration, help string) *Spec {
	sp := &Spec{Name: name, Help: help, Kind: Duration, Min: quoted(FormatDuration(lo)), Max: quoted(FormatDuration(hi))}
	sp.set = func(raw any) error {
		v, err := parseUnit(raw, `a duration such as "30s"`, ParseDuration)
		if err == nil {
			err = within(v, lo, hi, FormatDuration)
		}
		if err != nil {
			return err
		}
		*p = v
		return nil
	}
	return bind(s, sp, p, def, func(v time.Duration) any { return FormatDuration(v) })
}

// Size declares a number of bytes in [lo, hi] stored in p.
func (s *Set) Size(p *int64, name string, def, lo, hi int64, help string) *Spec {
	sp := &Spec{Name: name, Help: help, Kind: Size, Min: quoted(FormatSize(lo)), Max: quoted(FormatSize(hi))}
	sp.set = func(raw any) error {
		v, err := parseUnit(raw, `a size such as "500MiB"`, ParseSize)
		if err == nil {
			err = within(v, lo, hi, FormatSize)
		}
		if err != nil {
			return err
		}
		*p = v
		return nil
	}
	return bind(s, sp, p, def, func(v int64) any { return FormatSize(v) })
}

// Strings declares a list of texts stored in p.
func (s *Set) Strings(p *[]string, name string, def []string, help string) *Spec {
	sp := &Spec{Name: name, Help: help, Kind: List}
	sp.set = func(raw any) error {
		items, ok := raw.([]any)
		if !ok {
			return fmt.Errorf(`want a list such as ["a", "b"], got %s`, describe(raw))
		}
		v := make([]string, len(items))
		for i, item := range items {
			if err := as(item, &v[i], fmt.Sprintf("text as item %d", i+1)); err != nil {
				return err
			}
		}
		*p = v
		return nil
	}
	return bind(s, sp, p, def, func(v []string) any {
		if v == nil && sp.noDefault {
			return nil
		}
		items := make([]any, len(v))
		for i, item := range v {
			items[i] = item
		}
		return items
	})
}

// within reports whether v lies in [lo, hi]; text writes a value as a
// configuration file would.
func within[T cmp.Ordered](v, lo, hi T, text func(T) string) error {
	if lo == hi && v != lo {
		return fmt.Errorf("%s must be %s", text(v), text(lo))
	}
	if v < lo || v > hi {
		return fmt.Errorf("%s is outside %s to %s", text(v), text(lo), text(hi))
	}
	return nil
}
