package decide_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shisa/ctl/config"
	"shisa/ctl/decide"
	"shisa/ctl/decide/decidetest"
	"shisa/ctl/monitor"
	"shisa/ctl/recovery"
	"shisa/ctl/resource"
)

// model is one group "g" with resources db and web (web needs db), and a
// monitor m of web with the given recovery.
func model(r config.Recovery) *config.Model {
	timing := resource.Timing{Start: time.Minute, Stop: time.Minute}
	m := &config.Model{
		Mode:    config.Protect,
		Server:  config.Server{Autostart: "always"},
		Limiter: config.Limiter{Enabled: true, Max: 2, Calm: time.Hour},
		Shutdown: config.Shutdown{
			Watch: "on_failure",
		},
		Groups: []config.Group{{Name: "g", Auto: true}},
		Resources: []config.Resource{
			{Name: "db", Type: "exec", Group: "g", Timing: timing},
			{Name: "web", Type: "exec", Group: "g", Timing: timing},
		},
		Monitors: []config.Monitor{{Name: "m", When: monitor.WhileActive, Target: "web", Recovery: r,
			Timing: monitor.Timing{Interval: 10 * time.Second, Timeout: 5 * time.Second}}},
	}
	return m
}

func onWeb(p recovery.Policy) config.Recovery {
	return config.Recovery{Target: config.Ref{Kind: "resource", Name: "web"}, Policy: p}
}

func boot(t *testing.T, m *config.Model) *decidetest.World {
	t.Helper()
	w := decidetest.New(m)
	t.Cleanup(func() {
		for _, b := range w.Broken {
			t.Error("invariant: " + b)
		}
	})
	w.Input(decide.Boot{Clean: true})
	w.Run(0)
	return w
}

func (c cycle) play(w *decidetest.World) {
	for _, in := range c {
		w.Run(10 * time.Second)
		w.Probe("m", in)
		w.Run(0)
	}
}

// A cycle is a history of probes of monitor m, ten seconds apart.
type cycle []recovery.Input

const (
	ok   = recovery.Succeeded
	bad  = recovery.Failed
	dead = recovery.SurelyFailed
	mute = recovery.CouldNotLook
	late = recovery.TimedOut
)

func TestStartAndStopInOrder(t *testing.T) {
	w := boot(t, model(onWeb(recovery.Policy{})))
	w.Input(decide.StopService{Reason: "test"})
	w.Run(time.Minute)
	want := []string{"start db", "start web", "stop web", "stop db", "exit"}
	if d := cmp.Diff(want, w.Did("start", "stop", "exit")); d != "" {
		t.Error(d)
	}
}

func TestRecovery(t *testing.T) {
	for _, tt := range []struct {
		name     string
		recovery config.Recovery
		change   func(*config.Model)
		fails    map[string]string
		history  cycle
		want     []string
	}{
		{"tolerated", onWeb(recovery.Policy{Retry: 1, MaxRestart: 1}), nil, nil, cycle{bad, ok, bad, ok}, nil},
		{"restart, then stop the group",
			onWeb(recovery.Policy{MaxRestart: 1, FinalAction: recovery.StopGroup}), nil, nil, cycle{bad, bad, bad},
			[]string{"stop web", "start web", "stop web", "stop db"}},
		{"script before restart", config.Recovery{Target: config.Ref{Kind: "group", Name: "g"}, BeforeRestart: "/r.sh",
			Policy: recovery.Policy{MaxRestart: 1}}, nil, nil, cycle{bad},
			[]string{"script /r.sh", "stop web", "stop db", "start db", "start web"}},
		{"reboot after one more look", onWeb(recovery.Policy{FinalAction: recovery.Reboot}), nil, nil, cycle{bad, bad},
			[]string{"probe m", "stop web", "stop db", "act reboot"}},
		{"healthy at the last look", onWeb(recovery.Policy{FinalAction: recovery.Reset}), nil, nil, cycle{bad, ok, ok},
			[]string{"probe m"}},
		{"blind at the last look", onWeb(recovery.Policy{FinalAction: recovery.Reset}), nil, nil, cycle{bad, mute, mute, bad},
			[]string{"probe m", "act reset"}},
		{"the next harder action", onWeb(recovery.Policy{FinalAction: recovery.Panic}), nil,
			map[string]string{"act panic": "no sysrq"}, cycle{dead, dead}, []string{"probe m", "act panic", "act reset"}},
		{"a stop that fails guards the shutdown", onWeb(recovery.Policy{FinalAction: recovery.Reboot}), nil,
			map[string]string{"stop db": "hangs"}, cycle{bad, bad},
			[]string{"probe m", "stop web", "stop db", "guard", "act reboot"}},
		{"timeouts may be told not to act", onWeb(recovery.Policy{NoRecoveryOnTimeout: true, MaxRestart: 1}), nil, nil, cycle{late, late, bad},
			[]string{"stop web", "start web"}},
		{"observing", onWeb(recovery.Policy{MaxRestart: 1, FinalAction: recovery.Reset}),
			func(m *config.Model) { m.Mode = config.Observe }, nil, cycle{bad, bad, bad}, nil},
		{"suppressed", onWeb(recovery.Policy{MaxRestart: 1}),
			func(m *config.Model) { m.Server.RecoverySuppress = true }, nil, cycle{bad, bad}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := model(tt.recovery)
			if tt.change != nil {
				tt.change(m)
			}
			w := boot(t, m)
			w.Trace = nil
			for k, v := range tt.fails {
				w.Fails[k] = v
			}
			tt.history.play(w)
			if d := cmp.Diff(tt.want, w.Did("start", "stop", "script", "probe", "act", "guard")); d != "" {
				t.Errorf("(-want +got):\n%s\n%q", d, w.Trace)
			}
		})
	}
}

