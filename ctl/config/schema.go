package config

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"

	"shisa/ctl/param"
)

// Schema returns the JSON Schema (draft 2020-12) of the whole file, for
// editors that complete and check TOML by one.
func Schema(reg Registry) map[string]any {
	var m Model
	var top param.Set
	root(&m, &top)
	schema := top.JSONSchema()
	props := schema["properties"].(map[string]any)
	for i, sec := range sections {
		var set param.Set
		sec.declare(&m, &set)
		s := set.JSONSchema()
		s["description"], s["x-order"] = sec.help, i
		props[sec.name] = s
	}
	var group param.Set
	declareGroup(new(Group), &group)
	defs := map[string]any{recoveryTable: newRecoveryShape().set.JSONSchema()}
	props[groupTable] = listOf(group.JSONSchema(), MaxGroups)
	resources := make(map[string]map[string]any)
	for name, t := range reg.Resources {
		resources[name] = withSecrets(newResourceShape(t).set)
	}
	props[resourceTable] = listOf(byType(resourceTable, resources, defs), MaxResources)
	monitors := make(map[string]map[string]any)
	for name, t := range reg.Monitors {
		s := withSecrets(newMonitorShape(t).set)
		s["properties"].(map[string]any)[recoveryTable] = map[string]any{"$ref": "#/$defs/" + recoveryTable}
		if t.NeedsTarget {
			s["required"] = append(s["required"].([]string), "target")
		}
		monitors[name] = s
	}
	props[monitorTable] = listOf(byType(monitorTable, monitors, defs), MaxMonitors)
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "Configuration of shisa"
	schema["$defs"] = defs
	return schema
}

// withSecrets returns the schema of set, in which a secret may be a table that
// says where it is kept.
func withSecrets(set *param.Set) map[string]any {
	schema := set.JSONSchema()
	for _, sp := range set.Specs() {
		if sp.IsSecret {
			schema["properties"].(map[string]any)[sp.Name].(map[string]any)["type"] = []string{"string", "object"}
		}
	}
	return schema
}

func listOf(items map[string]any, limit int) map[string]any {
	return map[string]any{"type": "array", "items": items, "maxItems": limit}
}

// byType returns a schema that chooses one of kinds by the key "type".
func byType(kind string, kinds map[string]map[string]any, defs map[string]any) map[string]any {
	names := slices.Sorted(maps.Keys(kinds))
	choose := make([]any, len(names))
	for i, name := range names {
		def := kind + "_" + name
		defs[def] = kinds[name]
		choose[i] = map[string]any{
			"if":   map[string]any{"properties": map[string]any{"type": map[string]any{"const": name}}},
			"then": map[string]any{"$ref": "#/$defs/" + def},
		}
	}
	return map[string]any{
		"type":       "object",
		"required":   []string{"name", "type"},
		"properties": map[string]any{"type": map[string]any{"enum": names}},
		"allOf":      choose,
	}
}

// Reference writes the manual's reference of the file in Markdown: every table
// with its keys, and every registered type.
func Reference(w io.Writer, reg Registry) error {
	b := bufio.NewWriter(w)
	var m Model
	section := func(title, help string, set *param.Set) {
		fmt.Fprintf(b, "\n## %s\n\n%s\n\n", title, help)
		set.Markdown(b)
	}
	declared := func(declare func(*param.Set)) *param.Set {
		set := new(param.Set)
		declare(set)
		return set
	}
	fmt.Fprintf(b, "# Configuration reference\n\nThe file `%s` is TOML. Durations and sizes are text with a unit, such as `\"30s\"` and `\"500MiB\"`.\n", FileName)
	section("Above the first table", "What holds for everything.", declared(func(s *param.Set) { root(&m, s) }))
	for _, sec := range sections {
		section("`["+sec.name+"]`", sec.help, declared(func(s *param.Set) { sec.declare(&m, s) }))
	}
	section("`[[group]]`", "An ordered set of resources that are started and stopped together.",
		declared(func(s *param.Set) { declareGroup(new(Group), s) }))
	section("`[[resource]]`", "Something that is started and stopped. These keys are common to all types.",
		declared(func(s *param.Set) { declareResource(new(Resource), s); ofType(s, "start_timeout", "stop_timeout") }))
	section("`[[monitor]]`", "Something that is probed. These keys are common to all types.",
		declared(func(s *param.Set) {
			declareMonitor(new(Monitor), s)
			ofType(s, "when", "interval", "timeout", "retry", "first_wait")
		}))
	section("`[monitor.recovery]`", "What follows when the monitor above it fails.", &newRecoveryShape().set)
	fmt.Fprint(b, "\n## Types of resources\n")
	for _, name := range slices.Sorted(maps.Keys(reg.Resources)) {
		t := reg.Resources[name]
		reference(b, name, t.Alias, t.Title, t.Doc, fmt.Sprintf("`start_timeout` %s, `stop_timeout` %s",
			param.FormatDuration(t.Timing.Start), param.FormatDuration(t.Timing.Stop)), t.Params())
	}
	fmt.Fprint(b, "\n## Types of monitors\n")
	for _, name := range slices.Sorted(maps.Keys(reg.Monitors)) {
		t := reg.Monitors[name]
		defaults := fmt.Sprintf("`interval` %s, `timeout` %s, `retry` %d, `first_wait` %s, `when` %s", param.FormatDuration(t.Timing.Interval),
			param.FormatDuration(t.Timing.Timeout), t.Timing.Retry, param.FormatDuration(t.Timing.FirstWait), t.When)
		if t.NeedsTarget {
			defaults += "; `target` is required"
		}
		reference(b, name, t.Alias, t.Title, t.Doc, defaults, t.Params())
	}
	return b.Flush()
}

// ofType marks keys whose default each type sets for itself.
func ofType(set *param.Set, names ...string) {
	for _, sp := range set.Specs() {
		if slices.Contains(names, sp.Name) {
			sp.Default = "of the type"
		}
	}
}

// reference writes one type.
func reference(w io.Writer, name, alias, title, doc, defaults string, set *param.Set) {
	fmt.Fprintf(w, "\n### `%s`: %s\n\n%s\n\nDefaults: %s.", name, title, doc, defaults)
	if alias != "" {
		fmt.Fprintf(w, " The original calls it `%s`.", alias)
	}
	fmt.Fprint(w, "\n\n")
	if len(set.Specs()) == 0 {
		fmt.Fprint(w, "It has no parameters of its own.\n")
		return
	}
	set.Markdown(w)
}
