package param

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// patterns are regular expressions that the text forms of a kind match, so that
// an editor can mark a wrong unit.
var patterns = map[Kind]string{
	Duration: `^([0-9]+d)?([0-9]+(\.[0-9]*)?(h|m|s|ms|us|µs|ns))*$`,
	Size:     `^[0-9]+ *(B|KiB|MiB|GiB|TiB)$`,
}

// JSONSchema renders the set as a JSON Schema object (draft 2020-12); the web
// form is drawn from it.
func (s *Set) JSONSchema() map[string]any {
	props, required := map[string]any{}, []string{}
	for i, sp := range s.specs {
		p := map[string]any{"type": sp.schemaType(), "description": sp.Help, "x-order": i, "x-kind": string(sp.Kind)}
		if sp.Default != "" && !sp.IsRequired {
			p["x-default"] = sp.Default
		}
		if sp.Unit != "" {
			p["x-unit"] = sp.Unit
		}
		if sp.Min != "" {
			p["x-minimum"], p["x-maximum"] = sp.Min, sp.Max
		}
		if sp.Kind == Integer || sp.Kind == Number && json.Valid([]byte("["+sp.Min+","+sp.Max+"]")) { // an infinite bound is none
			p["minimum"], p["maximum"] = json.Number(sp.Min), json.Number(sp.Max)
		}
		if pattern := patterns[sp.Kind]; pattern != "" {
			p["pattern"] = pattern
		}
		if sp.Kind == Choice {
			p["enum"] = sp.Choices
		}
		if sp.Kind == List {
			p["items"] = map[string]any{"type": "string"}
		}
		if sp.IsSecret {
			p["writeOnly"] = true
		}
		if sp.IsMonitors {
			p["x-names"] = "monitor"
		}
		props[sp.Name] = p
		if sp.IsRequired {
			required = append(required, sp.Name)
		}
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": props, "required": required}
}

func (s *Spec) schemaType() string {
	switch s.Kind {
	case Integer, Number, Boolean:
		return string(s.Kind)
	case List:
		return "array"
	case Text, Duration, Size, Choice:
	}
	return "string"
}

// Markdown writes the reference table of the set.
func (s *Set) Markdown(w io.Writer) {
	fmt.Fprintln(w, "| Parameter | Default | Range | Meaning |\n| --- | --- | --- | --- |")
	for _, sp := range s.specs {
		def := "`" + sp.Default + "`"
		switch {
		case sp.IsRequired:
			def = "required"
		case sp.Default == "":
			def = "absent"
		}
		fmt.Fprintf(w, "| `%s` | %s | %s | %s |\n", sp.Name, def, sp.Range(), strings.ReplaceAll(sp.Help, "|", "\\|"))
	}
}

// Range describes the allowed values in words; empty when anything goes.
func (s *Spec) Range() string {
	switch {
	case s.Kind == Choice:
		return strings.Join(s.Choices, ", ")
	case s.Min != "" && s.Min == s.Max:
		return s.Min
	case s.Min != "" && s.Unit != "":
		return s.Min + " to " + s.Max + " " + s.Unit
	case s.Min != "":
		return s.Min + " to " + s.Max
	}
	return ""
}

// TOML writes the set as a commented piece of configuration file: above each
// key its meaning and range. Keys are commented out, since a default need not
// be written, unless set says otherwise.
func (s *Set) TOML(w io.Writer, set map[string]string) {
	for _, sp := range s.specs {
		fmt.Fprintf(w, "# %s", sp.Help)
		if r := sp.Range(); r != "" {
			fmt.Fprintf(w, " (%s)", r)
		}
		fmt.Fprintln(w)
		if v, ok := set[sp.Name]; ok {
			fmt.Fprintf(w, "%s = %s\n", sp.Name, v)
		} else {
			fmt.Fprintf(w, "#%s = %s\n", sp.Name, cmp.Or(sp.Default, "[]"))
		}
	}
}
