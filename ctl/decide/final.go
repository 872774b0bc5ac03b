package decide

import (
	"cmp"
	"slices"
	"strconv"
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
	blind   int // probes that could not confirm it
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

// finalForWatch begins the final action of a monitor: its script, then one
// more look, then the action.
func (m *Machine) finalForWatch(w *watch, a recovery.Action, detail string) {
	f := &finalAct{action: a, subject: w.subject(), reason: detail}
	m.script(w, w.cfg.Recovery.BeforeFinal, w.env("FINALACTION", 0), func() {
		if a.OnMachine() || a == recovery.StopService {
			w.confirm = f
			m.do(Probe{w.cfg.Name})
			return
		}
		m.local(w, f)
	})
}

// confirmed decides on an action that awaited one more probe. A probe that
// could not look neither confirms nor voids it: the action waits for the next.
func (m *Machine) confirmed(w *watch, in Probed, failing bool) {
	f := w.confirm
	switch {
	case failing:
		w.confirm = nil
		m.changed = true
		m.onMachine(f)
	case in.Outcome == recovery.Succeeded:
		before := w.health
		w.confirm, w.recovery = nil, recovery.State{}
		w.see(m, in)
		w.announce(m, before, in)
		m.emit(event.ActionVoided, f.subject, "action", string(f.action))
	default:
		f.blind++
		w.decide(m, recovery.Decision{Action: recovery.NoAction, Reason: "the final action waits for a probe that can look"})
	}
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

// finalForUnits honours the final action of every failed unit, the strongest
// last.
func (m *Machine) finalForUnits(failed []*unit, action func(*unit) recovery.Action, what string) {
	slices.SortStableFunc(failed, func(a, b *unit) int {
		return cmp.Compare(severity(action(a)), severity(action(b)))
	})
	for _, u := range failed {
		a := action(u)
		if a == recovery.NoAction || a == "" {
			continue
		}
		f := &finalAct{action: a, subject: u.subject(), reason: "resource " + u.cfg.Name + " " + what + ": " + u.last}
		if why, held := m.withheld(false); held {
			m.emit(event.RecoveryWithheld, u.subject(), "reason", why)
			continue
		}
		if m.observing() {
			m.emit(event.WouldHave, u.subject(), "action", string(a), "reason", f.reason)
			continue
		}
		switch {
		case a.OnMachine() || a == recovery.StopService:
			m.onMachine(f)
		case a == recovery.StopGroup || a == recovery.StopResource:
			m.emit(event.RecoveryFinal, f.subject, "action", string(a), "reason", f.reason)
			m.stopGroup(u.group, resource.Request{Event: resource.Recover, Factor: resource.GroupStop}, "final action: "+f.reason)
		}
	}
}

// onMachine takes a confirmed final action past the limiter and the store.
func (m *Machine) onMachine(f *finalAct) {
	l := m.model.Limiter
	switch {
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
	case m.storeDown:
		m.emit(event.RecoveryWithheld, f.subject, "reason", "the intent cannot be recorded: the state directory cannot be written")
		return
	case l.Enabled && m.limiter.count >= l.Max:
		m.emit(event.LimitReached, f.subject, "count", strconv.Itoa(m.limiter.count), "window", l.Calm.String())
		return
	}
	m.limiter.count++
	m.limiter.calmSince = m.now
	m.do(Save{})
	m.emit(event.RecoveryFinal, f.subject, "action", string(f.action), "reason", f.reason)
	if f.action == recovery.Shutdown || f.action == recovery.Reboot {
		m.stopService(StopService{Then: f.action, By: f.subject, Reason: f.reason}, f)
		return
	}
	m.act(f)
}

func (m *Machine) act(f *finalAct) {
	m.do(Act{m.begin(pending{act: f}), f.action, f.subject, f.reason})
}

// actEnded goes on to the next harder action when one did not succeed.
func (m *Machine) actEnded(f *finalAct, failure string) {
	if failure == "" {
		return
	}
	next, ok := f.action.Harder()
	name := "none is left; an armed countdown is no longer pinged"
	if ok {
		name = string(next)
	}
	m.emit(event.ActionFailed, f.subject, "action", string(f.action), "error", failure, "next", name)
	if ok {
		m.act(&finalAct{action: next, subject: f.subject, reason: f.reason})
	}
}
