package decide

import (
	"time"

	"shisa/ctl/event"
	"shisa/ctl/recovery"
	"shisa/ctl/resource"
)

// A Command is something that the daemon is to do.
type Command interface{ command() }

// StartResource asks for a start; the answer is [Ended].
type StartResource struct {
	Op       Op
	Resource string
	Request  resource.Request
	Timeout  time.Duration
}

// StopResource asks for a stop; the answer is [Ended].
type StopResource struct {
	Op       Op
	Resource string
	Request  resource.Request
	Timeout  time.Duration
}

// RunScript asks for a script of recovery; the answer is [Ended].
type RunScript struct {
	Op      Op
	Monitor string // or resource that it runs for
	Path    string
	Timeout time.Duration
	Env     map[string]string
}

// Probe asks for a probe now: the condition of an action is checked once more.
type Probe struct{ Monitor string }

// Watch asks to begin or end the probing of a monitor.
type Watch struct {
	Monitor string
	On      bool
}

// Act asks for a machine-level action. The daemon records the intent, acts,
// and answers with [Ended] if the machine is still there.
type Act struct {
	Op      Op
	Action  recovery.Action
	Subject string // that it is for
	Reason  string
}

// AskBlockers asks whether anything forbids to take the machine down now: one
// of Files that exists, or Program that does not exit with 0 within Timeout.
// The answer is [Ended], whose Failure says what forbids it.
type AskBlockers struct {
	Op      Op
	Program string // empty: none
	Files   []string
	Timeout time.Duration
}

// StretchProbes asks to multiply the timeouts of probes from now on.
type StretchProbes struct{ Ratio int }

// Guard asks for shutdown-stall protection: the machine is about to go down.
type Guard struct{ Reason string }

// Save asks to persist [Machine.Durable].
type Save struct{}

// Emit publishes an event.
type Emit struct{ Event event.Event }

// Decided tells what was decided on a probe and why, for `shisa why`.
type Decided struct {
	Monitor  string
	Decision recovery.Decision
}

// Swap tells that the new configuration is now in force.
type Swap struct{}

// Stay tells that an order to take the machine down is not followed: what is
// recorded of it no longer holds.
type Stay struct{}

// Exit tells that the service has stopped everything and may end.
type Exit struct {
	Guarded bool // the machine goes down and the countdown guards that: leave it armed
}

func (StartResource) command() {}
func (StopResource) command()  {}
func (RunScript) command()     {}
func (Probe) command()         {}
func (Watch) command()         {}
func (Act) command()           {}
func (AskBlockers) command()   {}
func (StretchProbes) command() {}
func (Guard) command()         {}
func (Save) command()          {}
func (Emit) command()          {}
func (Decided) command()       {}
func (Swap) command()          {}
func (Stay) command()          {}
func (Exit) command()          {}
