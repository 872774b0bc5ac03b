package schedule

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"shisa/ctl/monitor"
)

// A prober is a function that looks.
type prober func(context.Context) (monitor.Finding, error)

func (p prober) Probe(ctx context.Context) (monitor.Finding, error) { return p(ctx) }

func ok(context.Context) (monitor.Finding, error) { return monitor.Finding{}, nil }

// hang waits for its context, as a good prober does.
func hang(ctx context.Context) (monitor.Finding, error) {
	<-ctx.Done()
	return monitor.Finding{}, ctx.Err()
}

// A watcher is a prober whose changes are sent to it.
type watcher struct {
	prober
	changes chan struct{}
	err     error // that Watch returns when changes is closed
}

func (w watcher) Watch(ctx context.Context, changed func()) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, more := <-w.changes:
			if !more {
				return w.err
			}
			changed()
		}
	}
}

// A recorder keeps reports by monitor.
type recorder struct {
	mu      sync.Mutex
	reports map[string][]monitor.Report
	beats   atomic.Int64
}

func (r *recorder) options() Options {
	r.reports = map[string][]monitor.Report{}
	return Options{
		Emit: func(name string, rep monitor.Report) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.reports[name] = append(r.reports[name], rep)
		},
		Beat: func() { r.beats.Add(1) },
	}
}

func (r *recorder) of(name string) []monitor.Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reports[name]
}

// start runs a scheduler for the rest of the bubble.
func start(t *testing.T, s *Scheduler) (stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() error { cancel(); return <-done }
}

func set(t *testing.T, s *Scheduler, name string, p monitor.Prober, tm monitor.Timing) {
	t.Helper()
	if err := s.Set(name, p, tm); err != nil {
		t.Fatal(err)
	}
}

var minute = monitor.Timing{Interval: time.Minute, Timeout: 10 * time.Second}

