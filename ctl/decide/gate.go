package decide

import (
	"cmp"
	"slices"
	"time"

	"shisa/ctl/event"
	"shisa/ctl/recovery"
)

// AskAgain is how long after "no" the blockers are asked once more.
const AskAgain = 30 * time.Second

// A stage is how far a final action has come on its way past the gate that
// keeps the machine up while it must stay up:
//
//	waiting ──window open, store writable──► asking ──nothing forbids it──► passed
//	   ▲                                        │ forbidden
//	   └──────────── after AskAgain ────────────┘ for [config.Reboot].BlockLimit at most
//
// A monitor's action runs its script then and is confirmed by one more probe;
// that of a resource is taken if the resource is still as it was.
type stage int

const (
	waiting stage = iota
	asking
	passed
)

// admit lets f pass at once, or keeps it until it may. Only what takes the
// whole machine down has to wait.
func (m *Machine) admit(f *finalAct) {
	if !f.action.OnMachine() || m.unable != "" {
		m.pass(f)
		return
	}
	f.stage = waiting
	m.gated = append(m.gated, f)
	m.advanceGate(f)
}

// advanceGates moves every action that waits.
func (m *Machine) advanceGates() {
	for _, f := range slices.Clone(m.gated) {
		m.advanceGate(f)
	}
}

func (m *Machine) advanceGate(f *finalAct) {
	if f.stage == passed || !slices.Contains(m.gated, f) {
		return
	}
	if why := m.closed(); why != "" {
		m.postpone(f, why)
		return
	}
	r := m.model.Reboot
	switch {
	case r.Blocker == "" && len(r.BlockerFiles) == 0:
		m.pass(f)
	case f.blockedAt > 0 && m.since(f.blockedAt) >= r.BlockLimit: // with or without an answer
		m.emit(event.BlockerIgnored, f.subject, "action", string(f.action), "limit", r.BlockLimit.String(),
			"reason", cmp.Or(f.blocked, "the blocker does not answer"))
		m.pass(f)
	case f.stage == waiting && m.now >= f.askAt:
		f.stage, f.blockedAt = asking, cmp.Or(f.blockedAt, max(m.now, 1))
		m.do(AskBlockers{m.begin(pending{ask: f}), r.Blocker, r.BlockerFiles, m.stretched(r.AskTimeout)})
	}
}

// closed says why no action on the machine may be taken at present; empty: one
// may.
func (m *Machine) closed() string {
	if m.storeDown {
		return "the intent cannot be recorded: the state directory cannot be written"
	}
	if len(m.rebootWindows) == 0 {
		return ""
	}
	if _, open := m.open(m.rebootWindows); !open {
		return "no reboot window is open"
	}
	return ""
}

// postpone tells once for each reason that f waits.
func (m *Machine) postpone(f *finalAct, why string) {
	if f.told != why {
		f.told = why
		m.emit(event.ActionDeferred, f.subject, "action", string(f.action), "reason", why)
	}
}

// asked takes the answer of the blockers.
func (m *Machine) asked(f *finalAct, forbidden string) {
	if !slices.Contains(m.gated, f) {
		return // its condition no longer holds
	}
	f.stage = waiting
	if forbidden == "" {
		f.blocked, f.blockedAt, f.askAt = "", 0, 0
		if why := m.closed(); why != "" {
			m.postpone(f, why) // it closed while they were asked
			return
		}
		m.pass(f)
		return
	}
	f.blocked, f.askAt = forbidden, min(m.now+AskAgain, f.blockedAt+m.model.Reboot.BlockLimit)
	m.postpone(f, forbidden)
}

// pass goes on with f behind the gate.
func (m *Machine) pass(f *finalAct) {
	if m.revoke(f) {
		return
	}
	m.drop(f)
	f.stage = passed
	switch w, u := f.watch, f.unit; {
	case w != nil:
		m.prepare(w, f)
	case u != nil && !m.holds(u):
		m.emit(event.ActionVoided, f.subject, "action", string(f.action))
	default:
		m.onMachine(f)
	}
}

// holds reports whether u is still as it was when a final action was decided for
// it. That a milder action has stopped it since, or the whole service, mends
// nothing.
func (m *Machine) holds(u *unit) bool {
	if m.units[u.cfg.Name] != u {
		return false // it is not in the configuration any more
	}
	switch u.state {
	case StartFailed, StopFailed:
		return true
	case Offline, Stopping:
		return u.group.givenUp || m.service.state != Running
	case Starting, Online:
	}
	return false
}

// drop takes f out of those that wait.
func (m *Machine) drop(f *finalAct) {
	m.gated = slices.DeleteFunc(m.gated, func(g *finalAct) bool { return g == f })
}

// prepare runs the script before the final action of w and then looks once
// more, if the action is one that cannot be taken back.
func (m *Machine) prepare(w *watch, f *finalAct) {
	m.script(w, w.cfg.Recovery.BeforeFinal, w.env("FINALACTION", 0), func() {
		if w.final != f {
			return // its condition no longer holds
		}
		if m.revoke(f) {
			return
		}
		if f.action.OnMachine() || f.action == recovery.StopService {
			f.confirming = true
			m.do(Probe{w.cfg.Name})
			return
		}
		w.final = nil
		m.local(w, f)
	})
}

// gateDeadlines returns when something may change for those that wait.
func (m *Machine) gateDeadlines() []time.Duration {
	var at []time.Duration
	for _, f := range m.gated {
		if f.stage == waiting && f.askAt > m.now {
			at = append(at, f.askAt)
		}
		if limit := f.blockedAt + m.model.Reboot.BlockLimit; f.blockedAt > 0 && limit > m.now {
			at = append(at, limit)
		}
	}
	if next, ok := m.until(m.rebootWindows); ok && len(m.gated) > 0 {
		at = append(at, next)
	}
	return at
}
