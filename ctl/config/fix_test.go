package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"shisa/ctl/param"
)

// A declared key, and how a file is written in which it has some value.
type declared struct {
	table string // as problems call it
	spec  *param.Spec
	write func(value string) string
}

// baseline sets what keys need to be set at all, and names to point at.
var baseline = map[string]map[string]string{
	"stall":     {"open_file": "true"},
	"keepalive": {"pretimeout_before": `"5s"`},
	groupTable:  {"name": `"g9"`},
	resourceTable: {
		"name": `"r9"`, "group": `"g1"`,
	},
	monitorTable:  {"name": `"m9"`, "target": `"r1"`, "when": `"always"`},
	recoveryTable: {"target": `"group/g1"`, "restarts": "1", "scripts": "1", "script": `"/s"`, "command": `"/c"`, "before_final": `"/f"`},
}

const others = `
[[group]]
name = "g1"
[[group]]
name = "g2"
[[resource]]
name = "r1"
type = "systemd"
group = "g1"
unit = "u"
[[resource]]
name = "r2"
type = "systemd"
group = "g2"
unit = "u"
[[monitor]]
name = "m1"
type = "tcp"
port = 80
`

// body writes the keys of a table.
func body(keys map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		fmt.Fprintf(&b, "%s = %s\n", k, keys[k])
	}
	return b.String()
}

// with returns keys with one set to another value, if any.
func with(keys map[string]string, key, value string) map[string]string {
	keys = maps.Clone(keys)
	if keys == nil {
		keys = map[string]string{}
	}
	if value != "" {
		keys[key] = value
	}
	return keys
}

// allKeys returns every key that this package and the types declare.
func allKeys() []declared {
	var all []declared
	add := func(table string, set *param.Set, write func(key, value string) string) {
		for _, sp := range set.Specs() {
			all = append(all, declared{table, sp, func(v string) string { return write(sp.Name, v) }})
		}
	}
	add("", bound(*Default(), root), func(k, v string) string { return body(with(nil, k, v)) + others })
	for _, sec := range sections {
		add(sec.name, bound(*Default(), sec.declare), func(k, v string) string {
			return others + "[" + sec.name + "]\n" + body(with(baseline[sec.name], k, v))
		})
	}
	add(groupTable, bound(Group{}, declareGroup), func(k, v string) string {
		return others + "[[group]]\n" + body(with(baseline[groupTable], k, v))
	})
	for _, name := range slices.Sorted(maps.Keys(fakes().Resources)) {
		t := fakes().Resources[name]
		keys := example(baseline[resourceTable], name, t.Example)
		add(resourceTable+" "+name, newResourceShape(t).set, func(k, v string) string { return others + "[[resource]]\n" + body(with(keys, k, v)) })
	}
	for _, name := range slices.Sorted(maps.Keys(fakes().Monitors)) {
		t := fakes().Monitors[name]
		keys := example(baseline[monitorTable], name, t.Example)
		rest := "[monitor.recovery]\n" + body(baseline[recoveryTable])
		add(monitorTable+" "+name, newMonitorShape(t).set, func(k, v string) string { return others + "[[monitor]]\n" + body(with(keys, k, v)) + rest })
	}
	add(recoveryTable, &newRecoveryShape().set, func(k, v string) string {
		return others + "[[monitor]]\n" + body(example(baseline[monitorTable], "tcp", map[string]any{"port": int64(80)})) +
			"[monitor.recovery]\n" + body(with(baseline[recoveryTable], k, v))
	})
	return all
}

func example(keys map[string]string, typeName string, params map[string]any) map[string]string {
	keys = with(keys, "type", param.Literal(typeName))
	for k, v := range params {
		keys[k] = param.Literal(v)
	}
	return keys
}

// candidates are values that a key may take, of which at least one is valid
// and differs from what holds without it.
func (d declared) values() []string {
	switch d.spec.Kind {
	case param.Boolean:
		return []string{"true", "false"}
	case param.Integer:
		return []string{"7", "2", d.spec.Max}
	case param.Number:
		return []string{"0.125", d.spec.Max}
	case param.Duration:
		return []string{`"17s"`, `"97s"`, `"7m"`, d.spec.Max}
	case param.Size:
		return []string{`"77KiB"`, `"7777KiB"`, d.spec.Max}
	case param.List:
		return []string{`["g1"]`, `["r1"]`, `["m1"]`, `["distinct"]`, `["daily 02:00-04:00"]`, `["/distinct"]`, `["group"]`, `["stall"]`}
	case param.Choice:
		var all []string
		for _, c := range d.spec.Choices {
			all = append(all, param.Literal(c))
		}
		return all
	case param.Text:
	}
	return []string{`"/distinct"`, `"distinct"`, `"g2"`, `"r2"`, `"group/g2"`}
}

