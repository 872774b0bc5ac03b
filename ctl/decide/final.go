package decide

import (
	"cmp"
	"slices"
	"time"

	"shisa/ctl/event"
	"shisa/ctl/recovery"
	"shisa/ctl/resource"
)

// A finalAct is a final action on its way.
type finalAct struct {
	action  recovery.Action
	subject string // that it is for
	reason  string
	watch   *watch // whose policy came to its end; nil: none
	unit    *unit  // that did not start or stop; nil: none

	stage      stage         // at the gate
	told       string        // why it waits, as announced last
	blocked    string        // what forbade it last; empty: nothing has
	blockedAt  time.Duration // when the blockers were asked first; 0: not yet
	askAt      time.Duration // before which the blockers are not asked again
	confirming bool          // one more probe was asked for
}

// limiter counts machine-level actions.
type limiter struct {
	count     int
	calmSince time.Duration // of the last action, or of the start
}

func (l limiter) deadlines(m *Machine) []time.Duration {
	if l.count == 0 || m.model.Limiter.Calm == 0 {
		return nil
	}
	return []time.Duration{l.calmSince + m.model.Limiter.Calm}
}

// calm forgets the count after a long enough time without an action.
func (m *Machine) calm() {
	l := &m.limiter
	if l.count > 0 && m.model.Limiter.Calm > 0 && m.since(l.calmSince) >= m.model.Limiter.Calm {
		*l = limiter{calmSince: m.now}
		m.do(Save{})
	}
}

// finalForWatch begins the final action of a monitor: past the gate, its
// script, then one more look, then the action.
func (m *Machine) finalForWatch(w *watch, a recovery.Action, detail string) {
	w.final = &finalAct{action: a, subject: w.subject(), reason: detail, watch: w}
	m.admit(w.final)
}

// finalProbed takes a probe while the final action of w is on its way. One
// that could not look neither confirms nor voids it: the action waits for the
// next.
func (m *Machine) finalProbed(w *watch, in Probed, failing bool) {
	f := w.final
	switch {
	case in.Outcome == recovery.Succeeded:
		w.recovery = recovery.State{}
		w.see(m, in, w.recovery)
		m.announce(w, in)
		m.forget(w)
		w.decide(m, recovery.Decision{Action: recovery.NoAction, Reason: "the target works: the final action is not needed any more"})
		m.do(Save{})
	case !failing:
		w.decide(m, recovery.Decision{Action: recovery.NoAction, Reason: "the final action waits for a probe that can look"})
	case !f.confirming:
		w.decide(m, recovery.Decision{Action: recovery.NoAction, Reason: "the final action waits: " + f.waitsFor()})
	default:
		m.changed = true
		if why := m.closed(); why != "" && f.action.OnMachine() && m.unable == "" {
			f.confirming = false
			m.admit(f) // it closed while we looked
			return
		}
		if m.revoke(f) {
			w.decide(m, recovery.Decision{Action: recovery.NoAction, Reason: string(f.action) + " is withheld: " + w.told})
			return
		}
		w.final = nil
		w.decide(m, recovery.Decision{Action: f.action, Reason: "one more look confirms it"})
		m.onMachine(f)
	}
}

// waitsFor says what an action on its way waits for.
func (f *finalAct) waitsFor() string {
	if f.stage == passed {
		return "its script runs"
	}
	return cmp.Or(f.told, "the blockers are asked")
}

// local carries out a final action that stays below the machine.
func (m *Machine) local(w *watch, f *finalAct) {
	m.emit(event.RecoveryFinal, f.subject, "action", string(f.action), "reason", f.reason)
	switch t := w.cfg.Recovery.Target; f.action {
	case recovery.Command:
		m.script(w, w.cfg.Recovery.Command, w.env("FINALACTION", 0), func() {})
	case recovery.StopResource:
		if u := m.units[t.Name]; t.Kind == "resource" && u != nil && !u.group.busy() {
			m.stopUnits(u)
		}
	case recovery.StopGroup:
		m.stopTarget(w, f)
	default:
	}
}

func (m *Machine) stopTarget(w *watch, f *finalAct) {
	t := w.cfg.Recovery.Target
	for _, g := range m.groups {
		owns := t.Kind == "resource" && m.units[t.Name] != nil && m.units[t.Name].group == g
		if t.Kind == "groups" || t.Kind == "group" && g.cfg.Name == t.Name || owns {
			m.stopGroup(g, resource.Request{Event: resource.Recover, Factor: resource.GroupStop}, "final action: "+f.reason)
		}
	}
}

// startFailures and stopFailures honour the final action of every failed unit.
func (m *Machine) startFailures(failed []*unit) {
	m.finalForUnits(failed, func(u *unit) recovery.Action { return m.unlessLate(u, u.cfg.OnStartFailure) }, "did not start", m.model.Server.StartSuppress)
}

func (m *Machine) stopFailures(failed []*unit) {
	m.finalForUnits(failed, func(u *unit) recovery.Action { return m.unlessLate(u, u.cfg.OnStopFailure) }, "did not stop", m.model.Server.StopSuppress)
}

// unlessLate returns a, or what is to be done instead when u was not done in
// time.
func (m *Machine) unlessLate(u *unit, a recovery.Action) recovery.Action {
	if late := m.model.Server.OnTimeout; u.late && late != "" && late != recovery.NoAction {
		return late
	}
	return a
}

