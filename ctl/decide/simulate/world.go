package simulate

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/decide"
)

// A World answers a machine's commands. Operations end when [World.Run] lets
// their time come.
type World struct {
	Machine *decide.Machine
	Model   *config.Model // given to the machine last
	Now     time.Duration

	// Fails says how an operation ends: "start web", "stop web", "script
	// PATH", "act reboot", "blockers" → the failure. Nothing: it succeeds.
	Fails map[string]string
	// Takes says how long an operation takes; nothing: no time. One that takes
	// longer than it may ends then, and has failed.
	Takes map[string]time.Duration

	See   func(decide.Command)       // is shown each command; may be nil
	Ended func(what, failure string) // is told the end of each operation; may be nil

	probing  map[string]bool
	inFlight map[decide.Op]operation
}

type operation struct {
	at      time.Duration // it ends
	what    string
	timeout time.Duration // that ends it; 0: it ends by itself
}

// failure returns how o ends.
func (w *World) failure(o operation) string {
	if o.timeout > 0 && o.what == "blockers" {
		return fmt.Sprintf("the blockers do not answer within %v", o.timeout)
	}
	if o.timeout > 0 {
		return fmt.Sprintf("not done within %v", o.timeout)
	}
	return w.Fails[o.what]
}

// rounds bounds what happens within one [World.Run], which comes to no end
// then: a defect of the machine.
const rounds = 100_000

// NewWorld returns a world around a machine for model; nothing has happened
// yet.
func NewWorld(model *config.Model) *World {
	return &World{Machine: decide.New(model), Model: model, Fails: map[string]string{}, Takes: map[string]time.Duration{},
		probing: map[string]bool{}, inFlight: map[decide.Op]operation{}}
}

// Input gives in to the machine now and carries out what it answers.
func (w *World) Input(in decide.Input) {
	for _, c := range w.Machine.Step(w.Now, in) {
		if w.See != nil {
			w.See(c)
		}
		w.carryOut(c)
	}
}

func (w *World) carryOut(c decide.Command) {
	if watch, ok := c.(decide.Watch); ok {
		w.probing[watch.Monitor] = watch.On
	}
	if op, what := Operation(c); op != 0 {
		o := operation{w.Now + w.Takes[what], what, 0}
		if limit := timeout(c); limit > 0 && w.Takes[what] > limit {
			o.at, o.timeout = w.Now+limit, limit
		}
		w.inFlight[op] = o
	}
}

// Operation returns the operation that c begins and what it is called, and 0
// when c begins none.
func Operation(c decide.Command) (decide.Op, string) {
	switch c := c.(type) {
	case decide.StartResource:
		return c.Op, "start " + c.Resource
	case decide.StopResource:
		return c.Op, "stop " + c.Resource
	case decide.RunScript:
		return c.Op, "script " + c.Path
	case decide.Act:
		return c.Op, "act " + string(c.Action)
	case decide.AskBlockers:
		return c.Op, "blockers"
	}
	return 0, ""
}

// timeout returns how long what c begins may take; 0: as long as it likes.
func timeout(c decide.Command) time.Duration {
	switch c := c.(type) {
	case decide.StartResource:
		return c.Timeout
	case decide.StopResource:
		return c.Timeout
	case decide.RunScript:
		return c.Timeout
	case decide.AskBlockers:
		return c.Timeout
	}
	return 0
}

// Probing reports whether the machine wants monitor probed.
func (w *World) Probing(monitor string) bool { return w.probing[monitor] }

// Outstanding returns the operations under way, oldest first.
func (w *World) Outstanding() []string {
	var all []string
	for _, op := range slices.Sorted(maps.Keys(w.inFlight)) {
		all = append(all, w.inFlight[op].what)
	}
	return all
}

// Run lets d pass: operations end and timers fire in their order.
func (w *World) Run(d time.Duration) {
	end := w.Now + d
	for round := 0; ; round++ {
		if round > rounds {
			panic(fmt.Sprintf("simulate: no end at %v: %v", w.Now, w.Outstanding()))
		}
		op, ended := w.nextEnd()
		wake, timer := w.Machine.Wake()
		switch o := w.inFlight[op]; {
		case ended && o.at <= end && (!timer || o.at <= wake):
			delete(w.inFlight, op)
			w.Now = max(w.Now, o.at)
			failure := w.failure(o)
			if w.Ended != nil {
				w.Ended(o.what, failure)
			}
			w.Input(decide.Ended{Op: op, Failure: failure, TimedOut: o.timeout > 0})
		case timer && wake <= end:
			w.Now = max(w.Now, wake)
			w.Input(decide.Tick{})
		default:
			w.Now = end
			return
		}
	}
}

// nextEnd returns the operation that ends first, of equal ones the oldest.
func (w *World) nextEnd() (decide.Op, bool) {
	var best decide.Op
	for op, o := range w.inFlight {
		if b := w.inFlight[best]; best == 0 || o.at < b.at || o.at == b.at && op < best {
			best = op
		}
	}
	return best, best != 0
}
