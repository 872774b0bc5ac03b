package schedule

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"
	"unicode"

	"shisa/ctl/monitor"
)

// A probe is one look that is under way.
type probe struct {
	begin    time.Time
	late     time.Time // from when it hangs
	log      *monitor.ProbeLog
	cancel   context.CancelFunc
	claimed  bool // it has returned, and its own report counts
	timedOut bool // it was reported as hanging
	discard  bool // nobody wants to know its result any more
}

// drop gives a probe up: its result would be about what is no longer asked.
func (r *probe) drop() {
	r.discard = true
	r.cancel()
}

// begin starts a probe. There must be none outstanding.
func (s *Scheduler) begin(e *entry) {
	if s.ctx == nil || s.ctx.Err() != nil {
		return
	}
	if s.outstanding >= MaxOutstanding {
		s.emitLater(e, monitor.Report{At: time.Now(), Err: ErrBusy})
		return
	}
	timeout := e.timing.Timeout * time.Duration(s.stretch)
	ctx, cancel := context.WithTimeout(s.ctx, timeout)
	ctx, log := monitor.WithLog(ctx)
	now := time.Now()
	r := &probe{begin: now, late: now.Add(timeout + Slot), log: log, cancel: cancel}
	e.run, e.again, e.missed = r, false, time.Time{}
	g := e.prober
	g.users++
	s.outstanding++
	s.plan(e)
	s.wg.Go(func() {
		defer cancel()
		f, err := look(ctx, g.Prober)
		s.returned(ctx, e, r, f, err)
		s.leave(g)
	})
}

// look calls the prober. This is the one place that recovers from a panic: a
// prober is where foreign data comes in, and its bug must not take down the
// protection of the whole machine.
func look(ctx context.Context, p monitor.Prober) (f monitor.Finding, err error) {
	defer guard("probe", &err, func(line string) { monitor.Logf(ctx, "%s", line) })
	return p.Probe(ctx)
}

// guard turns a panic into an error, and notes where it came from.
func guard(what string, err *error, note func(string)) {
	cause := recover()
	if cause == nil {
		return
	}
	*err = fmt.Errorf("%s panicked: %v", what, cause)
	const depth = 24 // lines of the stack that are kept: a dozen calls
	lines := strings.Split(string(debug.Stack()), "\n")
	for _, line := range lines[:min(depth, len(lines))] {
		note(line)
	}
}

// returned reports a probe that has returned, unless that was done or nobody
// wants to know, and settles what comes next.
func (s *Scheduler) returned(ctx context.Context, e *entry, r *probe, f monitor.Finding, err error) {
	now := time.Now()
	report := monitor.Report{
		At: r.begin, Took: now.Sub(r.begin), Finding: f, Err: err, Log: r.log.Lines(),
		TimedOut: errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(err, context.DeadlineExceeded),
	}
	report.Finding.Detail = oneLine(f.Detail)
	for i, line := range report.Log {
		report.Log[i] = oneLine(line)
	}

	s.mu.Lock()
	r.claimed = true
	emit := !r.discard && !r.timedOut && s.ctx.Err() == nil
	if emit && report.TimedOut && !e.discounted && s.paused(r.begin, now) {
		emit, e.again, e.discounted = false, true, true
	}
	if emit {
		e.discounted = false
	}
	s.mu.Unlock()

	if emit {
		s.options.Emit(e.name, report)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e.run = nil
	s.outstanding--
	s.watch(e)
	s.settle(e)
}

// oneLine keeps a detail within its limit and on its line, and takes out what
// would do something to a terminal: much of it comes from outside.
func oneLine(text string) string {
	if len(text) > monitor.DetailLimit {
		text = text[:monitor.DetailLimit]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}

// settle decides what comes after a probe or a report.
func (s *Scheduler) settle(e *entry) {
	// A probe that returned at its deadline may have ended a moment after
	// the grid point at which the next one was due.
	const late = 2 * Slot
	justMissed := !e.missed.IsZero() && time.Since(e.missed) <= late
	switch {
	case e.run != nil || e.emitting:
		return
	case e.removed:
		delete(s.entries, e.name)
		return
	case e.suspended:
	case justMissed:
		s.begin(e)
	case e.again:
		s.trigger(e)
	}
	e.missed = time.Time{}
	s.plan(e)
}

// trigger looks now or as soon as it may.
func (s *Scheduler) trigger(e *entry) {
	now := time.Now()
	free := e.triggered.Add(-TriggerGap)
	switch {
	case e.suspended || e.removed:
		return
	case e.run != nil || e.emitting:
		e.again = true
		return
	case s.ctx == nil:
		e.look = now
	case free.After(now):
		e.look, e.again = free, false
	default:
		if e.triggered.Before(now) {
			e.triggered = now
		}
		e.triggered, e.look = e.triggered.Add(TriggerGap), time.Time{}
		s.begin(e)
		return
	}
	s.plan(e)
}