// finalForUnits honours the final action of every failed unit, the strongest
// last.
func (m *Machine) finalForUnits(failed []*unit, action func(*unit) recovery.Action, what string, suppressed bool) {
	slices.SortStableFunc(failed, func(a, b *unit) int {
		return cmp.Compare(severity(action(a)), severity(action(b)))
	})
	var acts []*finalAct
	for _, u := range failed {
		f := &finalAct{action: action(u), subject: u.subject(), unit: u, reason: "resource " + u.cfg.Name + " " + what + ": " + u.last}
		if f.action == recovery.NoAction || f.action == "" {
			continue
		}
		switch why, held := m.withheld(suppressed); {
		case held:
			m.emit(event.RecoveryWithheld, f.subject, "reason", why)
		case m.observing():
			m.emit(event.WouldHave, f.subject, "action", string(f.action), "reason", f.reason)
		default:
			acts = append(acts, f)
		}
	}
	m.inTurn(acts, 0)
}

// inTurn runs the scripts before final actions of units one after the other,
// from that of acts[next] on, and then carries out all the actions: a milder
// one may end the daemon, and the stronger must not be lost for that.
func (m *Machine) inTurn(acts []*finalAct, next int) {
	if next == len(acts) {
		for _, f := range acts {
			m.forUnit(f)
		}
		return
	}
	f := acts[next]
	u := f.unit.cfg
	if u.BeforeFinal == "" {
		m.inTurn(acts, next+1)
		return
	}
	then := func(failure string) {
		if failure != "" {
			m.emit(event.RecoveryScriptFailed, f.subject, "error", failure)
		}
		m.inTurn(acts, next+1)
	}
	m.do(RunScript{m.begin(pending{then: then}), u.Name, u.BeforeFinal, m.stretched(u.ScriptTimeout),
		map[string]string{"CLP_RESOURCENAME": u.Name, "CLP_GROUPNAME": u.Group, "CLP_ACTION": "FINALACTION"}})
}

// forUnit carries out the final action of one unit.
func (m *Machine) forUnit(f *finalAct) {
	m.changed = true
	switch {
	case m.revoke(f):
	case !m.holds(f.unit):
		m.emit(event.ActionVoided, f.subject, "action", string(f.action))
	case f.action.OnMachine() || f.action == recovery.StopService:
		m.admit(f)
	case f.unit.group.state == GroupStopFailed:
		// It is stopped as far as it can be; once more would fail again, for ever.
	case f.action == recovery.StopGroup || f.action == recovery.StopResource:
		m.emit(event.RecoveryFinal, f.subject, "action", string(f.action), "reason", f.reason)
		m.stopGroup(f.unit.group, resource.Request{Event: resource.Recover, Factor: resource.GroupStop}, "final action: "+f.reason)
		f.unit.group.givenUp = true
	}
}

// onMachine takes a final action that has passed the gate past the limiter.
func (m *Machine) onMachine(f *finalAct) {
	l := m.model.Limiter
	switch {
	case m.harder(f):
		// The service is stopping for something milder: this follows instead.
	case m.service.state != Running:
		m.emit(event.RecoveryWithheld, f.subject, "reason", "the service is stopping")
		return
	case f.action == recovery.StopService:
		m.emit(event.RecoveryFinal, f.subject, "action", string(f.action), "reason", f.reason)
		m.stopService(StopService{Then: recovery.NoAction, By: f.subject, Reason: f.reason}, f)
		return
	case m.unable != "":
		m.emit(event.WouldHave, f.subject, "action", string(f.action), "reason", f.reason+" ("+m.unable+")")
		return
	case l.Enabled && m.limiter.count >= l.Max:
		m.emit(event.LimitReached, f.subject, "count", itoa(m.limiter.count), "window", l.Calm.String())
		return
	}
	if m.service.state == Running || !m.service.by.action.OnMachine() { // else it is counted already
		m.limiter.count++
	}
	m.limiter.calmSince = m.now
	m.do(Save{})
	m.emit(event.RecoveryFinal, f.subject, "action", string(f.action), "reason", f.reason)
	if m.service.state != Running {
		m.service.act = f
		return
	}
	if f.action == recovery.Shutdown || f.action == recovery.Reboot {
		m.stopService(StopService{Then: f.action, By: f.subject, Reason: f.reason}, f)
		return
	}
	m.act(f)
}

// harder reports whether f is to replace what follows the stop of the service
// that another final action has begun, and that has not come to its end.
func (m *Machine) harder(f *finalAct) bool {
	s := &m.service
	return s.state == ServiceStop && s.by != nil && m.unable == "" && f.action.OnMachine() && severity(f.action) > severity(s.by.action) &&
		(s.by.action.OnMachine() || !m.model.Limiter.Enabled || m.limiter.count < m.model.Limiter.Max)
}

func (m *Machine) act(f *finalAct) {
	m.do(Act{m.begin(pending{act: f}), f.action, f.subject, f.reason})
}

// actEnded goes on to the next harder action when one did not succeed.
func (m *Machine) actEnded(f *finalAct, failure string) {
	if failure == "" {
		return
	}
	if m.storeDown && f.watch != nil && m.service.state == Running {
		// It was not even tried, because its reason could not be recorded.
		m.limiter.count--
		m.emit(event.ActionFailed, f.subject, "action", string(f.action), "error", failure, "next", "the same, once it can be recorded")
		f.watch.final, f.confirming = f, false
		m.admit(f)
		return
	}
	next, ok := f.action.Harder()
	name := "none is left, the machine stays up"
	if ok {
		name = string(next)
	}
	m.emit(event.ActionFailed, f.subject, "action", string(f.action), "error", failure, "next", name)
	if ok {
		m.act(&finalAct{action: next, subject: f.subject, reason: f.reason})
		return
	}
	m.resume(f.subject)
}
