package config

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/param"
)

// fakeMulti counts other monitors.
func fakeMulti() monitor.Type {
	return monitor.Define(monitor.Spec[[]string]{
		Name: "multi", Title: "Several monitors together", Doc: "Counts monitors.",
		Timing: monitor.Timing{Interval: 30 * time.Second, Timeout: 30 * time.Second},
		Params: func(p *[]string, s *param.Set) {
			s.Strings(p, "monitors", nil, "Names of the monitors.").Required().Monitors()
		},
		New: newMonitor[[]string], Example: map[string]any{"monitors": []any{"tcp-1"}},
	})
}

// Monitors that a monitor names must be there, and must not count on it.
func TestMembers(t *testing.T) {
	const port = "[[monitor]]\nname = \"port\"\ntype = \"tcp\"\nport = 80\n"
	multi := func(name, members string) string {
		return "[[monitor]]\nname = \"" + name + "\"\ntype = \"multi\"\nmonitors = [" + members + "]\n"
	}
	for _, tt := range []struct{ name, text, want string }{
		{"there", port + multi("both", `"port"`), ""},
		{"there, further down", multi("both", `"port"`) + port, ""},
		{"one of another", port + multi("a", `"port"`) + multi("b", `"a", "port"`), ""},
		{"not there", port + multi("both", "\n\"port\",\n\"prot\",\n"), `f:10: monitor.both.monitors: there is no monitor "prot"; did you mean "port"?`},
		{"itself", multi("a", `"a"`), "f:4: monitor.a.monitors: monitors count on each other: a → a"},
		{"a circle", port + multi("a", `"port", "b"`) + multi("b", `"a"`), "f:8: monitor.a.monitors: monitors count on each other: a → b → a"},
		{"none", multi("a", ""), "f:4: monitor.a.monitors: required. Names of the monitors."},
	} {
		reg := fakes()
		reg.Monitors["multi"] = fakeMulti()
		_, problems := Parse([]byte(tt.text), "f", "", reg)
		var got []string
		for _, p := range problems {
			got = append(got, p.String())
		}
		if strings.Join(got, "\n") != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestFix055NothingOfADeletedResourceStays: whoever deletes a resource is told of
// every monitor that belongs to it, whatever else was changed in that monitor.
// (The original left monitors of a virtual machine behind.)
func TestFix055NothingOfADeletedResourceStays(t *testing.T) {
	const rest = "[[group]]\nname = \"g\"\n[[resource]]\nname = \"other\"\ntype = \"exec\"\nstart = \"/bin/true\"\ngroup = \"g\"\n"
	const vm = "[[resource]]\nname = \"vm\"\ntype = \"exec\"\nstart = \"/bin/true\"\ngroup = \"g\"\n"
	for name, tt := range map[string]struct {
		monitor string
		want    []string
	}{
		"by target":        {"target = \"vm\"\n", []string{`monitor.m.target: there is no resource "vm"`}},
		"by another name":  {"target = \"vm\"\nwhen = \"active\"\ninterval = \"99s\"\ncomment = \"changed\"\n", []string{`monitor.m.target: there is no resource "vm"`}},
		"by what it mends": {"[monitor.recovery]\ntarget = \"resource/vm\"\n", []string{`monitor.m.recovery.target: there is no resource "vm"`}},
		"by both":          {"target = \"vm\"\n[monitor.recovery]\ntarget = \"resource/vm\"\n", []string{"monitor.m.target"}},
		"one of another":   {"target = \"other\"\n", nil},
		"one of nobody":    {"", nil},
	} {
		text := rest + vm + "[[monitor]]\nname = \"m\"\ntype = \"tcp\"\nport = 80\n" + tt.monitor
		if m, problems := Parse([]byte(text), "f", "", fakes()); m == nil {
			t.Fatalf("%s: %v", name, problems)
		}
		_, problems := Parse([]byte(strings.Replace(text, vm, "", 1)), "f", "", fakes())
		said := fmt.Sprint(problems.Err())
		for _, want := range tt.want {
			if !strings.Contains(said, want) {
				t.Errorf("%s: %q is not said: %s", name, want, said)
			}
		}
		if len(tt.want) == 0 && problems.Err() != nil {
			t.Errorf("%s: %s", name, said)
		}
	}
}
