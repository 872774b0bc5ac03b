package decide

import (
	"time"

	"shisa/ctl/event"
	"shisa/ctl/window"
)

// Clock tells what the calendar says now, in the zone in which windows are
// meant. It is sent at the start, and again whenever the wall clock was set:
// in between, the machine reckons on.
//
// A machine that was never told treats every window as closed: no maintenance,
// and no action that needs a reboot window.
type Clock struct{ Wall time.Time }

func (in Clock) apply(m *Machine) { m.wall, m.wallAt, m.calendarAt = in.Wall, m.now, m.now }

// calendar returns what the calendar says now, and false when nobody knows.
func (m *Machine) calendar() (time.Time, bool) {
	return m.wall.Add(m.now - m.wallAt), !m.wall.IsZero()
}

// open returns the first of windows that is open now.
func (m *Machine) open(windows window.Set) (window.Window, bool) {
	now, known := m.calendar()
	if !known || len(windows) == 0 {
		return window.Window{}, false
	}
	return windows.Open(now)
}

// until returns when the next of windows opens or closes, on the clock of Step.
func (m *Machine) until(windows window.Set) (time.Duration, bool) {
	now, known := m.calendar()
	if !known {
		return 0, false
	}
	next, ok := windows.Next(now)
	return m.now + next.Sub(now), ok
}

// maintained reports whether a maintenance window of w, or of the whole
// server, is open.
func (m *Machine) maintained(w *watch) (string, bool) {
	open, is := m.open(m.maintenance)
	if !is && w != nil {
		open, is = m.open(w.maintenance)
	}
	return "maintenance window " + open.String() + " is open", is
}

// announceMaintenance tells when a window of the whole server opens or closes.
// It looks at the calendar only when that may have happened.
func (m *Machine) announceMaintenance() {
	if m.now < m.calendarAt {
		return
	}
	m.calendarAt = always
	if next, ok := m.until(m.maintenance); ok {
		m.calendarAt = next
	}
	open, is := m.open(m.maintenance)
	if open.String() == m.maintaining {
		return
	}
	if m.maintaining != "" {
		m.emit(event.Maintenance, "", "window", m.maintaining, "state", "closed")
	}
	if m.maintaining = open.String(); is {
		m.emit(event.Maintenance, "", "window", m.maintaining, "state", "open")
	}
}

// mustParse reads windows that the configuration has checked.
func mustParse(texts []string) window.Set {
	s, err := window.ParseAll(texts)
	if err != nil {
		panic("decide: unchecked configuration: " + err.Error())
	}
	return s
}

// Stretch multiplies every timeout by Ratio for a time, for machines under a
// load that is known to pass. Intervals stay. A Ratio of 1 or less ends it.
type Stretch struct {
	Ratio int
	For   time.Duration
	By    string
}

// Limits of Stretch, those of the original.
const (
	MaxStretch    = 10000
	MaxStretchFor = 30 * 24 * time.Hour
)

func (in Stretch) apply(m *Machine) {
	ratio, length := min(in.Ratio, MaxStretch), min(in.For, MaxStretchFor)
	if ratio <= 1 || length <= 0 {
		m.endStretch()
		return
	}
	m.stretch, m.stretchUntil = ratio, m.now+length
	m.emit(event.TimeoutsStretched, "", "ratio", itoa(ratio), "for", length.String(), "reason", "requested by "+in.By)
	m.do(StretchProbes{ratio})
}

func (m *Machine) endStretch() {
	if m.stretch > 1 {
		m.stretch, m.stretchUntil = 0, 0
		m.emit(event.TimeoutsNormal, "")
		m.do(StretchProbes{1})
	}
}

// stretched returns how long d is at present.
func (m *Machine) stretched(d time.Duration) time.Duration {
	return d * time.Duration(max(m.stretch, 1))
}
