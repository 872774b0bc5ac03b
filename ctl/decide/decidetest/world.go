// Package decidetest runs a decision machine against a small scripted world
// in simulated time, and checks after every step what must always hold.
package decidetest

import (
	"fmt"
	"slices"
	"strings"

	"shisa/ctl/config"
	"shisa/ctl/decide"
	"shisa/ctl/decide/simulate"
	"shisa/ctl/recovery"
)

// A World answers a machine's commands. Operations end when Run lets their time
// come.
type World struct {
	*simulate.World
	Trace  []string // what the machine did, one line each
	Broken []string // invariants that did not hold

	running map[string]bool // resources
	busy    map[string]bool // those being started or stopped
	begun   map[decide.Op]bool
}

// New returns a world around a machine for model; nothing has happened yet.
func New(model *config.Model) *World {
	w := &World{World: simulate.NewWorld(model), running: map[string]bool{}, busy: map[string]bool{}, begun: map[decide.Op]bool{}}
	w.See, w.Ended = w.see, w.ended
	return w
}

// Probe reports outcome for monitor, if the machine wants it probed.
func (w *World) Probe(monitor string, outcome recovery.Input) {
	if w.Probing(monitor) {
		w.Input(decide.Probed{Monitor: monitor, Outcome: outcome, Detail: "scripted"})
	}
}

// ended notes what runs after the end of an operation.
func (w *World) ended(what, failure string) {
	switch kind, name, _ := strings.Cut(what, " "); kind {
	case "start":
		w.running[name], w.busy[name] = failure == "", false
	case "stop":
		w.running[name], w.busy[name] = failure != "" && w.running[name], false
	}
}

func (w *World) see(c decide.Command) {
	if op, what := simulate.Operation(c); op != 0 {
		w.begin(op, what)
		return
	}
	switch c := c.(type) {
	case decide.Probe:
		w.note("probe %s", c.Monitor)
	case decide.Watch:
		if w.Probing(c.Monitor) == c.On {
			w.broken("watching of %s switched to what it is", c.Monitor)
		}
	case decide.Emit:
		w.note("event %s %s", c.Event.Code, c.Event.Subject)
	case decide.Guard:
		w.note("guard")
	case decide.Swap:
		w.note("swap")
	case decide.Stay:
		w.note("stay")
	case decide.Exit:
		w.note("exit")
	}
}

// begin looks at what must hold of every operation.
func (w *World) begin(op decide.Op, what string) {
	w.note("%s", what)
	if w.begun[op] {
		w.broken("operation %d begun twice", op)
	}
	w.begun[op] = true
	kind, name, _ := strings.Cut(what, " ")
	if kind != "start" && kind != "stop" {
		return
	}
	if kind == "start" && w.running[name] {
		w.broken("resource %s started while it runs", name)
	}
	if w.busy[name] {
		w.broken("two operations of resource %s at the same time", name)
	}
	w.busy[name] = true
}

func (w *World) note(format string, args ...any) {
	w.Trace = append(w.Trace, fmt.Sprintf("%v ", w.Now)+fmt.Sprintf(format, args...))
}

func (w *World) broken(format string, args ...any) {
	w.Broken = append(w.Broken, fmt.Sprintf("%v: ", w.Now)+fmt.Sprintf(format, args...))
}

// Count returns how many lines of the trace contain text.
func (w *World) Count(text string) int {
	n := 0
	for _, line := range w.Trace {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// Did returns what the machine did, without times, of the lines that begin with
// one of prefixes.
func (w *World) Did(prefixes ...string) []string {
	var found []string
	for _, line := range w.Trace {
		_, what, _ := strings.Cut(line, " ")
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(what, p) }) {
			found = append(found, what)
		}
	}
	return found
}
