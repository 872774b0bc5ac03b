package simulate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"shisa/ctl/config"
	"shisa/ctl/decide"
	"shisa/ctl/param"
	"shisa/ctl/recovery"
)

// Check looks for the names in a history among those of a configuration. It
// returns all that are not there, joined.
func (h History) Check(m *config.Model) error {
	known := names(m)
	var mistakes []error
	line := 0
	for _, s := range h.steps {
		if s.line == line {
			continue // repeated
		}
		line = s.line
		kind, name := s.subject()
		if kind == "" || name == "" || slices.Contains(known[kind], name) {
			continue
		}
		hint := ""
		if near := param.Nearest(name, known[kind]); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		mistakes = append(mistakes, Problem{line, fmt.Errorf("there is no %s %q%s", kind, name, hint)})
	}
	return errors.Join(mistakes...)
}

// names lists what a history can name, by kind.
func names(m *config.Model) map[string][]string {
	known := map[string][]string{}
	for _, g := range m.Groups {
		known["group"] = append(known["group"], g.Name)
	}
	for _, r := range m.Resources {
		known["resource"] = append(known["resource"], r.Name)
	}
	for _, w := range m.Monitors {
		known["monitor"] = append(known["monitor"], w.Name)
	}
	for _, a := range recovery.FinalActions() {
		known["action"] = append(known["action"], string(a))
	}
	return known
}

// subject returns what a step names; an empty name means all, or none.
func (s step) subject() (kind, name string) {
	switch in := s.input.(type) {
	case decide.Probed:
		return "monitor", in.Monitor
	case decide.Hold:
		return "monitor", in.Monitor
	case decide.Dummy:
		return "monitor", in.Monitor
	case decide.ResetMonitor:
		return "monitor", in.Monitor
	case decide.GroupWanted:
		return "group", in.Name
	case decide.ResourceWanted:
		return "resource", in.Name
	}
	verb, name, _ := strings.Cut(s.operation, " ")
	return map[string]string{"start": "resource", "stop": "resource", "act": "action"}[verb], name
}
