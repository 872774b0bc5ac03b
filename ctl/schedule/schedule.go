// Package schedule decides when probes run and bounds how long they take, for
// all monitors of the daemon together.
//
// Time is cut into slots, and all that falls due within one slot starts
// together: that wakes the machine far less often than a timer a monitor does,
// and an idle scheduler not at all but for its beat. A monitor's probes lie on
// a grid that starts with the monitor and is never moved: a change of another
// monitor does not touch it, and grid points that were missed are skipped, not
// caught up with.
//
// A monitor has at most one probe outstanding, ever. Each probe has a goroutine
// of its own, so one that hangs delays nobody. One that does not even return
// when its context is done is reported as timed out at its deadline and again
// at each interval for as long as it hangs, and is let be.
package schedule

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/tick"
)

// Limits.
const (
	// Slot is the unit of time in which probes are started together. A probe
	// starts later than its grid point by at most a slot, or by a tenth of
	// its interval where that is more, up to a second: the rarer a monitor
	// probes, the more others it can wait for.
	Slot     = 50 * time.Millisecond
	grains   = 10
	maxGrain = time.Second
	// Crowd is how many monitors wait for each other. The next ones meet a
	// slot later, so that thousands do not all begin at once.
	Crowd = 256
	// Round is the longest time between two beats that may be asked for.
	Round = time.Second
	// Spread is over how much time the first probes of monitors are spread
	// that come together, as they do at the start, and SpreadEach how much
	// of it each needs where they are thousands; at most an interval.
	Spread     = 3 * time.Second
	SpreadEach = time.Millisecond
	// TriggerGap is the least time between two probes of one monitor that
	// were triggered rather than due: a target that flaps is looked at as
	// often as this and no oftener. One more may come at once, because an end
	// is told as it begins and again when it is over, and the first look may
	// come too early.
	TriggerGap = 200 * time.Millisecond
	// MaxOutstanding is how many probes may hang at once. Each may hold a
	// thread; Go ends the whole process at 10 000.
	MaxOutstanding = 4096
	// Drain is how long Run waits, when it ends, for probes to return.
	Drain = 2 * time.Second
)

// ErrBusy is reported when so many probes hang that no further one can be
// started.
var ErrBusy = fmt.Errorf("%d probes hang; no further one can be started", MaxOutstanding)

// ErrUnknown says that there is no monitor of that name.
var ErrUnknown = errors.New("no such monitor")

// Options tell a scheduler where its results go.
type Options struct {
	// Emit receives every report. Reports of one monitor come one at a time
	// and in order, those of several monitors at the same time. While it has
	// not returned, the monitor is not probed again; others are.
	Emit func(name string, r monitor.Report)
	// Beat is called in every round, as proof of progress; nil: nobody wants
	// to know.
	Beat func()
	// Every returns the longest time between two beats, at most Round; nil:
	// Round.
	Every func() time.Duration
}

// A Scheduler probes monitors until its context is done. All methods may be
// called at any time by any goroutine. Remove, Suspend, Resume and Trigger fail with
// ErrUnknown alone.
type Scheduler struct {
	options Options
	wake    chan struct{} // something may fall due earlier than the loop knows
	wg      sync.WaitGroup

	mu          sync.Mutex
	ctx         context.Context // of Run; nil before
	origin      time.Time       // of the slots: a time at which other loops wake, too, see package tick
	lastRound   time.Time
	nextRound   time.Time // when the loop will wake up by itself
	lastPause   time.Time // end of the last time in which the whole process stood still
	entries     map[string]*entry
	queue       queue
	planned     int64 // slot that the loop will wake up for
	added       int   // monitors ever added; spreads first probes
	outstanding int
	stretch     int
}

// New returns a scheduler without monitors.
func New(o Options) *Scheduler {
	return &Scheduler{options: o, wake: make(chan struct{}, 1), entries: map[string]*entry{}, stretch: 1, origin: tick.Last(Round)}
}

// An entry is one monitor. It is guarded by the scheduler's mutex.
type entry struct {
	name   string
	timing monitor.Timing
	prober *guest

	next  time.Time // next grid point
	look  time.Time // when to look besides; zero: not
	crowd int64     // with which it probes
	slot  int64     // of the earliest thing to do
	index int       // in the queue; -1: not in it

	run        *probe // outstanding; nil: none
	emitting   bool   // a report of a hanging probe is being handed over
	again      bool   // look as soon as the outstanding probe is done
	missed     time.Time
	triggered  time.Time // when all triggered probes have had their gap
	suspended  bool
	removed    bool // waits only for its outstanding probe
	discounted bool // a time-out was last put down to a pause of the machine
}

// An Item is a monitor for Set.
type Item struct {
	Name   string
	Prober monitor.Prober
	Timing monitor.Timing
}

