package schedule

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/tick"
)

// Run probes until ctx is done; call it once. When it returns no probe runs any
// more, but for those that have ignored their context for Drain: the error
// names their monitors. Nothing is reported after ctx is done.
func (s *Scheduler) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	s.ctx, s.lastRound, s.nextRound = ctx, time.Now(), time.Now()
	for _, e := range s.entries {
		s.watch(e)
	}
	s.mu.Unlock()

	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			continue
		case <-timer.C:
		case <-s.wake:
		}
		timer.Reset(s.round(s.every()))
		if s.options.Beat != nil {
			s.options.Beat()
		}
	}
	return s.drain()
}

// every is the longest time between two rounds.
func (s *Scheduler) every() time.Duration {
	if s.options.Every == nil {
		return Round
	}
	return min(s.options.Every(), Round)
}

// round does what is due and returns the time until the next round, at most every.
func (s *Scheduler) round(every time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.planned = 0 // no need to wake us while we are at it
	s.noticePause(now)
	s.lastRound = now
	for slot := int64(now.Sub(s.origin) / Slot); len(s.queue) > 0 && s.queue[0].slot <= slot; {
		e := s.queue[0]
		s.due(e, now)
		s.plan(e)
	}
	s.planned = math.MaxInt64
	wait := tick.Next(every)
	if len(s.queue) > 0 {
		s.planned = s.queue[0].slot
		wait = min(wait, max(0, s.origin.Add(time.Duration(s.planned)*Slot).Sub(now)))
	}
	s.nextRound = now.Add(wait)
	return wait
}

// due does what has fallen due of one monitor.
func (s *Scheduler) due(e *entry, now time.Time) {
	reported := false
	if r := e.run; r != nil && !r.timedOut && !r.late.After(now) {
		reported = s.overdue(e, r)
	}
	if !e.look.IsZero() && !e.look.After(now) {
		e.look = time.Time{}
		s.trigger(e)
	}
	if e.next.After(now) {
		return
	}
	point := e.next
	e.next = point.Add((now.Sub(point)/e.timing.Interval + 1) * e.timing.Interval)
	switch {
	case e.suspended:
	case e.run == nil && !e.emitting:
		s.begin(e)
	case e.run != nil && !e.run.timedOut:
		if e.run.begin.Before(point) {
			e.missed = now // it may just be returning
		}
	case e.run != nil && !reported && !e.run.discard:
		s.reportHang(e, e.run)
	}
}

// overdue marks a probe that has not returned by its deadline, and reports it.
func (s *Scheduler) overdue(e *entry, r *probe) (reported bool) {
	r.timedOut = true
	if r.discard || r.claimed {
		return false
	}
	s.reportHang(e, r)
	return true
}

// reportHang reports a probe that hangs, from a goroutine of its own: the loop
// must not wait for whoever takes reports.
func (s *Scheduler) reportHang(e *entry, r *probe) {
	s.emitLater(e, monitor.Report{
		At: r.begin, Took: time.Since(r.begin), TimedOut: true, Log: r.log.Lines(),
		Err: fmt.Errorf("the probe has not returned for %v: %w", time.Since(r.begin).Round(time.Millisecond), context.DeadlineExceeded),
	})
}

func (s *Scheduler) emitLater(e *entry, report monitor.Report) {
	if e.emitting {
		return // the last one has not been taken yet
	}
	e.emitting = true
	s.wg.Go(func() {
		s.options.Emit(e.name, report)
		s.mu.Lock()
		defer s.mu.Unlock()
		e.emitting = false
		s.settle(e)
	})
}

// pauseLimit is how late a round may be before we take it that the whole
// process stood still: stopped, suspended with the machine, or starved with the
// virtual machine. Nothing can be said about a target from such a time.
const pauseLimit = 2 * time.Second

// paused reports whether the process has stood still since t.
func (s *Scheduler) paused(since, now time.Time) bool {
	return s.lastPause.After(since) || now.Sub(s.nextRound) > pauseLimit
}

// noticePause gives outstanding probes the time back that a pause has taken.
func (s *Scheduler) noticePause(now time.Time) {
	if now.Sub(s.nextRound) <= pauseLimit {
		return
	}
	gap := now.Sub(s.lastRound)
	s.lastPause = now
	for _, e := range s.entries {
		if e.run != nil {
			e.run.late = e.run.late.Add(gap)
		}
		if !e.removed {
			s.plan(e)
		}
	}
}

// drain waits for what runs, and closes every prober.
func (s *Scheduler) drain() error {
	s.mu.Lock()
	for _, e := range s.entries {
		s.retire(e)
	}
	s.mu.Unlock()

	idle := make(chan struct{})
	go func() { // ends when the last probe returns
		s.wg.Wait()
		close(idle)
	}()
	timer := time.NewTimer(Drain)
	defer timer.Stop()
	select {
	case <-idle:
		return nil
	case <-timer.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, e := range s.entries {
		if e.run != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return fmt.Errorf("probes still hang: %s", strings.Join(names, ", "))
}
