package decide

import (
	"fmt"
	"strconv"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/event"
	"shisa/ctl/monitor"
	"shisa/ctl/recovery"
	"shisa/ctl/resource"
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
	cfg      config.Monitor
	on       bool // probed at present
	held     bool // suspended by the operator
	dummy    bool // finds a failure whatever it sees
	health   Health
	detail   string
	since    time.Duration // of health
	recovery recovery.State
	last     recovery.Decision

	op        Op            // script under way; 0: none
	then      func()        // what follows the script
	restartAt time.Duration // delayed restart; 0: none
	backoff   int           // restarts without calm between
	restarted time.Duration // last restart
	confirm   *finalAct     // machine-level action that awaits one more probe
	told      string        // reason for withholding that was announced last
}

func (w *watch) subject() string { return "monitor/" + w.cfg.Name }

// watchIfActive begins or ends the probing of w.
func (m *Machine) watchIfActive(w *watch) {
	on := !w.held && !m.allHeld && m.service.state == Running
	if u := m.units[w.cfg.Target]; on && w.cfg.When == monitor.WhileActive {
		on = u != nil && u.state == Online
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
	if f := w.confirm; f != nil {
		w.confirm = nil
		m.emit(event.ActionVoided, f.subject, "action", string(f.action))
	}
}

// probed takes the outcome of a probe.
func (m *Machine) probed(w *watch, in Probed) {
	if !w.on {
		return // a late answer from before the target stopped
	}
	if w.dummy {
		in.Outcome, in.Detail, in.Known = recovery.SurelyFailed, "dummy failure", false
	}
	before := w.health
	failing := in.Outcome != recovery.Succeeded && in.Outcome != recovery.CouldNotLook
	switch {
	case w.confirm != nil:
		m.confirmed(w, in, failing)
		return
	case failing && (w.op != 0 || w.restartAt > 0):
		w.decide(m, recovery.Decision{Action: recovery.NoAction, Reason: "recovery is under way"})
		return
	case failing && m.targetBusy(w):
		w.decide(m, recovery.Decision{Action: recovery.NoAction, Reason: w.cfg.Recovery.Target.String() + " is starting or stopping"})
		return
	case failing && in.Known && w.health == Broken:
		w.detail = in.Detail
		w.decide(m, recovery.Decision{Action: recovery.NoAction, Reason: "this failure was answered already"})
		return
	}
	state, decision := w.cfg.Recovery.Policy.Step(w.recovery, in.Outcome)
	w.recovery = state
	w.see(m, in)
	w.announce(m, before, in)
	w.decide(m, decision)
	if in.Outcome == recovery.Succeeded {
		w.told = ""
		m.forget(w)
		return
	}
	m.recover(w, decision, in.Detail)
}

// see updates the health that is shown.
func (w *watch) see(m *Machine, in Probed) {
	health := Broken
	switch {
	case in.Outcome == recovery.CouldNotLook:
		health = Blind
	case in.Outcome == recovery.Succeeded && in.Warning:
		health = Warned
	case in.Outcome == recovery.Succeeded:
		health = Healthy
	case w.recovery.Failures > 0 && w.recovery.Failures <= w.cfg.Recovery.Policy.Retry && w.health != Broken:
		health = Retrying
	}
	if health != w.health {
		w.health, w.since = health, m.now
	}
	w.detail = in.Detail
}

// announce publishes changes of health, and only changes.
func (w *watch) announce(m *Machine, before Health, in Probed) {
	if w.health == before {
		return
	}
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
			m.emit(event.MonitorTimedOut, w.subject(), "timeout", w.cfg.Timing.Timeout.String())
		}
	case Unknown:
	}
}

func (w *watch) decide(m *Machine, d recovery.Decision) {
	w.last = d
	m.do(Decided{w.cfg.Name, d})
}

// recover carries out d.
func (m *Machine) recover(w *watch, d recovery.Decision, detail string) {
	if d.Action == recovery.NoAction {
		if w.recovery.Exhausted && d.Reason != exhaustedAlready && w.cfg.Recovery.Policy.MaxRestart+w.cfg.Recovery.Policy.MaxScript > 0 {
			m.emit(event.RecoveryGaveUp, w.subject(), "reason", d.Reason)
		}
		return
	}
	if why, held := m.withheld(w.cfg.Recovery.Suppress); held {
		m.withhold(w, why)
		return
	}
	if !m.targetActive(w) {
		m.withhold(w, w.cfg.Recovery.Target.String()+" is not active")
		return
	}
	if m.observing() {
		m.emit(event.WouldHave, w.subject(), "action", string(d.Action), "reason", detail)
		return
	}
	m.changed = true
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
	m.do(RunScript{w.op, w.cfg.Name, path, w.cfg.Recovery.ScriptTimeout, env})
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
	if w.backoff > 0 && m.since(w.restarted) > 2*w.delay()+time.Minute {
		w.backoff = 0
	}
	if at := w.restarted + w.delay(); w.backoff > 0 && at > m.now {
		w.restartAt, m.delayed[w] = at, true
		return
	}
	m.restart(w, d)
}

// delay is the least distance from the last restart to the next: the back-off
// doubled for each restart without calm between.
func (w *watch) delay() time.Duration {
	r := w.cfg.Recovery
	d := r.Backoff
	for range w.backoff - 1 {
		if d = 2 * d; d >= r.BackoffMax {
			return r.BackoffMax
		}
	}
	return d
}

func (m *Machine) restart(w *watch, d recovery.Decision) {
	m.forget(w)
	w.backoff++
	w.restarted = m.now
	target := w.cfg.Recovery.Target
	m.emit(event.RecoveryRestart, w.subject(), "target", target.String(),
		"count", strconv.Itoa(w.recovery.Restarts), "limit", strconv.Itoa(w.cfg.Recovery.Policy.MaxRestart))
	reason := fmt.Sprintf("recovery of monitor %s", w.cfg.Name)
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
