package decide

import (
	"fmt"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/event"
	"shisa/ctl/monitor"
	"shisa/ctl/recovery"
	"shisa/ctl/window"
)

// A Health is what is known of the target of a monitor.
type Health string

// Healths.
const (
	Unknown  Health = "unknown"  // not probed yet
	Healthy  Health = "ok"       //
	Warned   Health = "warning"  // works, but a warning threshold is crossed
	Retrying Health = "retrying" // failed, but not more often than is tolerated
	Broken   Health = "failed"   //
	Blind    Health = "blind"    // could not look
)

// A watch is a monitor with what is going on about it.
type watch struct {
	cfg         config.Monitor
	index       int        // in order of the configuration
	target      *unit      // that it watches over; nil: none
	parents     []*watch   // of what the target needs
	maintenance window.Set // of this monitor alone
	on          bool       // probed at present
	held        bool       // suspended by the operator
	dummy       bool       // finds a failure whatever it sees
	health      Health
	announced   Health // last
	detail      string
	since       time.Duration // of health
	recovery    recovery.State
	last        recovery.Decision

	op        Op            // script under way; 0: none
	then      func()        // what follows the script
	restartAt time.Duration // delayed restart; 0: none
	backoff   int           // restarts without calm between
	restarted time.Duration // last restart
	final     *finalAct     // on its way; nil: none
	told      string        // reason for withholding that was announced last
}

func (w *watch) subject() string { return "monitor/" + w.cfg.Name }

// watchActive begins or ends the probing of the monitors that it may be time
// for: of all after what concerns all, else of those whose target changed.
func (m *Machine) watchActive() {
	if m.allWatches {
		m.allWatches = false
		for _, w := range m.watches {
			m.watchIfActive(w)
		}
	}
	for _, g := range m.groups {
		for _, u := range g.units {
			if active := u.active(); active != u.watched {
				u.watched = active
				for _, w := range u.watches {
					m.watchIfActive(w)
				}
			}
		}
	}
}

// active reports whether u runs and is to go on doing so.
func (u *unit) active() bool { return u.state == Online && u.goal == Online }

// watchIfActive begins or ends the probing of w.
func (m *Machine) watchIfActive(w *watch) {
	on := !w.held && !m.allHeld && m.service.state == Running
	if on && w.cfg.When == monitor.WhileActive {
		on = w.target != nil && w.target.active()
	}
	if on == w.on {
		return
	}
	w.on = on
	if !on {
		w.health, w.detail, w.since = Unknown, "", m.now
		m.forget(w)
	}
	m.do(Watch{w.cfg.Name, on})
}

// forget drops what was still to come for w.
func (m *Machine) forget(w *watch) {
	w.restartAt = 0
	delete(m.delayed, w)
	if f := w.final; f != nil {
		w.final = nil
		m.drop(f)
		m.emit(event.ActionVoided, f.subject, "action", string(f.action))
	}
}

// renew begins the recovery of w anew: what came before counts no more.
func (m *Machine) renew(w *watch) {
	w.recovery, w.backoff, w.announced = recovery.State{}, 0, Unknown
	m.forget(w)
}

// DummyDetail is what a monitor says while its failure is simulated.
const DummyDetail = "dummy failure"

// probed takes the outcome of a probe.
func (m *Machine) probed(w *watch, in Probed) {
	if !w.on {
		return // a late answer from before the target stopped
	}
	if w.dummy {
		in.Outcome, in.Detail = recovery.SurelyFailed, DummyDetail
	}
	failing := in.Outcome != recovery.Succeeded && in.Outcome != recovery.CouldNotLook
	if w.final != nil {
		m.finalProbed(w, in, failing)
		return
	}
	if failing {
		if why := m.excuse(w); why != "" {
			w.decide(m, recovery.Decision{Action: recovery.NoAction, Reason: why})
			return
		}
		if p := w.failingParent(); p != nil {
			w.see(m, in, w.recovery)
			w.decide(m, recovery.Decision{Action: recovery.NoAction,
				Reason: "monitor " + p.cfg.Name + ", its parent, fails: one cause, one recovery"})
			return
		}
	}
	if failing && in.Known && w.health == Broken { // else it was told while nothing could be done about it
		w.see(m, in, w.recovery)
		m.announce(w, in)
		w.decide(m, recovery.Decision{Action: recovery.NoAction, Reason: "an earlier probe has told of this failure"})
		return
	}
	m.judge(w, in)
}