// TestBackoff shows that the first restart is immediate and the later ones
// keep a growing distance.
func TestBackoff(t *testing.T) {
	r := onWeb(recovery.Policy{MaxRestart: 99})
	r.Backoff, r.BackoffMax = 20*time.Second, time.Minute
	w := boot(t, model(r))
	var at []time.Duration
	for range 300 {
		before := w.Count("start web")
		w.Run(time.Second)
		w.Probe("m", dead)
		w.Run(0)
		if w.Count("start web") > before {
			at = append(at, w.Now)
		}
	}
	var gaps []time.Duration
	for i := 1; i < len(at); i++ {
		gaps = append(gaps, at[i]-at[i-1])
	}
	if len(gaps) < 4 || gaps[0] < 20*time.Second || gaps[1] < 40*time.Second || gaps[2] < time.Minute || gaps[3] > 62*time.Second {
		t.Errorf("restarts at %v, gaps %v", at, gaps)
	}
}

// TestUnable: where nothing can be done to the machine, targets are recovered
// all the same.
func TestUnable(t *testing.T) {
	w := decidetest.New(model(onWeb(recovery.Policy{MaxRestart: 1, FinalAction: recovery.Reset})))
	w.Input(decide.Boot{Clean: true, Unable: "a container"})
	w.Run(0)
	w.Trace = nil
	cycle{bad, bad, bad}.play(w)
	if d := cmp.Diff([]string{"stop web", "start web"}, w.Did("start", "stop", "act")); d != "" || w.Count("would-have") != 1 {
		t.Errorf("%s\n%q", d, w.Trace)
	}
}

// TestLimiter counts machine-level actions across boots.
func TestLimiter(t *testing.T) {
	m := model(onWeb(recovery.Policy{FinalAction: recovery.Reset}))
	var d decide.Durable
	acted := 0
	for boot := range 4 {
		w := decidetest.New(m)
		w.Input(decide.Boot{Clean: true, Durable: d})
		w.Run(0)
		cycle{bad, bad, bad}.play(w)
		acted += w.Count("act reset")
		if got := w.Count("event reboot-limit"); (got > 0) != (boot >= 2) {
			t.Errorf("boot %d: reboot-limit announced %d times", boot, got)
		}
		d = w.Machine.Durable()
	}
	if acted != 2 {
		t.Errorf("acted %d times, want 2", acted)
	}
}

// TestFix108LimitAnnouncedAgain: the limit is announced again after the
// monitor was healthy in between.
func TestFix108LimitAnnouncedAgain(t *testing.T) {
	w := decidetest.New(model(onWeb(recovery.Policy{FinalAction: recovery.Reset})))
	w.Input(decide.Boot{Clean: true, Durable: decide.Durable{Actions: 2}})
	w.Run(0)
	cycle{bad, bad, bad, ok, bad, bad, bad}.play(w)
	if got := w.Count("event reboot-limit"); got != 2 {
		t.Errorf("announced %d times, want 2: %q", got, w.Trace)
	}
}

func TestLimiterCalm(t *testing.T) {
	w := decidetest.New(model(onWeb(recovery.Policy{})))
	w.Input(decide.Boot{Clean: true, Durable: decide.Durable{Actions: 2}})
	w.Run(59 * time.Minute)
	if got := w.Machine.Durable().Actions; got != 2 {
		t.Errorf("after 59 minutes: %d actions, want 2", got)
	}
	w.Run(2 * time.Minute)
	if got := w.Machine.Durable().Actions; got != 0 {
		t.Errorf("after an hour of calm: %d actions, want 0", got)
	}
}