// Set adds a monitor, or replaces the prober and timing of the one of that
// name. The grid of an existing monitor stays; its outstanding probe, which
// looks by the old rules, is given up and repeated by the new ones. A
// prober that is a monitor.Closer is closed when it is not used any more. It fails
// when the interval or the timeout is not positive.
func (s *Scheduler) Set(name string, p monitor.Prober, t monitor.Timing) error {
	return s.SetAll([]Item{{name, p, t}})
}

// SetAll is Set for many, none of which is probed before all are there: who sets
// thousands one after the other takes turns with the probes of those before. It
// sets those that it can; the error names the others.
func (s *Scheduler) SetAll(items []Item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []error
	now, n := time.Now(), len(s.entries)+len(items)
	for _, i := range items {
		all = append(all, s.set(i.Name, i.Prober, i.Timing, now, n))
	}
	return errors.Join(all...)
}

// set is Set for one of n monitors.
func (s *Scheduler) set(name string, p monitor.Prober, t monitor.Timing, now time.Time, n int) error {
	if t.Interval <= 0 || t.Timeout <= 0 || t.FirstWait < 0 {
		return fmt.Errorf("schedule %s: interval %v and timeout %v must be positive", name, t.Interval, t.Timeout)
	}
	e, ok := s.entries[name]
	if !ok {
		e = &entry{name: name, timing: t, crowd: int64(len(s.entries) / Crowd), next: now.Add(t.FirstWait + s.spread(t.Interval, n)), index: -1}
		s.entries[name] = e
	} else {
		s.retire(e)
		if e.removed {
			e.removed, e.suspended, e.next = false, false, now.Add(t.FirstWait)
		}
		if next := now.Add(t.Interval); e.timing.Interval != t.Interval && next.Before(e.next) {
			e.next = next
		}
		e.timing = t
		if e.run != nil && !e.run.claimed {
			e.run.drop()
			e.again = true
		}
	}
	e.prober = &guest{Prober: p}
	s.plan(e)
	if s.ctx != nil {
		s.watch(e) // a change is not to wait for the first probe
	}
	return nil
}

// spread returns the next offset of a first probe of n monitors: multiples of the
// golden section, which fill the time evenly however many come.
func (s *Scheduler) spread(interval time.Duration, n int) time.Duration {
	const golden = 0.618033988749895
	f := golden * float64(s.added)
	s.added++
	return time.Duration((f - float64(int(f))) * float64(min(max(Spread, time.Duration(n)*SpreadEach), interval)))
}

// Remove takes a monitor out. Its outstanding probe is given up.
func (s *Scheduler) Remove(name string) error {
	return s.with(name, func(e *entry) {
		s.retire(e)
		s.queue.drop(e)
		e.removed = true
		if e.run != nil {
			e.run.drop()
		}
		s.settle(e)
	})
}

// Suspend silences a monitor: it is not probed, and its outstanding probe is
// given up.
func (s *Scheduler) Suspend(name string) error {
	return s.with(name, func(e *entry) {
		e.suspended, e.again, e.look = true, false, time.Time{}
		if e.run != nil {
			e.run.drop()
		}
	})
}

// Resume ends a suspension with a probe at once.
func (s *Scheduler) Resume(name string) error {
	return s.with(name, func(e *entry) {
		if e.suspended {
			e.suspended = false
			s.trigger(e)
		}
	})
}

// Trigger probes a monitor now, whatever its grid says, or as soon as its
// outstanding probe is done and TriggerGap allows it. A suspended monitor
// stays silent.
func (s *Scheduler) Trigger(name string) error {
	return s.with(name, s.trigger)
}

// Stretch multiplies every timeout from now on, for machines under load that
// is expected; 1 is normal.
func (s *Scheduler) Stretch(factor int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stretch = max(factor, 1)
}

// with calls f with the named monitor.
func (s *Scheduler) with(name string, f func(*entry)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[name]
	if !ok || e.removed {
		return fmt.Errorf("%s: %w", name, ErrUnknown)
	}
	f(e)
	return nil
}

// A State is what a scheduler knows of one monitor.
type State struct {
	Next      time.Time // next due probe
	Since     time.Time // start of the outstanding probe; zero: none
	Stuck     bool      // the outstanding probe has not returned although its timeout passed
	Suspended bool
	Watched   bool  // changes are announced; probes in between only make sure
	WatchErr  error // why changes can not be announced any more
}

// State returns the state of a monitor; ok is false when there is none.
func (s *Scheduler) State(name string) (st State, ok bool) {
	err := s.with(name, func(e *entry) { st = e.state() })
	return st, err == nil
}

// States returns the states of all monitors by name. Asking for one after the
// other would take turns with every probe of a busy scheduler.
func (s *Scheduler) States() map[string]State {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]State, len(s.entries))
	for name, e := range s.entries {
		if !e.removed {
			all[name] = e.state()
		}
	}
	return all
}

func (e *entry) state() State {
	st := State{Next: e.next, Suspended: e.suspended, Watched: e.prober.watching, WatchErr: e.prober.watchErr}
	if e.run != nil {
		st.Since, st.Stuck = e.run.begin, e.run.timedOut
	}
	return st
}
