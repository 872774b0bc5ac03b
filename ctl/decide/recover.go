package decide

import (
	"hash/fnv"
	"strconv"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/event"
	"shisa/ctl/recovery"
	"shisa/ctl/resource"
)

// recover carries out d.
func (m *Machine) recover(w *watch, d recovery.Decision, detail string) {
	if d.Action == recovery.NoAction {
		if w.recovery.Exhausted && d.Reason != exhaustedAlready && w.cfg.Recovery.Policy.MaxRestart+w.cfg.Recovery.Policy.MaxScript > 0 {
			m.emit(event.RecoveryGaveUp, w.subject(), "reason", d.Reason)
		}
		return
	}
	if m.observing() {
		m.emit(event.WouldHave, w.subject(), "action", string(d.Action), "reason", detail)
		return
	}
	m.changed = true
	m.do(Save{}) // the counters outlive the daemon
	switch d.Action {
	case recovery.Script:
		m.emit(event.RecoveryScript, w.subject(), "count", strconv.Itoa(d.Count), "limit", strconv.Itoa(d.Limit))
		m.script(w, w.cfg.Recovery.Script, w.env("RECOVERY", d.Count), func() {})
	case recovery.Restart:
		m.scheduleRestart(w, d)
	default:
		m.finalForWatch(w, d.Action, detail)
	}
}

var exhaustedAlready = func() string {
	_, d := recovery.Policy{}.Step(recovery.State{Exhausted: true}, recovery.Failed)
	return d.Reason
}()

// heldBack reports whether recovery for w is withheld at present, and why.
func (m *Machine) heldBack(w *watch) (string, bool) {
	if why, held := m.withheld(w.cfg.Recovery.Suppress); held {
		return why, true
	}
	if why, is := m.maintained(w); is {
		return why, true
	}
	if !m.targetActive(w) {
		return w.cfg.Recovery.Target.String() + " is not active", true
	}
	return "", false
}

func (m *Machine) withhold(w *watch, why string) {
	if w.told == why {
		return
	}
	w.told = why
	m.emit(event.RecoveryWithheld, w.subject(), "reason", why)
}

// targetBusy reports whether what w recovers is between two states, be it by
// another monitor's recovery or by the operator.
func (m *Machine) targetBusy(w *watch) bool {
	switch t := w.cfg.Recovery.Target; t.Kind {
	case "resource":
		u := m.units[t.Name]
		return u != nil && u.group.busy()
	case "group":
		g := m.groupNamed[t.Name]
		return g != nil && g.busy()
	case "groups":
		for _, g := range m.groups {
			if g.busy() {
				return true
			}
		}
	}
	return false
}

func (m *Machine) targetActive(w *watch) bool {
	switch t := w.cfg.Recovery.Target; t.Kind {
	case "resource":
		u := m.units[t.Name]
		return u != nil && u.group.active() && u.state != Offline
	case "group":
		g := m.groupNamed[t.Name]
		return g != nil && g.active()
	case "groups":
		for _, g := range m.groups {
			if g.active() {
				return true
			}
		}
		return false
	}
	return true
}

// script runs path for w and then does next; without a path next follows at
// once.
func (m *Machine) script(w *watch, path string, env map[string]string, next func()) {
	if path == "" {
		next()
		return
	}
	w.op, w.then = m.begin(pending{watch: w}), next
	m.do(RunScript{w.op, w.cfg.Name, path, m.stretched(w.cfg.Recovery.ScriptTimeout), env})
}

func (m *Machine) scriptEnded(w *watch, failure string) {
	next := w.then
	w.op, w.then = 0, nil
	if failure != "" {
		m.emit(event.RecoveryScriptFailed, w.subject(), "error", failure)
	}
	// A script that fails, or whose outcome is unknown, neither stops nor
	// starts anything: what follows was decided before it ran.
	if next != nil {
		next()
	}
}

// scheduleRestart restarts the target of w now, or later when it was restarted
// a short time ago.
func (m *Machine) scheduleRestart(w *watch, d recovery.Decision) {
	if w.backoff > 0 && m.since(w.restarted) > 2*m.delay(w)+time.Minute {
		w.backoff = 0
	}
	if at := w.restarted + m.delay(w); w.backoff > 0 && at > m.now {
		w.restartAt, m.delayed[w] = at, true
		return
	}
	m.restart(w, d)
}

// delay is the least distance from the last restart to the next: the back-off
// doubled for each restart without calm between, and the jitter on top.
func (m *Machine) delay(w *watch) time.Duration {
	r := w.cfg.Recovery
	d := min(r.Backoff, r.BackoffMax)
	for range w.backoff - 1 {
		d = min(2*d, r.BackoffMax)
	}
	return d + d*time.Duration(r.BackoffJitter)/100*time.Duration(m.chance(w))/1000
}

// chance returns a number from 0 to 999 that differs between servers,
// monitors and restarts, and is the same whenever the same history is played.
func (m *Machine) chance(w *watch) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(strconv.AppendUint(nil, m.seed, 10)) // which never fails
	_, _ = h.Write([]byte(w.cfg.Name))
	_, _ = h.Write(strconv.AppendInt(nil, int64(w.backoff), 10))
	return h.Sum64() % 1000
}

func (m *Machine) restart(w *watch, d recovery.Decision) {
	target := w.cfg.Recovery.Target
	for other := range m.delayed { // one restart serves all that wait for the same
		if other.cfg.Recovery.Target == target {
			m.forget(other)
		}
	}
	m.forget(w)
	w.backoff++
	w.restarted = m.now
	m.emit(event.RecoveryRestart, w.subject(), "target", target.String(),
		"count", strconv.Itoa(w.recovery.Restarts), "limit", strconv.Itoa(w.cfg.Recovery.Policy.MaxRestart))
	reason := "recovery of monitor " + w.cfg.Name
	m.script(w, w.cfg.Recovery.BeforeRestart, w.env("RESTART", d.Count), func() { m.reactivate(target, reason) })
}

// reactivate stops and starts the target.
func (m *Machine) reactivate(t config.Ref, reason string) {
	r := resource.Request{Event: resource.Recover, Factor: resource.GroupRestart}
	switch t.Kind {
	case "resource":
		if u := m.units[t.Name]; u != nil && !u.group.busy() {
			m.restartUnit(u)
		}
	case "group", "groups":
		for _, g := range m.groups {
			if (t.Kind == "groups" || g.cfg.Name == t.Name) && g.active() && m.stopGroup(g, r, reason) {
				g.restart = true
			}
		}
	}
}

// env is what a script of recovery finds in its environment, under the
// original's names.
func (w *watch) env(action string, count int) map[string]string {
	env := map[string]string{"CLP_MONITORNAME": w.cfg.Name, "CLP_ACTION": action}
	switch action {
	case "RECOVERY":
		env["CLP_RECOVERYCOUNT"] = strconv.Itoa(count)
	case "RESTART":
		env["CLP_RESTARTCOUNT"] = strconv.Itoa(count)
	}
	return env
}
