// Package recovery decides what to do about one monitor's verdicts. It is a
// pure state machine: no clock, no goroutine, no I/O. The daemon carries out
// the actions that it returns.
//
//	           failure                  retries used up
//	Healthy ───────────► Retrying ─────────────────────► acting: Script × n
//	   ▲  ◄───────────────────┘ success                          │ still failing
//	   │                                                         ▼
//	   │ success (from every state)                      acting: Restart × n
//	   │                                                         │ still failing
//	   └──────────────────────────────── Exhausted ◄─── Final once
//
// Between two actions the retries count anew. "Could not look" changes nothing.
package recovery

import "fmt"

// A Policy says how far recovery may go for one monitor. The zero Policy takes
// no action at all.
type Policy struct {
	Retry               int    // consecutive failures tolerated before each action
	MaxScript           int    // runs of the recovery script before restarts begin
	MaxRestart          int    // restarts of the target before the final action
	FinalAction         Action // NoAction or one of the final actions
	NoRetryOnTimeout    bool   // a probe that timed out uses up all retries at once
	NoRecoveryOnTimeout bool   // a probe that timed out counts, but does not act by itself
}

// An Action is a step of recovery.
type Action string

// Actions, from mildest to harshest. Script and Restart are the steps before
// the end; the others are final actions.
const (
	NoAction     Action = "none"
	Script       Action = "script"
	Restart      Action = "restart"
	Command      Action = "command"         // run a command
	StopResource Action = "stop_resource"   //
	StopGroup    Action = "stop_group"      //
	StopService  Action = "stop_service"    // stop every group and shisa
	Shutdown     Action = "shutdown"        // stop the service, power off orderly
	Reboot       Action = "reboot"          // stop the service, reboot orderly
	Reset        Action = "reset"           // at once, through the kernel (sysrq b)
	Panic        Action = "panic"           // through the kernel (sysrq c)
	Keepalive    Action = "keepalive_reset" // the armed countdown is made to fire
	KeepalivePan Action = "keepalive_panic" // the same, and it panics
	BMCReset     Action = "bmc_reset"       // hard reset by the BMC
	BMCPowerOff  Action = "bmc_power_off"   // at once; the machine stays off
	BMCCycle     Action = "bmc_power_cycle" // off, pause, on
	BMCNMI       Action = "bmc_nmi"         // diagnostic interrupt: the kernel panics, if it is told to
)

// FinalActions lists what may stand in a Policy as FinalAction, mildest first.
func FinalActions() []Action {
	return []Action{NoAction, Command, StopResource, StopGroup, StopService, Shutdown, Reboot, Reset, Panic,
		Keepalive, KeepalivePan, BMCReset, BMCPowerOff, BMCCycle, BMCNMI}
}

// OnMachine reports whether a takes the whole machine down.
func (a Action) OnMachine() bool {
	switch a {
	case Shutdown, Reboot, Reset, Panic, Keepalive, KeepalivePan, BMCReset, BMCPowerOff, BMCCycle, BMCNMI:
		return true
	case NoAction, Script, Restart, Command, StopResource, StopGroup, StopService:
	}
	return false
}

// Harder returns the next harder machine-level action, to be taken when a did
// not succeed, and false when there is none.
func (a Action) Harder() (Action, bool) {
	switch a {
	case Shutdown:
		return BMCPowerOff, true
	case Reboot, BMCReset, BMCCycle, Keepalive:
		return Reset, true
	case Panic, KeepalivePan, BMCNMI:
		return Reset, true
	case BMCPowerOff, Reset, NoAction, Script, Restart, Command, StopResource, StopGroup, StopService:
	}
	return NoAction, false
}

// A State is the recovery state of one monitor. The zero State is healthy.
type State struct {
	Failures  int  `json:"failures"`  // consecutive failures since the last success or action
	Scripts   int  `json:"scripts"`   // recovery scripts since the last success
	Restarts  int  `json:"restarts"`  // restarts since the last success
	Exhausted bool `json:"exhausted"` // the final action was taken; only a success leaves this state
}

// Healthy reports whether nothing is counted against the target.
func (s State) Healthy() bool { return s == State{} }

// An Input is what happened.
type Input int

// Inputs.
const (
	Succeeded    Input = iota // a probe found the target working, perhaps with a warning
	Failed                    // a probe found the target broken
	SurelyFailed              // the same, and looking again cannot change it
	TimedOut                  // a probe had no answer in time
	CouldNotLook              // a probe could not look; no statement about the target
)

// A Decision is what a step concluded.
type Decision struct {
	Action Action
	Count  int    // which of how many, for Script and Restart; 0 otherwise
	Limit  int    //
	Reason string // for people; never empty
}

// Step returns the state after in and what to do now.
func (p Policy) Step(s State, in Input) (State, Decision) {
	switch in {
	case Succeeded:
		return State{}, Decision{Action: NoAction, Reason: "the target works"}
	case CouldNotLook:
		return s, Decision{Action: NoAction, Reason: "the probe could not look, which says nothing about the target"}
	case Failed, SurelyFailed, TimedOut:
		return p.fail(s, in)
	}
	panic(fmt.Sprintf("recovery: unknown input %d", in))
}

func (p Policy) fail(s State, in Input) (State, Decision) {
	if s.Exhausted {
		return s, Decision{Action: NoAction, Reason: "recovery has come to its end already; only a healthy target starts it anew"}
	}
	s.Failures++
	hasty := in == SurelyFailed || in == TimedOut && p.NoRetryOnTimeout
	if s.Failures <= p.Retry && !hasty {
		return s, Decision{Action: NoAction, Reason: fmt.Sprintf("failure %d of %d that are tolerated", s.Failures, p.Retry)}
	}
	if in == TimedOut && p.NoRecoveryOnTimeout {
		return s, Decision{Action: NoAction, Reason: "a timeout alone starts no recovery here"}
	}
	s.Failures = 0
	switch {
	case s.Scripts < p.MaxScript:
		s.Scripts++
		return s, Decision{Script, s.Scripts, p.MaxScript, "tolerated failures are used up"}
	case s.Restarts < p.MaxRestart:
		s.Restarts++
		return s, Decision{Restart, s.Restarts, p.MaxRestart, "tolerated failures are used up"}
	}
	s.Exhausted = true
	return s, Decision{Action: p.final(), Reason: fmt.Sprintf("still failing after %d scripts and %d restarts", s.Scripts, s.Restarts)}
}

func (p Policy) final() Action {
	if p.FinalAction == "" {
		return NoAction
	}
	return p.FinalAction
}
