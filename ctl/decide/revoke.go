package decide

import (
	"slices"

	"shisa/ctl/event"
)

// What is decided may wait for long: for a script, a back-off, a window, a
// blocker. Whether it may still be done is asked again when its time has come.

// revoked says why f must not be taken any more, and false when it may.
func (m *Machine) revoked(f *finalAct) (string, bool) {
	switch {
	case m.observing():
		return "the mode is observe by now", true
	case m.service.state != Running:
		return "", false // it is the harder one that follows, or is told so
	case f.watch != nil:
		return m.heldBack(f.watch)
	case f.unit.state == StopFailed:
		return m.withheld(m.model.Server.StopSuppress)
	}
	return m.withheld(m.model.Server.StartSuppress)
}

// revoke takes f back if it must not be taken at present, and reports whether it
// did. For a monitor it stays due: the next failure leads to it again.
func (m *Machine) revoke(f *finalAct) bool {
	why, is := m.revoked(f)
	if !is {
		return false
	}
	m.drop(f)
	if w := f.watch; w != nil {
		w.final, w.recovery.Exhausted = nil, false
		m.withhold(w, why)
		m.do(Save{})
		return true
	}
	m.emit(event.RecoveryWithheld, f.subject, "reason", why)
	return true
}

// void drops what was decided for w under another configuration, is still to
// come, and might not come under the one in force.
func (m *Machine) void(w *watch) {
	w.recovery.Exhausted = w.recovery.Exhausted && w.final == nil
	m.forget(w)
	w.then = nil // of the script under way, whose end is still awaited
}

// voidOfUnits does the same for what waits because a resource failed.
func (m *Machine) voidOfUnits() {
	for _, f := range slices.Clone(m.gated) {
		if u := f.unit; u != nil && (m.observing() || m.units[u.cfg.Name] != u) {
			m.drop(f)
			m.emit(event.ActionVoided, f.subject, "action", string(f.action))
		}
	}
}
