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

	set   func(raw any) error
	check []func() error
}

// Required makes an absent or empty value a mistake.
func (s *Spec) Required() *Spec { s.IsRequired = true; return s }

// Secret keeps the value out of logs, status output and collected logs.
func (s *Spec) Secret() *Spec { s.IsSecret = true; return s }

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

func (s *Set) add(sp *Spec) *Spec { s.specs = append(s.specs, sp); return sp }

// String declares a text parameter stored in p.
func (s *Set) String(p *string, name, def, help string) *Spec {
	*p = def
	sp := &Spec{Name: name, Help: help, Kind: Text, Default: quoted(def)}
	sp.set = func(raw any) error { return as(raw, p, `text in quotes`) }
	return s.add(sp)
}

// Choice declares a text parameter that is one of choices, stored in p.
func (s *Set) Choice(p *string, name, def string, choices []string, help string) *Spec {
	*p = def
	sp := &Spec{Name: name, Help: help, Kind: Choice, Default: quoted(def), Choices: choices}
	sp.set = func(raw any) error {
		var v string
		if err := as(raw, &v, "one of "+strings.Join(choices, ", ")); err != nil {
			return err
		}
		if !slices.Contains(choices, v) {
			return fmt.Errorf("%q is none of %s%s", v, strings.Join(choices, ", "), suggest(v, choices))
		}
		*p = v
		return nil
	}
	return s.add(sp)
}

// Bool declares a yes-or-no parameter stored in p.
func (s *Set) Bool(p *bool, name string, def bool, help string) *Spec {
	*p = def
	sp := &Spec{Name: name, Help: help, Kind: Boolean, Default: strconv.FormatBool(def)}
	sp.set = func(raw any) error { return as(raw, p, "true or false") }
	return s.add(sp)
}

// Int declares a whole number in [lo, hi] stored in p, counted in unit.
func (s *Set) Int(p *int, name string, def, lo, hi int, unit, help string) *Spec {
	*p = def
	sp := &Spec{Name: name, Help: help, Kind: Integer, Unit: unit,
		Default: strconv.Itoa(def), Min: strconv.Itoa(lo), Max: strconv.Itoa(hi)}
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
	return s.add(sp)
}

// Float declares a number in [lo, hi] stored in p, counted in unit.
func (s *Set) Float(p *float64, name string, def, lo, hi float64, unit, help string) *Spec {
	*p = def
	text := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	sp := &Spec{Name: name, Help: help, Kind: Number, Unit: unit, Default: text(def), Min: text(lo), Max: text(hi)}
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
	return s.add(sp)
}

// Duration declares a time span in [lo, hi] stored in p.
func (s *Set) Duration(p *time.Duration, name string, def, lo, hi time.Duration, help string) *Spec {
	*p = def
	sp := &Spec{Name: name, Help: help, Kind: Duration,
		Default: quoted(FormatDuration(def)), Min: quoted(FormatDuration(lo)), Max: quoted(FormatDuration(hi))}
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
	return s.add(sp)
}

// Size declares a number of bytes in [lo, hi] stored in p.
func (s *Set) Size(p *int64, name string, def, lo, hi int64, help string) *Spec {
	*p = def
	sp := &Spec{Name: name, Help: help, Kind: Size,
		Default: quoted(FormatSize(def)), Min: quoted(FormatSize(lo)), Max: quoted(FormatSize(hi))}
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
	return s.add(sp)
}

// Strings declares a list of texts stored in p.
func (s *Set) Strings(p *[]string, name string, def []string, help string) *Spec {
	*p = def
	sp := &Spec{Name: name, Help: help, Kind: List, Default: quotedList(def)}
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
	return s.add(sp)
}

// within reports whether v lies in [lo, hi]; text writes a value as a
// configuration file would.
func within[T cmp.Ordered](v, lo, hi T, text func(T) string) error {
	if v < lo || v > hi {
		return fmt.Errorf("%s is outside %s to %s", text(v), text(lo), text(hi))
	}
	return nil
}