// leaves flattens v: each field, element and map entry by its path.
func leaves(v reflect.Value, path string, into map[string]string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Name != "Line" {
				leaves(v.Field(i), path+"."+f.Name, into)
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			leaves(v.MapIndex(k), path+"."+k.String(), into)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct {
			for i := range v.Len() {
				leaves(v.Index(i), fmt.Sprintf("%s[%d]", path, i), into)
			}
			return
		}
		into[path] = fmt.Sprintf("%#v", v)
	default:
		into[path] = fmt.Sprintf("%#v", v)
	}
}

// changed returns the fields in which two models differ.
func changed(a, b *Model) []string {
	was, is := map[string]string{}, map[string]string{}
	leaves(reflect.ValueOf(*a), "", was)
	leaves(reflect.ValueOf(*b), "", is)
	diff := map[string]bool{}
	for k := range was {
		diff[k] = was[k] != is[k]
	}
	for k := range is {
		diff[k] = was[k] != is[k]
	}
	maps.DeleteFunc(diff, func(_ string, differs bool) bool { return !differs })
	return slices.Sorted(maps.Keys(diff))
}

// Fix 13 of the original: the timeout of shutdown-stall monitoring could not
// be changed, because another setting was used in its place. Here every key
// that is declared anywhere, with a distinctive value, changes just one field
// of the model, and no two keys the same one. Which one is in the golden file:
// two fields that are mixed up show there.
func TestFix013EachKeyChangesItsOwnField(t *testing.T) {
	owner := map[string]string{}
	var list strings.Builder
	for _, d := range allKeys() {
		name := d.table + "." + d.spec.Name
		if d.spec.Name == "type" || name == ".version" {
			continue // says what the other keys mean; only one value is possible
		}
		var diff []string
		for _, value := range d.values() {
			before := parseAnyway(d.write(""))
			after := parseAnyway(d.write(value))
			if before == nil {
				t.Fatalf("%s: the baseline is wrong", name)
			}
			if after == nil {
				continue
			}
			if diff = changed(before, after); len(diff) > 0 {
				break
			}
		}
		// The policy counts failures by itself and gets a copy of retry.
		diff = slices.DeleteFunc(diff, func(f string) bool { return strings.HasSuffix(f, ".Recovery.Policy.Retry") })
		if len(diff) != 1 {
			t.Errorf("%s changes %d fields: %v", name, len(diff), diff)
			continue
		}
		if o, ok := owner[d.table+diff[0]]; ok {
			t.Errorf("%s changes %s, which is %s's", name, diff[0], o)
		}
		owner[d.table+diff[0]] = name
		fmt.Fprintf(&list, "%s %s\n", name, strings.TrimPrefix(diff[0], "."))
	}
	golden(t, "testdata/fields.golden", list.String())
}

// parseAnyway returns the model, if source is valid.
func parseAnyway(source string) *Model {
	m, problems := Parse([]byte(source), "f", "", fakes())
	if problems.Err() != nil {
		return nil
	}
	return m
}

// Fix 74 of the original: monitors that read the configuration while it was
// replaced failed to load it and reported errors. Here a reader in a tight
// loop finds a whole configuration every time, with its script.
func TestFix074ReadersSeeWholeConfigurations(t *testing.T) {
	to := t.TempDir()
	var from [2]string
	for i := range from {
		from[i] = t.TempDir()
		// Long files, of which a half is a valid, but different configuration.
		text := fmt.Sprintf("[server]\nname = \"v%d\"\n[[group]]\nname = \"g\"\n", i)
		for n := range 200 {
			text += fmt.Sprintf("[[resource]]\nname = \"r%d\"\ntype = \"exec\"\ngroup = \"g\"\nstart = \"start%d.sh\"\n", n, i)
		}
		write(t, filepath.Join(from[i], FileName), text, 0o600)
		write(t, filepath.Join(from[i], fmt.Sprintf("start%d.sh", i)), "#!/bin/sh\n", 0o755)
	}
	if err := Install(from[0], to); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	var reads [2]int
	for r := range reads {
		readers.Go(func() {
			for {
				m, problems := Load(to, fakes())
				if len(problems) > 0 || len(m.Resources) != 200 {
					t.Errorf("after %d reads: %v", reads[r], problems)
					return
				}
				reads[r]++
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for i := range 30 {
		if err := Install(from[i%2], to); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	readers.Wait()
	previous, err := os.ReadFile(filepath.Join(to, PreviousName))
	if err != nil || !strings.Contains(string(previous), `"v0"`) {
		t.Errorf("the previous configuration is %.40q, %v", previous, err)
	}
	t.Logf("%v reads", reads)
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
