// Package schema derives JSON Schema (draft 2020-12) from the Go types of the
// API and keeps the result in the tree, for programs that parse what shisa
// prints. A test keeps the files equal to the types.
package schema

import (
	"embed"
	"encoding"
	"reflect"
	"strings"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/event"
	"shisa/ctl/why"
)

//go:embed *.json
var files embed.FS

// Names lists the outputs that have a schema.
func Names() []string { return []string{"status", "why", "events", "doctor"} }

// Read returns the schema of the output name as it is in the tree.
func Read(name string) ([]byte, error) { return files.ReadFile(name + ".json") }

// enums lists the values of text types.
var enums = map[reflect.Type][]string{
	reflect.TypeFor[api.Level]():           {"ok", "info", "warning", "error", "critical"},
	reflect.TypeFor[api.ProtectionState](): {"protected", "lesser", "observing", "unprotected", "disarmed"},
	reflect.TypeFor[api.State]():           {"stopped", "starting", "started", "stopping", "start-failed", "stop-failed"},
	reflect.TypeFor[api.MonitorState]():    {"waiting", "probing", "inactive", "suspended", "broken"},
	reflect.TypeFor[api.Verdict]():         {"not-yet", "ok", "warning", "failed", "could-not-look", "timed-out"},
	reflect.TypeFor[event.Severity]():      {"info", "warning", "error", "critical"},
	reflect.TypeFor[why.Confidence]():      {"certain", "likely", "possible"},
	reflect.TypeFor[why.Cause]():           causes(),
}

func causes() []string {
	var names []string
	for _, c := range why.Causes() {
		names = append(names, string(c))
	}
	return names
}

type object = map[string]any

// Of returns the schema of v's type under title. What fields mean is said in the
// words of comments; without them, not at all.
func Of(title string, v any, comments Comments) map[string]any {
	g := generator{defs: object{}, comments: comments}
	s := g.of(reflect.TypeOf(v))
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "shisa " + title + " --json"
	s["$defs"] = g.defs
	return s
}

type generator struct {
	defs     object
	comments Comments
}

func (g generator) of(t reflect.Type) object {
	switch {
	case enums[t] != nil:
		return object{"type": "string", "enum": enums[t]}
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[api.Millis]():
		return object{"type": "number", "description": "milliseconds"}
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Slice:
		return object{"type": "array", "items": g.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": g.of(t.Elem())}
	case reflect.Pointer:
		return object{"anyOf": []object{{"type": "null"}, g.of(t.Elem())}}
	case reflect.Struct:
		name := t.String()
		if g.defs[name] == nil {
			g.defs[name] = object{} // stops recursion
			g.defs[name] = g.structure(t)
		}
		return object{"$ref": "#/$defs/" + name}
	}
	panic("schema: no schema for " + t.String())
}

// structure lists the fields; those that may be left out are not required.
func (g generator) structure(t reflect.Type) object {
	properties, required := object{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		ft := f.Type
		if strings.Contains(options, "omit") {
			if ft.Kind() == reflect.Pointer {
				ft = ft.Elem() // absent rather than null
			}
		} else {
			required = append(required, name)
		}
		properties[name] = described(g.of(ft), g.comments[t.String()+"."+f.Name])
	}
	return described(object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}, g.comments[t.String()])
}

func described(s object, text string) object {
	if text != "" {
		s["description"] = text
	}
	return s
}
