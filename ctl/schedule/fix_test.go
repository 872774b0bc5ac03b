package schedule

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"shisa/ctl/monitor"
)

// TestFix023FirstWait: the first probe comes after the wait before the first
// probe, whatever the timeout is. The original waited for the timeout.
func TestFix023FirstWait(t *testing.T) {
	for _, wait := range []time.Duration{5 * time.Second, time.Minute, 10 * time.Minute} {
		for _, timeout := range []time.Duration{time.Second, time.Minute, time.Hour} {
			synctest.Test(t, func(t *testing.T) {
				var r recorder
				s := New(r.options())
				began := time.Now()
				if err := s.Set("m", prober(ok), monitor.Timing{Interval: time.Hour, Timeout: timeout, FirstWait: wait}); err != nil {
					t.Fatal(err)
				}
				stop := start(t, s)
				defer func() { _ = stop() }()
				time.Sleep(wait + Spread + Slot + time.Second)
				synctest.Wait()
				all := r.of("m")
				if len(all) != 1 {
					t.Fatalf("wait %v, timeout %v: %d probes", wait, timeout, len(all))
				}
				if at := all[0].At.Sub(began); at < wait || at > wait+Spread+Slot {
					t.Errorf("wait %v, timeout %v: first probe after %v", wait, timeout, at)
				}
			})
		}
	}
}

// TestFix116IntervalAndTimeout: a probe is timed from its own start. Whether
// the interval is shorter than the timeout, as long, or longer, a probe that
// keeps within the timeout is no timeout, and one that does not is.
func TestFix116IntervalAndTimeout(t *testing.T) {
	const timeout = 20 * time.Second
	for _, interval := range []time.Duration{5 * time.Second, timeout, time.Minute} {
		for _, tt := range []struct {
			took time.Duration
			late bool
		}{{timeout - time.Second, false}, {timeout + time.Second, true}} {
			synctest.Test(t, func(t *testing.T) {
				var r recorder
				s := New(r.options())
				look := func(ctx context.Context) (monitor.Finding, error) {
					select {
					case <-time.After(tt.took):
						return monitor.Finding{}, nil
					case <-ctx.Done():
						return monitor.Finding{}, ctx.Err()
					}
				}
				if err := s.Set("m", prober(look), monitor.Timing{Interval: interval, Timeout: timeout}); err != nil {
					t.Fatal(err)
				}
				stop := start(t, s)
				defer func() { _ = stop() }()
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				all := r.of("m")
				if len(all) < 5 {
					t.Fatalf("interval %v: %d probes in ten minutes", interval, len(all))
				}
				for _, one := range all {
					if one.TimedOut != tt.late {
						t.Errorf("interval %v, timeout %v, took %v: timed out %v", interval, timeout, one.Took, one.TimedOut)
					}
				}
			})
		}
	}
}

// TestFix071StopEnds: whatever probes do when the scheduler is told to end, it
// does so within a bounded time (fixes 71 and 135).
func TestFix071StopEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		s := New(r.options())
		forever := make(chan struct{})
		probers := map[string]prober{
			"quick": ok,
			"hangs": hang,
			"deaf":  func(context.Context) (monitor.Finding, error) { <-forever; return monitor.Finding{}, nil },
			"slow": func(ctx context.Context) (monitor.Finding, error) {
				<-ctx.Done()
				time.Sleep(Drain / 2) // it clears up
				return monitor.Finding{}, ctx.Err()
			},
		}
		for name, p := range probers {
			if err := s.Set(name, p, monitor.Timing{Interval: time.Second, Timeout: time.Hour}); err != nil {
				t.Fatal(err)
			}
		}
		stop := start(t, s)
		time.Sleep(Spread + 2*time.Second)
		began := time.Now()
		_ = stop() // it names what hangs, which another test looks at
		if took := time.Since(began); took > Drain+Slot {
			t.Errorf("it took %v to end, at most %v are allowed", took, Drain)
		}
		close(forever)
	})
}

// TestFix087StopAtEveryStage: a monitor may be removed at every stage of a
// probe; nothing is reported of it afterwards, and it can come back (fixes 87
// and 32).
func TestFix087StopAtEveryStage(t *testing.T) {
	const takes = time.Second
	for at := time.Duration(0); at <= 4*time.Second; at += 250 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			var r recorder
			s := New(r.options())
			look := func(ctx context.Context) (monitor.Finding, error) {
				select {
				case <-time.After(takes):
					return monitor.Finding{}, nil
				case <-ctx.Done():
					return monitor.Finding{}, ctx.Err()
				}
			}
			timing := monitor.Timing{Interval: 2 * time.Second, Timeout: time.Minute}
			if err := s.Set("m", prober(look), timing); err != nil {
				t.Fatal(err)
			}
			stop := start(t, s)
			defer func() { _ = stop() }()
			time.Sleep(Spread + at)
			if err := s.Remove("m"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			before := len(r.of("m"))
			time.Sleep(10 * time.Second)
			if after := len(r.of("m")); after != before {
				t.Errorf("removed after %v: %d reports later", at, after-before)
			}
			if err := s.Set("m", prober(look), timing); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Second)
			if after := len(r.of("m")); after < before+5 {
				t.Errorf("removed after %v and set again: %d reports in 20 s", at, after-before)
			}
		})
	}
}
