package witness

import (
	"cmp"
	"slices"
	"time"

	"shisa/bpf"
	"shisa/bpf/stall"
	"shisa/ctl/config"
)

// Settings are what an operator may say about witnesses. The zero value looks once
// a second, with the limits that [stall.DefaultLimits] are.
type Settings struct {
	Interval time.Duration // from one look at tasks and disks to the next; 0: a second
	Stall    stall.Limits  // of tasks; all 0: the default
	IO       time.Duration // longest time of a request with a disk; 0: that of blocked tasks
	Off      []string      // witnesses that do not work; read by Run only
	Without  []string      // programs that are not tried; read by Run only
}

// SettingsOf are those of a configuration.
func SettingsOf(m *config.Model) Settings {
	v := m.Witness
	derived := Limits(m.Stall.Timeout)
	s := Settings{
		Interval: v.Interval,
		Stall: stall.Limits{
			Blocked: cmp.Or(v.Blocked, derived.Blocked),
			Starved: cmp.Or(v.Starved, derived.Starved),
			Hog:     cmp.Or(v.Hog, derived.Hog),
		},
		Off: v.Off, Without: v.Without,
	}
	s.IO = cmp.Or(v.Disk, s.Stall.Blocked)
	if !v.Enabled {
		s.Off = bpf.Witnesses()
	}
	return s
}

// Limits are those of stalled tasks for a stall timeout: short enough for
// evidence to be on record when the countdown fires, and never so short that
// ordinary load reaches them.
func Limits(timeout time.Duration) stall.Limits {
	most := stall.DefaultLimits
	return stall.Limits{
		Blocked: min(max(timeout/3, 2*time.Second), most.Blocked),
		Starved: min(max(timeout/4, time.Second), most.Starved),
		Hog:     min(max(2*timeout/3, 3*time.Second), most.Hog),
	}
}

// Configure puts other intervals and limits into force, from the next look on.
// What is going on, and what is on record, stays. Which witnesses work, and with
// which programs, is decided when they are loaded.
func (w *Witness) Configure(s Settings) {
	w.mu.Lock()
	s = s.whole()
	s.Off, s.Without = w.settings.Off, w.settings.Without
	w.settings = s
	set := w.set
	w.mu.Unlock()
	if set != nil {
		set.SetLimits(s.Stall, s.IO)
	}
}

// whole fills in what was not said.
func (s Settings) whole() Settings {
	s.Interval = cmp.Or(s.Interval, time.Second)
	if s.Stall == (stall.Limits{}) {
		s.Stall = stall.DefaultLimits
	}
	s.IO = cmp.Or(s.IO, s.Stall.Blocked)
	return s
}

func (w *Witness) current() Settings {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.settings
}

// off reports whether a witness was switched off.
func (s Settings) off(name string) bool { return slices.Contains(s.Off, name) }
