// Package why works out why the machine went down last, from whatever survived:
// our own journal, the keeper's last words, watchdog and BMC flags, pstore, the
// login records. [Analyse] is pure: who has the evidence gathers it (ctl/service).
package why

import "time"

// A Cause says in one word why the machine went down.
type Cause string

// Causes.
const (
	FirstStart    Cause = "first-start"    // there is no record of an earlier run
	StillUp       Cause = "still-up"       // same boot: the service was restarted, the machine was not
	OurAction     Cause = "our-action"     // shisa decided it and recorded it before acting
	Ordered       Cause = "ordered"        // an operator or the operating system shut it down, cleanly
	UserStall     Cause = "user-stall"     // user space made no progress; our countdown fired
	ShutdownStall Cause = "shutdown-stall" // the way down hung; our countdown ended it
	KernelPanic   Cause = "kernel-panic"   // the kernel gave up by itself
	KernelHang    Cause = "kernel-hang"    // the kernel stood still; a hardware countdown fired
	BMCAction     Cause = "bmc-action"     // someone used the BMC: reset, power off, power button
	PowerLoss     Cause = "power-loss"     // the power went away
	Unknown       Cause = "unknown"        // it went down without a trace
)

// Causes lists every cause.
func Causes() []Cause {
	return []Cause{FirstStart, StillUp, OurAction, Ordered, UserStall, ShutdownStall, KernelPanic, KernelHang, BMCAction, PowerLoss, Unknown}
}

// Clean reports whether nothing was lost: the machine went down in an orderly
// way, or did not go down.
func (c Cause) Clean() bool { return c == FirstStart || c == StillUp || c == Ordered }

// Confidence says how well the evidence supports the cause.
type Confidence string

// Degrees of confidence.
const (
	Certain  Confidence = "certain"  // a record of the deed itself
	Likely   Confidence = "likely"   // independent traces agree
	Possible Confidence = "possible" // nothing better fits
)

// A Verdict is the answer to why the machine went down.
type Verdict struct {
	Cause      Cause      `json:"cause"`
	Summary    string     `json:"summary"` // one or two sentences for people
	Confidence Confidence `json:"confidence"`
	Evidence   []Line     `json:"evidence"`          // strongest first
	Subject    string     `json:"subject,omitempty"` // "monitor/web", "beat/scheduler": what set it off
	Action     string     `json:"action,omitempty"`  // what was done to the machine: "reset", "panic", …
	Stall      string     `json:"stall,omitempty"`   // of UserStall and ShutdownStall: what stalled, as the keeper's witness names it
	WentDown   *time.Time `json:"went_down,omitempty"`
	CameBack   *time.Time `json:"came_back,omitempty"`
	Boot       string     `json:"boot,omitempty"` // id of the boot that ended
	Mend       string     `json:"mend,omitempty"` // what the operator can do
}

// A Line is one piece of evidence.
type Line struct {
	Source string `json:"source"` // "shisa's journal", "watchdog", "BMC", "pstore", "login records", …
	Text   string `json:"text"`
}
