package config

import (
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
