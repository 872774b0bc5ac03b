package vm

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/monitor/monitortest"
)

// host is a target that is asked.
type host func(ctx context.Context) (monitor.Verdict, string, error)

func (host) Process() (int, uint64, bool) { return 0, 0, false }

func (h host) Look(ctx context.Context) (monitor.Verdict, string, error) { return h(ctx) }

func says(v monitor.Verdict, what string) monitor.Env {
	return monitor.Env{Name: "guest", Target: host(func(ctx context.Context) (monitor.Verdict, string, error) { return v, what, ctx.Err() })}
}

func TestType(t *testing.T) {
	silent := monitor.Env{Target: host(func(ctx context.Context) (monitor.Verdict, string, error) {
		<-ctx.Done()
		return 0, "", ctx.Err()
	})}
	refuses := monitor.Env{Target: host(func(context.Context) (monitor.Verdict, string, error) { return 0, "", errors.New("connection refused") })}
	at := map[string]any{"absence": "0s"}
	monitortest.Run(t, Type, []monitortest.Case{
		{Name: "runs", Env: says(monitor.OK, "running"), Detail: "is running"},
		{Name: "starts", Env: says(monitor.Warning, "changing"), Want: monitor.Warning},
		{Name: "stopped", Env: says(monitor.Failed, "stopped"), Params: at, Want: monitor.Failed, Detail: "is stopped"},
		{Name: "stopped just now", Env: says(monitor.Failed, "stopped"), Want: monitor.Warning, Detail: "is stopped, for 0s of 15s"},
		{Name: "no host", Env: refuses, NoLook: true, Detail: "connection refused"},
		{Name: "silent host", Env: silent, TimedOut: true, Timeout: 100 * time.Millisecond},
		{Name: "no target", WantErr: "target of type vm"},
		{Name: "another target", Env: monitor.Env{Target: monitortest.TargetFunc(nil)}, WantErr: "target of type vm"},
		// Fix 15 of the original: letters were taken for a time.
		{Name: "no time", Env: says(monitor.OK, ""), Params: map[string]any{"absence": "abc"}, WantErr: "absence"},
	})
}

// Fixes 4 and 41 of the original: with a host that cannot be used the monitor
// crashed. It says that it could not look, goes on, and sees the machine as soon
// as the host is there.
func TestFix004Fix041HostUnusable(t *testing.T) {
	var broken error = errors.New("connection refused")
	p, err := Type.New(nil, monitor.Env{Target: host(func(context.Context) (monitor.Verdict, string, error) { return 0, "running", broken })})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if f, err := p.Probe(t.Context()); !errors.Is(err, broken) {
			t.Errorf("got %+v, %v", f, err)
		}
	}
	broken = nil
	if f, err := p.Probe(t.Context()); err != nil || f.Verdict != monitor.OK {
		t.Errorf("got %+v, %v", f, err)
	}
}

// Fix 113 of the original: the monitor was wrong with intervals of 15 seconds
// and more. The time of absence is its own, whatever the interval.
func TestFix113AbsenceWhateverTheInterval(t *testing.T) {
	for _, interval := range []time.Duration{time.Second, 10 * time.Second, 15 * time.Second, 60 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			now := monitor.Failed
			p, err := Type.New(nil, monitor.Env{Target: host(func(context.Context) (monitor.Verdict, string, error) { return now, "stopped", nil })})
			if err != nil {
				t.Fatal(err)
			}
			probe := func() monitor.Verdict {
				f, err := p.Probe(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				return f.Verdict
			}
			for round := range 2 {
				begin, away := time.Now(), time.Duration(0)
				for probe() == monitor.Warning {
					time.Sleep(interval)
					away = time.Since(begin)
				}
				if away < 15*time.Second || away >= 15*time.Second+interval {
					t.Errorf("interval %v, round %d: failed after %v", interval, round, away)
				}
				now = monitor.OK
				if v := probe(); v != monitor.OK {
					t.Errorf("it is back and counts as %v", v)
				}
				now = monitor.Failed
			}
		})
	}
}