// TestFix096OneAlert: a fault that lasts is announced once.
func TestFix096OneAlert(t *testing.T) {
	for _, in := range []recovery.Input{bad, mute, late} {
		w := boot(t, model(onWeb(recovery.Policy{})))
		history := make(cycle, 100)
		for i := range history {
			history[i] = in
		}
		history.play(w)
		if got := w.Count("event monitor-"); got != 1 {
			t.Errorf("%v: %d events, want 1: %q", in, got, w.Did("event monitor-"))
		}
	}
}

// TestEnhancement036AutostartHeld: after an unclean stop the automatic start
// can be held back.
func TestEnhancement036AutostartHeld(t *testing.T) {
	for _, tt := range []struct {
		autostart   string
		clean, want bool
	}{{"always", false, true}, {"clean", true, true}, {"clean", false, false}, {"never", true, false}} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			m := model(onWeb(recovery.Policy{}))
			m.Server.Autostart = tt.autostart
			w := decidetest.New(m)
			w.Input(decide.Boot{Clean: tt.clean})
			if got := w.Count("start db") > 0; got != tt.want {
				t.Errorf("started %v, want %v", got, tt.want)
			}
		})
	}
}

// TestNoRecoveryWhileTargetMoves: fixes 107, 126, 127.
func TestNoRecoveryWhileTargetMoves(t *testing.T) {
	m := model(onWeb(recovery.Policy{MaxRestart: 5}))
	m.Monitors[0].When = monitor.Always
	w := decidetest.New(m)
	w.Takes["start db"] = time.Minute
	w.Input(decide.Boot{Clean: true})
	cycle{bad, bad, bad}.play(w)
	if got := w.Count("stop"); got != 0 {
		t.Errorf("acted on a target that is starting: %q", w.Trace)
	}
	w.Run(time.Minute)
	cycle{bad}.play(w)
	if got := w.Count("stop web"); got != 1 {
		t.Errorf("%d restarts once it is online, want 1: %q", got, w.Trace)
	}
}

func TestStartFailures(t *testing.T) {
	m := model(onWeb(recovery.Policy{}))
	m.Resources[0].StartRetry = 2
	m.Resources[0].OnStartFailure = recovery.StopGroup
	m.Resources[1].OnStartFailure = recovery.Reboot
	w := decidetest.New(m)
	w.Fails["start db"] = "exit status 1"
	w.Input(decide.Boot{Clean: true})
	w.Run(time.Minute)
	want := []string{"start db", "stop db", "start db", "stop db", "start db", "stop db"}
	if d := cmp.Diff(want, w.Did("start", "stop", "act")); d != "" {
		t.Error(d)
	}
	if got := w.Machine.View().Groups[0].State; got != decide.GroupOffline {
		t.Errorf("group is %s, want it stopped by the final action", got)
	}
}

// TestFix052StrongestLast: of several final actions all are honoured.
func TestFix052StrongestLast(t *testing.T) {
	m := model(onWeb(recovery.Policy{}))
	m.Resources[0].OnStartFailure = recovery.Reboot
	m.Resources[1].OnStartFailure = recovery.StopGroup
	m.Resources[1].DependsOn = []string{}
	w := decidetest.New(m)
	w.Fails["start db"], w.Fails["start web"] = "a", "b"
	w.Input(decide.Boot{Clean: true})
	w.Run(time.Minute)
	want := []string{"event recovery-final resource/web", "event recovery-final resource/db", "act reboot"}
	if d := cmp.Diff(want, w.Did("event recovery-final", "act")); d != "" {
		t.Error(d)
	}
}

// TestAdopt: after a restart of the daemon alone, what runs is taken over.
func TestAdopt(t *testing.T) {
	w := boot(t, model(onWeb(recovery.Policy{})))
	d := w.Machine.Durable()
	again := decidetest.New(model(onWeb(recovery.Policy{})))
	again.Input(decide.Boot{Clean: true, Adopt: true, Durable: d})
	again.Run(time.Minute)
	if got := again.Did("start", "stop"); got != nil {
		t.Errorf("touched what runs: %q", got)
	}
	if s := again.Machine.View().Groups[0].State; s != decide.GroupOnline || !again.Probing("m") {
		t.Errorf("group is %s, monitor probes: %v", s, again.Probing("m"))
	}
	w.Input(decide.GroupWanted{Name: "g", By: "test"})
	w.Run(time.Minute)
	again = decidetest.New(model(onWeb(recovery.Policy{})))
	again.Input(decide.Boot{Clean: true, Adopt: true, Durable: w.Machine.Durable()})
	if got := again.Did("start"); got != nil {
		t.Errorf("started what the operator had stopped: %q", got)
	}
}