// judge has the policy of w decide on a probe and begins what it says.
func (m *Machine) judge(w *watch, in Probed) {
	before := w.recovery
	state, d := w.cfg.Recovery.Policy.Step(before, in.Outcome)
	w.see(m, in, state)
	m.announce(w, in)
	if d.Action != recovery.NoAction {
		if why, held := m.heldBack(w); held {
			// It stays due: what cannot be done now was not done.
			state = before
			d = recovery.Decision{Action: recovery.NoAction, Reason: string(d.Action) + " is withheld: " + why}
			m.withhold(w, why)
		}
	}
	w.recovery = state
	w.decide(m, d)
	if in.Outcome == recovery.Succeeded {
		w.told = ""
		m.forget(w)
		if before.Scripts+before.Restarts > 0 || before.Exhausted {
			m.do(Save{})
		}
		return
	}
	m.recover(w, d, in.Detail)
}

// excuse says why a failure that w found now counts for nothing; empty: it
// counts.
func (m *Machine) excuse(w *watch) string {
	switch {
	case w.op != 0 || w.restartAt > 0:
		return "recovery is under way"
	case m.targetBusy(w):
		return w.cfg.Recovery.Target.String() + " is starting or stopping"
	}
	if w.cfg.Recovery.Grace == 0 {
		return ""
	}
	if left := m.startedLast(w) + w.cfg.Recovery.Grace - m.now; left > 0 {
		return fmt.Sprintf("the target was started a short time ago and has %v of grace left", left.Round(time.Second))
	}
	return ""
}

// startedLast returns when what w recovers, or else what it watches over, was
// started last.
func (m *Machine) startedLast(w *watch) time.Duration {
	at := never
	for _, g := range m.groups {
		for _, u := range g.units {
			if u == w.target || m.targets(w, u) {
				at = max(at, u.startedAt)
			}
		}
	}
	return at
}

// targets reports whether recovery of w concerns u.
func (m *Machine) targets(w *watch, u *unit) bool {
	switch t := w.cfg.Recovery.Target; t.Kind {
	case "resource":
		return u.cfg.Name == t.Name
	case "group":
		return u.group.cfg.Name == t.Name
	case "groups":
		return true
	}
	return false
}

// failingParent returns a parent that fails at present. One that is not
// probed, or cannot look, says nothing.
func (w *watch) failingParent() *watch {
	for _, p := range w.parents {
		if p.on && (p.health == Broken || p.health == Retrying) {
			return p
		}
	}
	return nil
}

// see updates the health that is shown; state is that of recovery after in.
func (w *watch) see(m *Machine, in Probed, state recovery.State) {
	health := Broken
	switch {
	case in.Outcome == recovery.CouldNotLook:
		health = Blind
	case in.Outcome == recovery.Succeeded && in.Warning:
		health = Warned
	case in.Outcome == recovery.Succeeded:
		health = Healthy
	case state.Failures > 0 && state.Failures <= w.cfg.Recovery.Policy.Retry && w.health != Broken:
		health = Retrying
	}
	if health != w.health {
		w.health, w.since = health, m.now
	}
	w.detail = in.Detail
}

// announce publishes changes of health, and only changes. What happens during
// maintenance is announced afterwards, if it still is so.
func (m *Machine) announce(w *watch, in Probed) {
	before := w.announced
	if w.health == before || w.health == Retrying && before == Broken {
		return
	}
	if _, is := m.maintained(w); is {
		return
	}
	w.announced = w.health
	switch w.health {
	case Broken:
		m.emit(event.MonitorFailed, w.subject(), "detail", in.Detail)
	case Warned:
		m.emit(event.MonitorWarning, w.subject(), "detail", in.Detail)
	case Blind:
		m.emit(event.MonitorBlind, w.subject(), "error", in.Detail)
	case Healthy:
		if before != Unknown {
			m.emit(event.MonitorRecovery, w.subject(), "detail", in.Detail)
		}
	case Retrying:
		if in.Outcome == recovery.TimedOut {
			m.emit(event.MonitorTimedOut, w.subject(), "timeout", m.stretched(w.cfg.Timing.Timeout).String())
		}
	case Unknown:
	}
}

func (w *watch) decide(m *Machine, d recovery.Decision) {
	w.last = d
	m.do(Decided{w.cfg.Name, d})
}
