package decide_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shisa/ctl/config"
	"shisa/ctl/decide"
	"shisa/ctl/decide/decidetest"
	"shisa/ctl/monitor"
	"shisa/ctl/recovery"
)

// This file holds a test for each fix of the original that is about groups,
// resources, monitors as such, or recovery, and that concerns decisions. Those
// that concern processes and time are beside the code that has to do with them.

// TestFix027ManyOperations: operations leave nothing behind. The original
// leaked a little with each.
func TestFix027ManyOperations(t *testing.T) {
	w := boot(t, model(onWeb(recovery.Policy{MaxRestart: 1})))
	used := func() uint64 {
		w.Trace = nil
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	round := func() {
		w.Input(decide.GroupWanted{Name: "g", By: "test"})
		w.Run(time.Minute)
		w.Input(decide.GroupWanted{Name: "g", Up: true, By: "test"})
		w.Run(time.Minute)
		w.Input(decide.ResourceWanted{Name: "web", By: "test"})
		w.Input(decide.ResourceWanted{Name: "web", Up: true, By: "test"})
		w.Run(time.Minute)
		w.Trace = nil
	}
	for range 50 {
		round()
	}
	before := used()
	for range 2000 {
		round()
	}
	if after := used(); after > before+512<<10 { // the test's own books grow by some bytes a round
		t.Errorf("%d bytes before, %d after 2000 rounds", before, after)
	}
	if left := w.Outstanding(); left != nil {
		t.Errorf("under way for ever: %q", left)
	}
}

// TestFix032LateProbe: a probe that ends after its monitor was suspended
// changes nothing of what is shown.
func TestFix032LateProbe(t *testing.T) {
	w := boot(t, model(onWeb(recovery.Policy{MaxRestart: 1})))
	w.Input(decide.Hold{Monitor: "m", On: true, By: "test"})
	w.Input(decide.Probed{Monitor: "m", Outcome: bad, Detail: "late"})
	v, _ := w.Machine.Monitor("m")
	if !v.Held || v.Probing || v.Health != decide.Unknown || v.Detail != "" || w.Count("stop web") != 0 {
		t.Errorf("%+v\n%q", v, w.Trace)
	}
}

// TestFix035RefusedRequests: what is asked for in vain leaves nothing behind,
// and does not hinder what is asked for later (fixes 35 and 36).
func TestFix035RefusedRequests(t *testing.T) {
	m := model(onWeb(recovery.Policy{}))
	w := decidetest.New(m)
	w.Takes["start db"] = time.Minute
	w.Input(decide.Boot{Clean: true})
	for range 100 { // in transition
		w.Input(decide.ResourceWanted{Name: "web", By: "test"})
		w.Input(decide.GroupWanted{Name: "g", Up: true, By: "test"})
		w.Input(decide.GroupWanted{Name: "nobody", By: "test"})
		w.Input(decide.Hold{Monitor: "nobody", On: true, By: "test"})
	}
	w.Run(2 * time.Minute)
	if d := cmp.Diff([]string{"start db", "start web"}, w.Did("start", "stop")); d != "" {
		t.Error(d)
	}
	w.Input(decide.StopService{Reason: "test"})
	w.Run(time.Minute)
	if w.Count("exit") != 1 {
		t.Errorf("the service does not end: %q", w.Trace)
	}
}

// TestFix066AllMonitors: everything can be suspended and resumed at once, with
// monitors of every kind.
func TestFix066AllMonitors(t *testing.T) {
	m := model(onWeb(recovery.Policy{}))
	for _, kind := range []string{"server", "group", "groups"} {
		c := config.Monitor{Name: kind, When: monitor.Always, Recovery: config.Recovery{Target: config.Ref{Kind: kind}}}
		if kind == "group" {
			c.Recovery.Target.Name = "g"
		}
		m.Monitors = append(m.Monitors, c)
	}
	w := boot(t, m)
	for round, on := range []bool{true, false, true, true, false} {
		w.Input(decide.Hold{On: on, By: "test"})
		for _, c := range m.Monitors {
			if w.Probing(c.Name) == on {
				t.Errorf("round %d: %s is probed: %v", round, c.Name, !on)
			}
		}
	}
}

// TestFix068NoWaitAfterTheLastAttempt: there is a pause between attempts and
// none after the last.
func TestFix068NoWaitAfterTheLastAttempt(t *testing.T) {
	for retries := range 4 {
		m := model(onWeb(recovery.Policy{}))
		m.Resources[0].StartRetry, m.Resources[0].StopRetry = retries, retries
		want := time.Duration(retries) * decide.RetryPause

		w := decidetest.New(m)
		w.Fails["start db"] = "exit status 1"
		w.Input(decide.Boot{Clean: true})
		w.Run(time.Hour)
		if at := when(t, w, "event group-start-failed"); at != want {
			t.Errorf("%d retries: did not start after %v, want %v", retries, at, want)
		}
		w = boot(t, m)
		w.Fails["stop db"] = "exit status 1"
		w.Input(decide.GroupWanted{Name: "g", By: "test"})
		w.Run(time.Hour)
		if at := when(t, w, "event group-stop-failed"); at != want {
			t.Errorf("%d retries: did not stop after %v, want %v", retries, at, want)
		}
	}
}

// when returns the time of the first line of the trace that contains text.
func when(t *testing.T, w *decidetest.World, text string) time.Duration {
	t.Helper()
	i := slices.IndexFunc(w.Trace, func(l string) bool { return strings.Contains(l, text) })
	if i < 0 {
		t.Fatalf("no %q in %q", text, w.Trace)
	}
	at, _, _ := strings.Cut(w.Trace[i], " ")
	d, err := time.ParseDuration(at)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestFix102OthersRecoverAfterStopGroup: after each final action below the
// machine, and the operator's start, another monitor recovers the same target.
func TestFix102OthersRecoverAfterStopGroup(t *testing.T) {
	for _, a := range []recovery.Action{recovery.StopGroup, recovery.StopResource, recovery.Command} {
		m := model(onWeb(recovery.Policy{FinalAction: a}))
		m.Monitors[0].Recovery.Command = "/c"
		other := m.Monitors[0]
		other.Name, other.Recovery.Policy = "other", recovery.Policy{MaxRestart: 1}
		m.Monitors = append(m.Monitors, other)
		w := boot(t, m)
		cycle{bad}.play(w)
		w.Run(time.Minute)
		w.Input(decide.GroupWanted{Name: "g", Up: true, By: "test"})
		w.Input(decide.ResourceWanted{Name: "web", Up: true, By: "test"})
		w.Run(time.Minute)
		w.Trace = nil
		w.Probe("other", bad)
		w.Run(time.Minute)
		if d := cmp.Diff([]string{"stop web", "start web"}, w.Did("start", "stop")); d != "" {
			t.Errorf("after %s: %s", a, d)
		}
	}
}

// TestFix107SilentStop: while groups stop slowly with the service, no monitor
// finds a failure, and none is told of one (fixes 69, 107 and 127).
func TestFix107SilentStop(t *testing.T) {
	for _, how := range []decide.Input{decide.StopService{Reason: "test"}, decide.GroupWanted{Name: "g", By: "test"}} {
		for _, target := range []config.Ref{{Kind: "resource", Name: "web"}, {Kind: "group", Name: "g"}, {Kind: "groups"}} {
			r := onWeb(recovery.Policy{MaxRestart: 3, FinalAction: recovery.StopGroup})
			r.Target = target
			m := model(r)
			always := m.Monitors[0]
			always.Name, always.When, always.Target = "always", monitor.Always, ""
			m.Monitors = append(m.Monitors, always)
			w := boot(t, m)
			w.Takes["stop web"], w.Takes["stop db"] = time.Minute, time.Minute
			w.Trace = nil
			w.Input(how)
			for range 10 {
				w.Run(11 * time.Second)
				w.Probe("m", bad)
				w.Probe("always", bad)
				w.Input(decide.Probed{Monitor: "m", Outcome: bad, Detail: "late"})
			}
			if got := w.Did("event monitor", "event recovery", "start", "act"); got != nil {
				t.Errorf("%T, %v: %q", how, target, got)
			}
		}
	}
}

// TestFix127MonitorsStopFirst: a monitor is told to stop looking before what it
// watches is told to stop.
func TestFix127MonitorsStopFirst(t *testing.T) {
	m := decide.New(model(onWeb(recovery.Policy{MaxRestart: 1})))
	m.Step(0, decide.Boot{Clean: true, Adopt: true, Durable: decide.Durable{Online: []string{"db", "web"}, Groups: map[string]bool{"g": true}}})
	for name, in := range map[string]decide.Input{"service": decide.StopService{Reason: "test"}} {
		var order []string
		for _, c := range m.Step(time.Second, in) {
			switch c.(type) {
			case decide.Watch, decide.StopResource:
				order = append(order, fmt.Sprintf("%T", c))
			}
		}
		if d := cmp.Diff([]string{"decide.Watch", "decide.StopResource"}, order); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// TestFix112RecoveryWaitsForNothing: what is decided is done in the same step
// as the failure is found, whatever else hangs.
func TestFix112RecoveryWaitsForNothing(t *testing.T) {
	m := model(onWeb(recovery.Policy{MaxRestart: 1}))
	m.Groups = append(m.Groups, config.Group{Name: "other"})
	m.Resources = append(m.Resources, config.Resource{Name: "stuck", Group: "other"})
	m.Monitors = append(m.Monitors, config.Monitor{Name: "n", When: monitor.Always, Recovery: config.Recovery{Target: config.Ref{Kind: "server"},
		Script: "/hangs", Policy: recovery.Policy{MaxScript: 1}}})
	w := decidetest.New(m)
	w.Takes["script /hangs"], w.Takes["start stuck"] = time.Hour, time.Hour
	w.Input(decide.Boot{Clean: true})
	w.Input(decide.GroupWanted{Name: "other", Up: true, By: "test"})
	w.Run(0)
	w.Probe("n", bad)
	before := w.Now
	w.Probe("m", bad)
	if at := when(t, w, "stop web"); at != before {
		t.Errorf("stopped at %v, the failure was found at %v", at, before)
	}
}

// TestFix117SuspendedWhileStopping: a monitor that is suspended while its
// group stops ends up stopped, and suspended still when the group runs again.
func TestFix117SuspendedWhileStopping(t *testing.T) {
	w := boot(t, model(onWeb(recovery.Policy{})))
	w.Takes["stop web"] = time.Minute
	w.Input(decide.GroupWanted{Name: "g", By: "test"})
	w.Run(30 * time.Second)
	w.Input(decide.Hold{Monitor: "m", On: true, By: "test"})
	w.Run(time.Minute)
	if v, _ := w.Machine.Monitor("m"); !v.Idle || v.Probing {
		t.Errorf("after the stop: %+v", v)
	}
	w.Input(decide.GroupWanted{Name: "g", Up: true, By: "test"})
	w.Run(time.Minute)
	if v, _ := w.Machine.Monitor("m"); v.Idle || v.Probing || !v.Held {
		t.Errorf("after the start: %+v", v)
	}
	w.Input(decide.Hold{Monitor: "m", By: "test"})
	if !w.Probing("m") {
		t.Error("it is not probed after it was resumed")
	}
}

// TestFix124TimeoutsAreRetried: a timeout uses up one tolerated failure like
// any other, whatever the type of the monitor (fixes 61, 124 and 128).
func TestFix124TimeoutsAreRetried(t *testing.T) {
	for retry := range 4 {
		for timeouts := range 6 {
			w := boot(t, model(onWeb(recovery.Policy{Retry: retry, MaxRestart: 9})))
			for range timeouts {
				w.Run(10 * time.Second)
				w.Probe("m", late)
			}
			if got, want := w.Count("stop web"), timeouts/(retry+1); got != want {
				t.Errorf("%d timeouts, %d tolerated: %d restarts, want %d", timeouts, retry, got, want)
			}
		}
	}
}

// TestFix126EachStateEachTarget: a failure that is found while the target
// starts or stops leads to nothing, for every kind of target; one that is found
// before and after does.
func TestFix126EachStateEachTarget(t *testing.T) {
	for _, target := range []config.Ref{{Kind: "resource", Name: "web"}, {Kind: "group", Name: "g"}, {Kind: "groups"}} {
		r := onWeb(recovery.Policy{MaxRestart: 9})
		r.Target = target
		m := model(r)
		m.Monitors[0].When = monitor.Always
		w := decidetest.New(m)
		w.Takes["start web"], w.Takes["stop db"] = time.Minute, time.Minute
		states := map[decide.GroupState]bool{}
		probe := func(want int) {
			t.Helper()
			state := w.Machine.View().Groups[0].State
			states[state] = true
			before := w.Count("event recovery-restart")
			w.Probe("m", bad)
			if got := w.Count("event recovery-restart") - before; got != want {
				t.Errorf("%v in a group that is %s: %d restarts, want %d", target, state, got, want)
			}
		}
		w.Input(decide.Boot{Clean: true})
		probe(0) // starting
		w.Run(2 * time.Minute)
		probe(1) // online
		probe(0) // being restarted
		w.Run(5 * time.Minute)
		w.Input(decide.GroupWanted{Name: "g", By: "test"})
		probe(0) // stopping
		w.Run(5 * time.Minute)
		probe(0) // offline
		w.Fails["start db"] = "exit status 1"
		w.Input(decide.GroupWanted{Name: "g", Up: true, By: "test"})
		w.Run(5 * time.Minute)
		if !states[decide.GroupStarting] || !states[decide.GroupOnline] || !states[decide.GroupStopping] || !states[decide.GroupOffline] {
			t.Errorf("probed in %v only", states)
		}
	}
}

// TestEnhancement058EmergencyShutdown: a shutdown after a failure stops what
// can be stopped, waits for nothing that cannot come, and then goes on.
func TestEnhancement058EmergencyShutdown(t *testing.T) {
	m := model(onWeb(recovery.Policy{FinalAction: recovery.Shutdown}))
	m.Groups = append(m.Groups, config.Group{Name: "after", Auto: true, StopAfter: []string{"g"}, StopWait: time.Hour, StopWhen: []string{"shutdown"}})
	m.Resources = append(m.Resources, config.Resource{Name: "mail", Group: "after"})
	w := boot(t, m)
	w.Fails["stop web"] = "hangs"
	w.Trace = nil
	cycle{bad, bad}.play(w)
	w.Run(time.Second)
	if d := cmp.Diff([]string{"stop web", "stop db", "stop mail", "guard", "act shutdown"}, w.Did("stop", "guard", "act")); d != "" {
		t.Errorf("%s\n%q", d, w.Trace)
	}
}