// An hour of probing takes no real time: the bubble's clock is the clock.
func TestHour(t *testing.T) {
	for _, tt := range []struct {
		name     string
		takes    time.Duration // ignoring the context
		timing   monitor.Timing
		reports  int
		timeouts int
		probes   int
	}{
		{"quick", 0, minute, 60, 0, 60},
		{"just in time", 9 * time.Second, minute, 60, 0, 60},
		{"too slow", 11 * time.Second, minute, 60, 60, 60},
		{"longer than the interval", 90 * time.Second, minute, 60, 60, 30},
		{"for ever", 1000 * time.Hour, minute, 60, 60, 1},
		{"timeout equals interval", 0, monitor.Timing{Interval: time.Minute, Timeout: time.Minute}, 60, 0, 60},
		{"timeout above interval", 80 * time.Second, monitor.Timing{Interval: time.Minute, Timeout: 100 * time.Second}, 30, 0, 30},
		{"first wait", 0, monitor.Timing{Interval: time.Minute, Timeout: time.Second, FirstWait: 30 * time.Minute}, 30, 0, 30},
		{"every tenth of a second", 0, monitor.Timing{Interval: 100 * time.Millisecond, Timeout: 10 * time.Millisecond}, 36000, 0, 36000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var rec recorder
				s := New(rec.options())
				var running, probes int
				release := make(chan struct{})
				set(t, s, "m", prober(func(context.Context) (monitor.Finding, error) {
					probes++
					if running++; running > 1 {
						t.Error("two probes of one monitor at the same time")
					}
					select {
					case <-time.After(tt.takes):
					case <-release:
					}
					running--
					return monitor.Finding{}, nil
				}), tt.timing)
				stop := start(t, s)
				time.Sleep(time.Hour - 20*time.Millisecond)
				synctest.Wait()
				got := rec.of("m")
				timeouts := 0
				for _, r := range got {
					if r.TimedOut {
						timeouts++
					}
				}
				// What began in the last minute may not have been reported yet.
				if len(got) < tt.reports-1 || len(got) > tt.reports || len(got)-timeouts > tt.reports-tt.timeouts {
					t.Errorf("got %d reports, %d time-outs; want %d, %d", len(got), timeouts, tt.reports, tt.timeouts)
				}
				if probes != tt.probes {
					t.Errorf("got %d probes, want %d", probes, tt.probes)
				}
				close(release)
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Fixes 61 and 116 of the original: retries after time-outs kept another
// distance than retries after errors, and an interval no longer than the
// timeout made false ones.
func TestFix061SameSpacing(t *testing.T) {
	for _, timing := range []monitor.Timing{minute, {Interval: 10 * time.Second, Timeout: 10 * time.Second}} {
		starts := func(p prober) (at []time.Duration) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				var rec recorder
				s := New(rec.options())
				set(t, s, "m", prober(func(ctx context.Context) (monitor.Finding, error) {
					at = append(at, time.Since(begin))
					return p(ctx)
				}), timing)
				stop := start(t, s)
				time.Sleep(10*timing.Interval - time.Second)
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
			return at
		}
		failed := starts(func(context.Context) (monitor.Finding, error) { return monitor.Finding{Verdict: monitor.Failed}, nil })
		hung := starts(hang)
		if len(failed) != 10 || len(hung) != 10 {
			t.Fatalf("%v: %d probes that fail and %d that time out, want 10 each", timing, len(failed), len(hung))
		}
		for i := range failed {
			if d := hung[i] - failed[i]; d < -2*Slot || d > 2*Slot {
				t.Errorf("%v: probe %d begins at %v after failures, at %v after time-outs", timing, i, failed[i], hung[i])
			}
		}
	}
}

// One hung target delays nobody: with a hundred probes that hang, also such as
// ignore their context, the others are on time.
func TestHungTargetsDelayNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		s := New(rec.options())
		release := make(chan struct{})
		for i := range 100 {
			set(t, s, fmt.Sprint("hung", i), prober(func(ctx context.Context) (monitor.Finding, error) {
				if i%2 == 0 {
					return hang(ctx)
				}
				<-release
				return monitor.Finding{}, nil
			}), monitor.Timing{Interval: 5 * time.Second, Timeout: 5 * time.Second})
		}
		died := make(chan struct{})
		set(t, s, "fine", watcher{prober: ok, changes: died}, monitor.Timing{Interval: time.Second, Timeout: time.Second})
		stop := start(t, s)
		const seconds = 600
		time.Sleep(seconds * time.Second)
		synctest.Wait()
		reports := rec.of("fine")
		if len(reports) < seconds-4 {
			t.Errorf("only %d probes of the good target in %d s", len(reports), seconds)
		}
		for i := 1; i < len(reports); i++ {
			if d := reports[i].At.Sub(reports[i-1].At); d != time.Second {
				t.Fatalf("probe %d began after %v", i, d)
			}
		}
		for i := range 100 {
			if n := len(rec.of(fmt.Sprint("hung", i))); n < seconds/5-2 {
				t.Errorf("target %d hangs but was reported only %d times", i, n)
			}
		}
		time.Sleep(500 * time.Millisecond)
		before := time.Now()
		died <- struct{}{}
		synctest.Wait()
		reports = rec.of("fine")
		if last := reports[len(reports)-1]; last.At.Before(before) {
			t.Error("the death of a process was not looked at once")
		}
		close(release)
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestReport(t *testing.T) {
	boom := errors.New("boom")
	for _, tt := range []struct {
		name  string
		probe prober
		check func(monitor.Report) bool
	}{
		{"finding", func(context.Context) (monitor.Finding, error) {
			return monitor.Finding{Verdict: monitor.Failed, Detail: "a\n\x1bb", Certain: true}, nil
		}, func(r monitor.Report) bool {
			return r.Finding == monitor.Finding{Verdict: monitor.Failed, Detail: "a  b", Certain: true} && r.Err == nil && !r.TimedOut
		}},
		{"could not look", func(context.Context) (monitor.Finding, error) { return monitor.Finding{}, boom },
			func(r monitor.Report) bool { return r.Err == boom && !r.TimedOut }},
		{"timed out", hang, func(r monitor.Report) bool { return r.TimedOut && r.Took == 10*time.Second }},
		{"own deadline", func(context.Context) (monitor.Finding, error) {
			return monitor.Finding{}, fmt.Errorf("connect: %w", context.DeadlineExceeded)
		}, func(r monitor.Report) bool { return r.TimedOut }},
		{"panic", func(context.Context) (monitor.Finding, error) { panic("boom") }, func(r monitor.Report) bool {
			return r.Err != nil && strings.Contains(r.Err.Error(), "panicked: boom") && len(r.Log) > 3
		}},
		{"notes", func(ctx context.Context) (monitor.Finding, error) {
			monitor.Logf(ctx, "step %d", 1)
			return monitor.Finding{}, nil
		}, func(r monitor.Report) bool { return len(r.Log) == 1 && r.Log[0] == "step 1" }},
		{"endless detail", func(context.Context) (monitor.Finding, error) {
			return monitor.Finding{Detail: strings.Repeat("ä", monitor.DetailLimit)}, nil
		}, func(r monitor.Report) bool {
			return len(r.Finding.Detail) <= monitor.DetailLimit && strings.ToValidUTF8(r.Finding.Detail, "?") == r.Finding.Detail
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var rec recorder
				s := New(rec.options())
				set(t, s, "m", tt.probe, minute)
				stop := start(t, s)
				time.Sleep(11 * time.Second)
				if got := rec.of("m"); len(got) != 1 || !tt.check(got[0]) {
					t.Errorf("got %+v", got)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		var every atomic.Int64
		every.Store(int64(time.Minute)) // at most Round
		options := rec.options()
		options.Every = func() time.Duration { return time.Duration(every.Load()) }
		s := New(options)
		stop := start(t, s)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got, want := rec.beats.Load(), int64(time.Minute/Round); got < want || got > want+2 {
			t.Errorf("%d beats in an idle minute, want %d", got, want)
		}
		every.Store(int64(Round / 4))
		time.Sleep(time.Minute)
		synctest.Wait()
		if got, want := rec.beats.Load(), int64(5*time.Minute/Round); got < want-5 || got > want+2 {
			t.Errorf("%d beats after another minute at four times the rate, want %d", got, want)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// Monitors that fall due close together wake the machine once.
func TestCoalescing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		s := New(rec.options())
		for i := range 1000 {
			set(t, s, fmt.Sprint(i), prober(ok), minute)
		}
		stop := start(t, s)
		time.Sleep(time.Minute)
		synctest.Wait()
		rec.beats.Store(0)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got, limit := rec.beats.Load(), int64(1000/Crowd+1)*int64(Spread/maxGrain+1)+int64(time.Minute/Round)+5; got > limit {
			t.Errorf("woke up %d times for 1 000 monitors, want at most %d", got, limit)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestCrowds: what probes seldom wakes the machine at whole seconds, when other
// loops do, and where there are many a slot later for each crowd.
func TestCrowds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		s := New(rec.options())
		timing := monitor.Timing{Interval: 10 * time.Second, Timeout: time.Second}
		for i := range 3 * Crowd {
			set(t, s, fmt.Sprint(i), prober(ok), timing)
		}
		stop := start(t, s)
		time.Sleep(time.Minute)
		synctest.Wait()
		for i := range 3 * Crowd {
			for _, r := range rec.of(fmt.Sprint(i)) {
				if got, want := r.At.Sub(r.At.Truncate(time.Second)), time.Duration(i/Crowd)*Slot; got != want {
					t.Fatalf("monitor %d began %v after a whole second, want %v", i, got, want)
				}
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestGrain: the rarer a monitor probes, the more others its probes wait for,
// and none waits longer than a slot or a tenth of its interval.
func TestGrain(t *testing.T) {
	for interval, want := range map[time.Duration]time.Duration{
		100 * time.Millisecond: Slot,
		time.Second:            100 * time.Millisecond,
		5 * time.Second:        200 * time.Millisecond,
		10 * time.Second:       maxGrain,
		time.Minute:            maxGrain,
		time.Hour:              maxGrain,
	} {
		if got := time.Duration(grain(interval)) * Slot; got != want {
			t.Errorf("every %v: probes begin in steps of %v, want %v", interval, got, want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		s := New(rec.options())
		const wait = 70 * time.Millisecond
		set(t, s, "often", prober(ok), monitor.Timing{Interval: time.Second, Timeout: time.Second, FirstWait: wait})
		set(t, s, "rarely", prober(ok), monitor.Timing{Interval: time.Minute, Timeout: time.Second, FirstWait: wait})
		began := time.Now()
		stop := start(t, s)
		time.Sleep(Spread + maxGrain)
		synctest.Wait()
		for name, latest := range map[string]time.Duration{"often": wait + Slot, "rarely": wait + Spread + maxGrain} {
			all := rec.of(name)
			if len(all) == 0 || all[0].At.Sub(began) > latest || all[0].At.Sub(began) < wait {
				t.Errorf("%s: %d probes, the first not between %v and %v after the start", name, len(all), wait, latest)
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestSetAll: thousands that are set together are all there before the first is
// probed, and share the time of an interval rather than begin at once. One that
// cannot be set hinders no other.
func TestSetAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 10_000
		timing := monitor.Timing{Interval: 20 * time.Second, Timeout: time.Second}
		var rec recorder
		s := New(rec.options())
		stop := start(t, s)
		synctest.Wait()
		items := []Item{{Name: "wrong", Prober: prober(ok)}}
		for i := range n {
			items = append(items, Item{fmt.Sprint(i), prober(ok), timing})
		}
		if err := s.SetAll(items); err == nil || !strings.Contains(err.Error(), "wrong") {
			t.Errorf("error %v", err)
		}
		if got := len(s.States()); got != n {
			t.Fatalf("%d monitors are there, want %d", got, n)
		}
		began := time.Now()
		time.Sleep(n*SpreadEach + maxGrain)
		synctest.Wait()
		seconds := map[int]int{}
		for i := range n {
			all := rec.of(fmt.Sprint(i))
			if len(all) != 1 {
				t.Fatalf("%d: %d probes", i, len(all))
			}
			seconds[int(all[0].At.Sub(began)/time.Second)]++
		}
		for second, count := range seconds {
			if limit := 3 * int(time.Second/SpreadEach) / 2; count > limit {
				t.Errorf("%d probes began in second %d, want at most %d", count, second, limit)
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestTriggeredTwice is told of an end as it begins, when there is nothing to see yet, and
// again a moment later: the second look does not wait for the gap.
func TestTriggeredTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		s := New(rec.options())
		set(t, s, "m", prober(ok), minute)
		stop := start(t, s)
		time.Sleep(10 * time.Second)
		before := len(rec.of("m"))
		for range 3 {
			if err := s.Trigger("m"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
		}
		if n := len(rec.of("m")) - before; n != 2 {
			t.Errorf("%d probes at once, want 2", n)
		}
		time.Sleep(TriggerGap)
		synctest.Wait()
		if n := len(rec.of("m")) - before; n != 3 {
			t.Errorf("%d probes after the gap, want 3", n)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestTrigger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		s := New(rec.options())
		set(t, s, "m", prober(ok), minute)
		stop := start(t, s)
		time.Sleep(10 * time.Second)
		for range 1000 { // a target that flaps for one second
			if err := s.Trigger("m"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		if n, limit := len(rec.of("m")), 1+int(time.Second/TriggerGap)+2; n < limit-2 || n > limit {
			t.Errorf("%d probes, want about %d", n, limit)
		}
		before := len(rec.of("m"))
		time.Sleep(time.Minute - 12*time.Second + Slot)
		synctest.Wait()
		if n := len(rec.of("m")) - before; n != 1 {
			t.Errorf("the grid was moved by triggers: %d probes at the minute", n)
		}
		if err := s.Trigger("nobody"); !errors.Is(err, ErrUnknown) {
			t.Errorf("got %v", err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestSuspend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		s := New(rec.options())
		changes := make(chan struct{})
		set(t, s, "m", watcher{prober: func(ctx context.Context) (monitor.Finding, error) {
			select {
			case <-ctx.Done():
			case <-time.After(2 * time.Second):
			}
			return monitor.Finding{}, nil
		}, changes: changes}, minute)
		stop := start(t, s)
		time.Sleep(10 * time.Second)
		changes <- struct{}{}
		time.Sleep(time.Second) // in the middle of a probe
		if err := s.Suspend("m"); err != nil {
			t.Fatal(err)
		}
		changes <- struct{}{}
		time.Sleep(10 * time.Minute)
		if n := len(rec.of("m")); n != 1 {
			t.Errorf("%d reports, want the one before the suspension", n)
		}
		if st, ok := s.State("m"); !ok || !st.Suspended {
			t.Errorf("state is %+v", st)
		}
		if err := s.Resume("m"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if n := len(rec.of("m")); n != 2 {
			t.Errorf("%d reports, want one at once after the suspension", n)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestStretch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		s := New(rec.options())
		set(t, s, "m", prober(hang), minute)
		s.Stretch(3)
		stop := start(t, s)
		time.Sleep(59 * time.Second)
		if got := rec.of("m"); len(got) != 1 || got[0].Took != 30*time.Second {
			t.Errorf("got %+v", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// Nothing is learnt about a target while the whole process stood still. A
// scheduler whose loop is held for half a minute cannot tell that from a pause.
func TestPauseIsDiscounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		options := rec.options()
		probes := 0
		var hold atomic.Bool
		options.Beat = func() {
			if hold.Swap(false) {
				time.Sleep(30 * time.Second)
			}
		}
		s := New(options)
		set(t, s, "m", prober(func(ctx context.Context) (monitor.Finding, error) {
			if probes++; probes == 2 {
				hold.Store(true)
				return hang(ctx)
			}
			return monitor.Finding{}, nil
		}), minute)
		stop := start(t, s)
		time.Sleep(100 * time.Second)
		for _, r := range rec.of("m") {
			if r.TimedOut || r.Err != nil {
				t.Errorf("a pause of the machine was taken for a time-out: %+v", r)
			}
		}
		if probes != 3 {
			t.Errorf("%d probes, want the second one repeated at once", probes)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestBadTiming(t *testing.T) {
	s := New(Options{})
	for _, tm := range []monitor.Timing{{}, {Interval: 1}, {Timeout: 1}, {Interval: 1, Timeout: 1, FirstWait: -1}} {
		if s.Set("m", prober(ok), tm) == nil {
			t.Errorf("accepted %+v", tm)
		}
	}
}

func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		s := New(rec.options())
		for i := range MaxOutstanding + 10 {
			set(t, s, fmt.Sprint(i), prober(hang), minute)
		}
		stop := start(t, s)
		time.Sleep((MaxOutstanding+10)*SpreadEach + time.Second)
		refused := 0
		for i := range MaxOutstanding + 10 {
			for _, r := range rec.of(fmt.Sprint(i)) {
				if errors.Is(r.Err, ErrBusy) {
					refused++
				}
			}
		}
		if refused != 10 {
			t.Errorf("%d probes were refused, want 10", refused)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestDrainNamesWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		s := New(rec.options())
		release := make(chan struct{})
		set(t, s, "bad", prober(func(context.Context) (monitor.Finding, error) { <-release; return monitor.Finding{}, nil }), minute)
		set(t, s, "good", prober(hang), minute)
		stop := start(t, s)
		time.Sleep(4 * time.Second)
		before := time.Now()
		if err := stop(); err == nil || !strings.HasSuffix(err.Error(), "hang: bad") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(before); took != Drain {
			t.Errorf("waited for %v, want %v", took, Drain)
		}
		n := len(rec.of("bad")) + len(rec.of("good"))
		close(release)
		synctest.Wait()
		if n != len(rec.of("bad"))+len(rec.of("good")) {
			t.Error("reported after the end")
		}
	})
}

// Fix 106 of the original: several threads that started monitors at the same
// time could start the same one twice.
func TestFix106NeverTwice(t *testing.T) {
	var running, probes, overlaps atomic.Int32
	s := New(Options{Emit: func(string, monitor.Report) {}})
	p := prober(func(ctx context.Context) (monitor.Finding, error) {
		if running.Add(1) > 1 {
			overlaps.Add(1)
		}
		probes.Add(1)
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond):
		}
		running.Add(-1)
		return monitor.Finding{}, nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	tm := monitor.Timing{Interval: 2 * time.Millisecond, Timeout: time.Second}
	var starters sync.WaitGroup
	for i := range 16 {
		starters.Go(func() {
			for j := range 200 {
				switch (i + j) % 5 {
				case 0:
					_ = s.Remove("m") // may be gone already
				case 1:
					_ = s.Suspend("m")
				case 2:
					_ = s.Resume("m")
				case 3:
					_ = s.Trigger("m")
				}
				if err := s.Set("m", p, tm); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Duration(i*j%7) * 100 * time.Microsecond)
			}
		})
	}
	starters.Wait()
	cancel()
	wg.Wait()
	if overlaps.Load() > 0 || probes.Load() == 0 {
		t.Errorf("%d of %d probes ran beside another of the same monitor", overlaps.Load(), probes.Load())
	}
}