func TestReload(t *testing.T) {
	w := boot(t, model(onWeb(recovery.Policy{})))
	w.Trace = nil
	next := model(onWeb(recovery.Policy{MaxRestart: 3}))
	w.Input(decide.Reload{Model: next})
	if d := cmp.Diff([]string{"swap"}, w.Did("start", "stop", "swap")); d != "" {
		t.Errorf("nothing that runs changes: %s", d)
	}
	w.Trace = nil
	w.Input(decide.Reload{Model: next, Restart: []string{"web"}})
	w.Run(time.Minute)
	want := []string{"stop web", "stop db", "swap", "start db", "start web"}
	if d := cmp.Diff(want, w.Did("start", "stop", "swap")); d != "" {
		t.Error(d)
	}
}

// TestSimulatedYear lets a year of probes pass, every third day with a failure
// that one restart mends: nothing may happen to the machine.
func TestSimulatedYear(t *testing.T) {
	w := boot(t, model(onWeb(recovery.Policy{MaxRestart: 2, FinalAction: recovery.Reboot})))
	failures := 0
	for day := range 365 {
		for probe := range 24 * 360 {
			w.Run(10 * time.Second)
			in := ok
			if day%3 == 0 && probe == 4711 {
				in, failures = bad, failures+1
			}
			w.Probe("m", in)
		}
	}
	if got := w.Count("act "); got != 0 {
		t.Errorf("%d actions on the machine without cause", got)
	}
	if got := w.Count("start web"); got != failures+1 {
		t.Errorf("%d starts for %d failures", got, failures)
	}
}

// FuzzMachine plays arbitrary histories and checks what must always hold.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, uint8(2), uint8(1))
	f.Add([]byte{1, 1, 1, 1, 6, 1, 1, 7, 1, 1, 1}, uint8(5), uint8(0))
	f.Fuzz(func(t *testing.T, history []byte, final, restarts uint8) {
		finals := recovery.FinalActions()
		p := recovery.Policy{MaxRestart: int(restarts % 4), FinalAction: finals[int(final)%len(finals)]}
		w := decidetest.New(model(onWeb(p)))
		w.Takes["start web"], w.Takes["stop db"] = 3*time.Second, 7*time.Second
		w.Input(decide.Boot{Clean: true})
		for _, b := range history {
			play(w, b)
			w.Run(time.Duration(b>>4) * time.Second)
		}
		w.Fails = map[string]string{}
		w.Run(time.Hour)
		if len(w.Broken) > 0 {
			t.Fatal(w.Broken)
		}
		if got := w.Count("act "); got > 2 {
			t.Fatalf("%d machine-level actions, the limiter allows 2: %q", got, w.Trace)
		}
	})
}

func play(w *decidetest.World, b byte) {
	switch b % 16 {
	case 0, 1, 2, 3, 4:
		w.Probe("m", recovery.Input(b%16))
	case 5:
		w.Input(decide.GroupWanted{Name: "g", Up: true, By: "fuzz"})
	case 6:
		w.Input(decide.GroupWanted{By: "fuzz"})
	case 7:
		w.Fails["start web"] = "fuzz"
	case 8:
		w.Fails["stop db"] = "fuzz"
	case 9:
		w.Fails = map[string]string{}
	case 10:
		w.Input(decide.Hold{Monitor: "m", On: b>>4%2 == 0})
	case 11:
		w.Input(decide.ResourceWanted{Name: "web", Up: b>>4%2 == 0})
	case 12:
		w.Input(decide.Dummy{Monitor: "m", On: b>>4%2 == 0})
	case 13:
		w.Input(decide.Store{Down: b>>4%2 == 0})
	case 14:
		w.Input(decide.Reload{Model: model(onWeb(recovery.Policy{MaxRestart: 1})), Restart: []string{"web"}})
	case 15:
		w.Run(20 * time.Second)
	}
}

// TestStepsOutliveTheDaemon: after a restart of the daemon alone recovery goes
// on where it stood; after a boot it begins anew.
func TestStepsOutliveTheDaemon(t *testing.T) {
	m := model(onWeb(recovery.Policy{MaxRestart: 2, FinalAction: recovery.StopGroup}))
	w := boot(t, m)
	cycle{bad, bad}.play(w)
	d := w.Machine.Durable()
	for adopt, want := range map[bool][]string{true: {"stop web", "stop db"}, false: {"stop web", "start web"}} {
		again := decidetest.New(m)
		again.Input(decide.Boot{Clean: true, Adopt: adopt, Durable: d})
		again.Run(time.Minute)
		again.Trace = nil
		cycle{bad}.play(again)
		if diff := cmp.Diff(want, again.Did("start", "stop")); diff != "" {
			t.Errorf("adopt %v: %s", adopt, diff)
		}
	}
}
