package schedule

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"shisa/ctl/monitor"
)

// A closer counts how often it is used after it was closed, and closed at all.
type closer struct {
	prober
	closed, after *atomic.Int32
}

func (c closer) Probe(ctx context.Context) (monitor.Finding, error) {
	if c.closed.Load() > 0 {
		c.after.Add(1)
	}
	return c.prober(ctx)
}

func (c closer) Close() error { c.closed.Add(1); return nil }

// A reload touches what it names and nothing else: every monitor, changed or
// not, keeps its grid and misses no probe.
func TestReloadLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		s := New(rec.options())
		const monitors, minutes = 1000, 20
		for i := range monitors {
			set(t, s, fmt.Sprint(i), prober(ok), minute)
		}
		stop := start(t, s)
		for range minutes {
			time.Sleep(time.Minute)
			for i := range monitors / 2 {
				set(t, s, fmt.Sprint(i), prober(ok), minute)
			}
		}
		time.Sleep(Spread + maxGrain)
		synctest.Wait()
		for i := range monitors {
			got := rec.of(fmt.Sprint(i))
			if len(got) != minutes+1 {
				t.Fatalf("monitor %d was probed %d times, want %d", i, len(got), minutes+1)
			}
			for j := 1; j < len(got); j++ {
				if d := got[j].At.Sub(got[j-1].At); d != time.Minute {
					t.Fatalf("monitor %d: probe %d began after %v", i, j, d)
				}
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestReplaceWhileProbing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		s := New(rec.options())
		var closed, after, closedNew atomic.Int32
		set(t, s, "m", closer{hang, &closed, &after}, minute)
		stop := start(t, s)
		time.Sleep(time.Second) // in the middle of its first probe
		set(t, s, "m", closer{ok, &closedNew, &after}, minute)
		time.Sleep(time.Second)
		if got := rec.of("m"); len(got) != 1 || got[0].TimedOut || got[0].Err != nil {
			t.Errorf("got %+v, want one good report by the new rules", got)
		}
		if closed.Load() != 1 || after.Load() != 0 {
			t.Errorf("the old prober was closed %d times and used %d times afterwards", closed.Load(), after.Load())
		}
		if err := s.Remove("m"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if closedNew.Load() != 1 {
			t.Errorf("the new prober was closed %d times", closedNew.Load())
		}
		if _, found := s.State("m"); found {
			t.Error("it is still there")
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestChangedInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		s := New(rec.options())
		set(t, s, "m", prober(ok), monitor.Timing{Interval: time.Hour, Timeout: time.Second})
		stop := start(t, s)
		time.Sleep(10 * time.Second)
		set(t, s, "m", prober(ok), minute)
		time.Sleep(time.Minute + Slot)
		synctest.Wait()
		if n := len(rec.of("m")); n != 2 {
			t.Errorf("%d probes, want the second one a minute after the change", n)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A watch that ends with nil is taken up again after the next probe, one that
// ends with an error is given up, and neither outlives its prober.
func TestWatch(t *testing.T) {
	for _, tt := range []struct {
		name    string
		err     error
		watched bool
	}{
		{"for now", nil, true},
		{"for good", fmt.Errorf("no such feature"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var rec recorder
				s := New(rec.options())
				var begun atomic.Int32
				set(t, s, "m", watchFunc{ok, func(ctx context.Context, changed func()) error {
					if begun.Add(1) == 1 {
						changed()
						return tt.err
					}
					<-ctx.Done()
					return nil
				}}, minute)
				stop := start(t, s)
				time.Sleep(10 * time.Second)
				if n := len(rec.of("m")); n != 2 {
					t.Errorf("%d probes, want the due one and the triggered one", n)
				}
				if st, _ := s.State("m"); st.Watched != tt.watched || (st.WatchErr != nil) == tt.watched {
					t.Errorf("state is %+v", st)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// The probe that a change brings about may end before the watch that announced
// it: the watch is taken up again all the same.
func TestWatchSlowerThanProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		s := New(rec.options())
		var begun atomic.Int32
		set(t, s, "m", watchFunc{ok, func(ctx context.Context, changed func()) error {
			if begun.Add(1) == 1 {
				changed()
				time.Sleep(time.Second)
				return nil
			}
			<-ctx.Done()
			return nil
		}}, minute)
		stop := start(t, s)
		time.Sleep(10 * time.Second)
		if st, _ := s.State("m"); !st.Watched || begun.Load() != 2 {
			t.Errorf("watched %t after %d watches", st.Watched, begun.Load())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

type watchFunc struct {
	prober
	watch func(context.Context, func()) error
}

func (w watchFunc) Watch(ctx context.Context, changed func()) error { return w.watch(ctx, changed) }

// BenchmarkReload is the time in which a thousand monitors are replaced while
// probing goes on; the aim is 50 ms.
func BenchmarkReload(b *testing.B) {
	s := New(Options{Emit: func(string, monitor.Report) {}})
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	reload := func() {
		for i := range 1000 {
			if err := s.Set(fmt.Sprint(i), prober(ok), minute); err != nil {
				b.Fatal(err)
			}
		}
	}
	reload()
	for b.Loop() {
		reload()
	}
	cancel()
	if err := <-done; err != nil {
		b.Error(err)
	}
}
