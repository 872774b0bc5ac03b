package schema

import (
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"shisa/ctl/api"
)

// Markdown writes the reference of the API: its requests, then a table for each
// structure that they take and give.
func Markdown(w io.Writer, comments Comments) {
	g := generator{defs: object{}, comments: comments}
	fmt.Fprint(w, "| request | right | what it does | takes | answers |\n| --- | --- | --- | --- | --- |\n")
	for _, r := range api.Routes() {
		path := r.Path
		if len(r.Query) > 0 {
			path += "?" + strings.Join(r.Query, "&")
		}
		answer := "lines of FollowItem"
		if r.Answer != nil {
			answer = g.name(r.Answer)
		}
		fmt.Fprintf(w, "| `%s %s` | %s | %s | %s | %s |\n", r.Method, path, r.Right, r.Doc, g.name(r.Body), answer)
	}
	g.name(api.FollowItem{}) // an answer without a type of its own: a stream
	g.name(api.Error{})
	fmt.Fprint(w, "\n## What requests take and answers hold\n\nA field with a ° may be absent.\n")
	for _, name := range slices.SortedFunc(maps.Keys(g.defs), func(a, b string) int { return strings.Compare(bare(a), bare(b)) }) {
		table(w, name, g.defs[name].(object))
	}
}

// name is what the type of v is called in the tables; "–" for nothing.
func (g generator) name(v any) string {
	if v == nil {
		return "–"
	}
	s := g.of(reflect.TypeOf(v))
	if d := s["$ref"]; d != nil && len(g.defs[strings.TrimPrefix(d.(string), "#/$defs/")].(object)["properties"].(object)) == 0 {
		return "–"
	}
	return kind(s)
}

func table(w io.Writer, name string, def object) {
	fields := def["properties"].(object)
	if len(fields) == 0 {
		return
	}
	fmt.Fprintf(w, "\n### %s\n\n", bare(name))
	if text, ok := def["description"].(string); ok {
		fmt.Fprintf(w, "%s\n\n", text)
	}
	fmt.Fprint(w, "| field | type | meaning |\n| --- | --- | --- |\n")
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		f := fields[field].(object)
		mark := "°"
		if slices.Contains(def["required"].([]string), field) {
			mark = ""
		}
		text, _ := f["description"].(string)
		if text == kind(f) {
			text = "" // a span says so of itself
		}
		fmt.Fprintf(w, "| `%s`%s | %s | %s |\n", field, mark, kind(f), strings.ReplaceAll(text, "|", `\|`))
	}
}

// kind says in a word or two what a schema allows.
func kind(s object) string {
	switch {
	case s["$ref"] != nil:
		return bare(strings.TrimPrefix(s["$ref"].(string), "#/$defs/"))
	case s["enum"] != nil:
		return strings.Join(s["enum"].([]string), ", ")
	case s["anyOf"] != nil:
		return kind(s["anyOf"].([]object)[1]) + " or null"
	case s["type"] == "array":
		return "list of " + kind(s["items"].(object))
	case s["type"] == "object":
		return "text → " + kind(s["additionalProperties"].(object))
	case s["format"] == "date-time":
		return "time"
	case s["type"] == "string":
		return "text"
	case s["type"] == "number":
		return "milliseconds"
	}
	return s["type"].(string)
}

// bare is a type's name without its package.
func bare(name string) string { return name[strings.LastIndex(name, ".")+1:] }
