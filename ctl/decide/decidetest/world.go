// Package decidetest runs a decision machine against a small scripted world
// in simulated time, and checks after every step what must always hold.
package decidetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/decide"
	"shisa/ctl/recovery"
)

// A World answers a machine's commands. Operations end when [World.Run] lets
// their time come.
type World struct {
	Machine *decide.Machine
	Now     time.Duration
	Trace   []string // what the machine did, one line each

	// Fails says how an operation ends: "start web", "stop web", "script
	// PATH", "act reboot" → the failure. Nothing: it succeeds.
	Fails map[string]string
	// Takes says how long an operation takes; nothing: no time.
	Takes map[string]time.Duration

	Broken   []string // invariants that did not hold
	probing  map[string]bool
	running  map[string]bool // resources
	inFlight map[decide.Op]outstanding
	intents  int
}

type outstanding struct {
	at   time.Duration
	what string
	done func(failure string)
}

// New returns a world around a machine for model; nothing has happened yet.
func New(model *config.Model) *World {
	return &World{Machine: decide.New(model), Fails: map[string]string{}, Takes: map[string]time.Duration{},
		probing: map[string]bool{}, running: map[string]bool{}, inFlight: map[decide.Op]outstanding{}}
}

// Input gives in to the machine now and carries out what it answers.
func (w *World) Input(in decide.Input) {
	for _, c := range w.Machine.Step(w.Now, in) {
		w.carryOut(c)
	}
	w.check()
}

// Probe reports outcome for monitor, if the machine wants it probed.
func (w *World) Probe(monitor string, outcome recovery.Input) {
	if w.probing[monitor] {
		w.Input(decide.Probed{Monitor: monitor, Outcome: outcome, Detail: "scripted"})
	}
}

// Probing reports whether the machine wants monitor probed.
func (w *World) Probing(monitor string) bool { return w.probing[monitor] }

// Run lets d pass: operations end and timers fire in their order.
func (w *World) Run(d time.Duration) {
	end := w.Now + d
	for round := 0; ; round++ {
		if round > 100000 {
			panic(fmt.Sprintf("decidetest: no end at %v; last: %q", w.Now, w.Trace[max(0, len(w.Trace)-8):]))
		}
		op, ended := w.nextEnd()
		wake, timer := w.Machine.Wake()
		switch {
		case ended && w.inFlight[op].at <= end && (!timer || w.inFlight[op].at <= wake):
			o := w.inFlight[op]
			delete(w.inFlight, op)
			w.Now = max(w.Now, o.at)
			failure := w.Fails[o.what]
			o.done(failure)
			w.Input(decide.Ended{Op: op, Failure: failure})
		case timer && wake <= end:
			w.Now = max(w.Now, wake)
			w.Input(decide.Tick{})
		default:
			w.Now = end
			return
		}
	}
}

func (w *World) nextEnd() (decide.Op, bool) {
	var best decide.Op
	for _, op := range slices.Sorted(maps.Keys(w.inFlight)) {
		if best == 0 || w.inFlight[op].at < w.inFlight[best].at {
			best = op
		}
	}
	return best, best != 0
}

func (w *World) begin(op decide.Op, what string, done func(failure string)) {
	w.note("%s", what)
	if _, twice := w.inFlight[op]; twice || op == 0 {
		w.broken("operation %d begun twice", op)
	}
	w.inFlight[op] = outstanding{w.Now + w.Takes[what], what, done}
}

func (w *World) carryOut(c decide.Command) {
	switch c := c.(type) {
	case decide.StartResource:
		if w.running[c.Resource] {
			w.broken("resource %s started while it runs", c.Resource)
		}
		w.begin(c.Op, "start "+c.Resource, func(failure string) { w.running[c.Resource] = failure == "" })
	case decide.StopResource:
		w.begin(c.Op, "stop "+c.Resource, func(failure string) { w.running[c.Resource] = failure != "" && w.running[c.Resource] })
	case decide.RunScript:
		w.begin(c.Op, "script "+c.Path, func(string) {})
	case decide.Act:
		w.intents++
		w.begin(c.Op, "act "+string(c.Action), func(string) {})
	case decide.Probe:
		w.note("probe %s", c.Monitor)
	case decide.Watch:
		if w.probing[c.Monitor] == c.On {
			w.broken("watching of %s switched to what it is", c.Monitor)
		}
		w.probing[c.Monitor] = c.On
	case decide.Emit:
		w.note("event %s %s", c.Event.Code, c.Event.Subject)
	case decide.Guard:
		w.note("guard")
	case decide.Swap:
		w.note("swap")
	case decide.Exit:
		w.note("exit")
	case decide.Save, decide.Decided:
	}
}

// check looks at what must hold after every step.
func (w *World) check() {
	busy := map[string]int{}
	for _, o := range w.inFlight {
		if kind, name, _ := strings.Cut(o.what, " "); kind == "start" || kind == "stop" {
			busy[name]++
		}
	}
	for name, n := range busy {
		if n > 1 {
			w.broken("%d operations of resource %s at the same time", n, name)
		}
	}
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
