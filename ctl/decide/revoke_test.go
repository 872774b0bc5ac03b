package decide_test

import (
	"testing"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/decide"
	"shisa/ctl/decide/decidetest"
	"shisa/ctl/recovery"
)

// TestRevoked: between the decision and the deed there may be a script, a
// window, a blocker, a back-off. What must not be done when its time comes is
// not done, however it was decided.
func TestRevoked(t *testing.T) {
	reboot := recovery.Policy{FinalAction: recovery.Reboot}
	nightly := func(m *config.Model) { m.Reboot.Windows = []string{"daily 02:00-04:00"} }
	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	night := 14*time.Hour + time.Minute
	observe := func(m *config.Model) { m.Mode = config.Observe }
	for _, tt := range []struct {
		name     string
		recovery config.Recovery
		before   func(*config.Model) // of the configuration at first
		change   func(*config.Model) // by the reload; nil: none
		during   func(*decidetest.World)
		fails    string // an operation that fails from the boot on
		wait     time.Duration
	}{
		{"observing now, while a window was awaited", onWeb(reboot), nightly, observe, nil, "", night},
		{"another final action now", onWeb(reboot), nightly,
			func(m *config.Model) { m.Monitors[0].Recovery.Policy.FinalAction = recovery.NoAction }, nil, "", night},
		{"recovery is suppressed now", onWeb(reboot), nightly,
			func(m *config.Model) { m.Server.RecoverySuppress = true }, nil, "", night},
		{"maintenance has begun", onWeb(reboot), func(m *config.Model) {
			nightly(m)
			m.Server.Maintenance = []string{"daily 01:00-05:00"}
		}, nil, nil, "", night},
		{"observing now, while its script ran", config.Recovery{Target: config.Ref{Kind: "resource", Name: "web"}, BeforeFinal: "/f.sh", Policy: reboot},
			nil, observe, nil, "", time.Minute},
		{"observing now, while a restart was delayed", config.Recovery{Target: config.Ref{Kind: "resource", Name: "web"},
			Backoff: time.Hour, BackoffMax: time.Hour, Policy: recovery.Policy{MaxRestart: 3}}, nil, observe, nil, "", 2 * time.Hour},
		{"maintenance has begun, while a restart was delayed", config.Recovery{Target: config.Ref{Kind: "resource", Name: "web"},
			Backoff: time.Hour, BackoffMax: time.Hour, Policy: recovery.Policy{MaxRestart: 3}},
			func(m *config.Model) { m.Server.Maintenance = []string{"daily 12:30-18:00"} }, nil, nil, "", 2 * time.Hour},
		{"observing now, while a script before a restart ran", config.Recovery{Target: config.Ref{Kind: "resource", Name: "web"},
			BeforeRestart: "/r.sh", Policy: recovery.Policy{MaxRestart: 1}}, nil, observe, nil, "", time.Minute},
		{"a resource that did not start, all suspended now", onWeb(recovery.Policy{}), func(m *config.Model) {
			nightly(m)
			m.Resources[1].OnStartFailure = recovery.Reboot
		}, nil, func(w *decidetest.World) { w.Input(decide.Hold{On: true, By: "test"}) }, "start web", night},
		{"a resource that did not start, observing now", onWeb(recovery.Policy{}), func(m *config.Model) {
			nightly(m)
			m.Resources[1].OnStartFailure = recovery.Reboot
		}, observe, nil, "start web", night},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := model(tt.recovery)
			if tt.before != nil {
				tt.before(m)
			}
			w := decidetest.New(m)
			w.Takes["script /f.sh"], w.Takes["script /r.sh"] = 30*time.Second, 30*time.Second
			if tt.fails != "" {
				w.Fails[tt.fails] = "it does not"
			}
			w.Input(decide.Clock{Wall: noon})
			w.Input(decide.Boot{Clean: true})
			w.Run(time.Second)
			cycle{bad, bad}.play(w)
			if tt.change != nil {
				next := *m
				next.Monitors = append([]config.Monitor(nil), m.Monitors...)
				tt.change(&next)
				w.Input(decide.Reload{Model: &next})
			}
			if tt.during != nil {
				tt.during(w)
			}
			w.Trace = nil
			w.Run(tt.wait)
			w.Probe("m", bad)
			w.Run(time.Minute)
			w.Probe("m", bad)
			w.Run(time.Minute)
			if did := w.Did("stop", "start", "act"); did != nil {
				t.Errorf("did %q\n%q", did, w.Trace)
			}
		})
	}
}

// TestNoStartWhileStopping: while the service stops for good nothing is started
// again, whoever asks.
func TestNoStartWhileStopping(t *testing.T) {
	m := model(onWeb(recovery.Policy{}))
	for name, in := range map[string]decide.Input{
		"group":    decide.GroupWanted{Name: "g", Up: true, By: "test"},
		"resource": decide.ResourceWanted{Name: "db", Up: true, By: "test"},
		"reload": decide.Reload{Model: func() *config.Model {
			next := *m
			next.Groups = append([]config.Group{{Name: "new", Auto: true}}, m.Groups...)
			next.Resources = append([]config.Resource{{Name: "more", Type: "exec", Group: "new", Timing: m.Resources[0].Timing}}, m.Resources...)
			return &next
		}(), Restart: []string{"db"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := boot(t, m)
			w.Takes["stop web"] = 30 * time.Second
			w.Trace = nil
			w.Input(decide.StopService{Then: recovery.Reboot, By: "test", Reason: "test"})
			w.Run(time.Second)
			w.Input(in)
			w.Run(5 * time.Second)
			w.Input(in)
			w.Run(time.Hour)
			if started := w.Did("start", "swap"); started != nil {
				t.Errorf("%q\n%q", started, w.Trace)
			}
			if w.Count("act reboot") != 1 {
				t.Errorf("%q", w.Trace)
			}
		})
	}
}

// TestRestartKeepsWhatIsDue: a final action that waits is not done with: a
// daemon that is restarted meanwhile comes to it again.
func TestRestartKeepsWhatIsDue(t *testing.T) {
	m := model(onWeb(recovery.Policy{FinalAction: recovery.Reboot}))
	m.Reboot.Windows = []string{"daily 02:00-04:00"}
	clock := decide.Clock{Wall: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}
	w := decidetest.New(m)
	w.Input(clock)
	w.Input(decide.Boot{Clean: true})
	w.Run(time.Second)
	cycle{bad, bad}.play(w)
	if v := w.Machine.View(); len(v.Waiting) != 1 {
		t.Fatalf("%+v\n%q", v.Waiting, w.Trace)
	}
	next := decidetest.New(m)
	next.Input(clock)
	next.Input(decide.Boot{Clean: true, Adopt: true, Durable: w.Machine.Durable()})
	next.Run(time.Second)
	cycle{bad}.play(next)
	if v := next.Machine.View(); len(v.Waiting) != 1 {
		t.Errorf("%+v\n%q", v.Waiting, next.Trace)
	}
}
