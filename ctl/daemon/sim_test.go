package daemon

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/config"
	"shisa/ctl/decide"
	"shisa/ctl/event"
	"shisa/ctl/log"
	"shisa/ctl/monitor"
	"shisa/ctl/param"
	"shisa/ctl/protect"
	"shisa/ctl/recovery"
	"shisa/ctl/resource"
	"shisa/ctl/store"
	"shisa/ctl/why"
)

// A world is a whole daemon whose targets, countdown and machine are scripted.
// It runs in a synctest bubble: years take seconds.
type world struct {
	t      *testing.T
	daemon *Daemon
	store  *store.Store
	done   chan error
	cancel context.CancelFunc

	mu      sync.Mutex
	targets map[string]*scripted
	acted   []string // by the actor, in order
	beats   map[string]time.Time
	guarded int
	refused error // what becomes of every action; nil: it is taken
	view    protect.View
	brake   string
}

// scripted is a resource and what its monitor sees of it.
type scripted struct {
	verdict  monitor.Verdict
	err      error
	hang     bool // the probe never answers
	probing  int  // probes under way
	starts   int
	stops    int
	running  bool
	slow     time.Duration // that starting and stopping take
	startErr error
	stopErr  error
}

func (w *world) target(name string) *scripted {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.targets[name] == nil {
		w.targets[name] = &scripted{}
	}
	return w.targets[name]
}

// set changes the script of a target.
func (w *world) set(name string, f func(*scripted)) {
	s := w.target(name)
	w.mu.Lock()
	defer w.mu.Unlock()
	f(s)
}

func (w *world) look(name string) scripted {
	s := w.target(name)
	w.mu.Lock()
	defer w.mu.Unlock()
	return *s
}

type simProber struct {
	w    *world
	name string
}

func (p simProber) Probe(ctx context.Context) (monitor.Finding, error) {
	p.w.set(p.name, func(s *scripted) {
		if s.probing++; s.probing > 1 {
			p.w.t.Errorf("two probes of %s at the same time", p.name)
		}
	})
	defer p.w.set(p.name, func(s *scripted) { s.probing-- })
	s := p.w.look(p.name)
	if s.hang {
		<-ctx.Done()
		return monitor.Finding{}, ctx.Err()
	}
	return monitor.Finding{Verdict: s.verdict, Detail: "scripted"}, s.err
}

type simResource struct {
	w    *world
	name string
}

func (r simResource) Start(context.Context, resource.Request) error {
	time.Sleep(r.w.look(r.name).slow)
	var err error
	r.w.set(r.name, func(s *scripted) {
		if s.running {
			r.w.t.Errorf("resource %s started while it runs", r.name)
		}
		s.starts++
		err = s.startErr
		s.running = err == nil
	})
	return err
}

func (r simResource) Stop(context.Context, resource.Request) error {
	time.Sleep(r.w.look(r.name).slow)
	var err error
	r.w.set(r.name, func(s *scripted) {
		s.stops++
		err = s.stopErr
		s.running = s.running && err != nil
	})
	return err
}

type simParams struct{ of string }

func (w *world) types() config.Registry {
	declare := func(p *simParams, s *param.Set) { s.String(&p.of, "of", "", "Whose script it follows.") }
	return meta(config.NewRegistry([]monitor.Type{monitor.Define(monitor.Spec[simParams]{
		Name: "scripted", Title: "Scripted", Doc: "For tests.",
		Timing: monitor.Timing{Interval: 10 * time.Second, Timeout: 5 * time.Second},
		Params: declare,
		New:    func(p simParams, _ monitor.Env) (monitor.Prober, error) { return simProber{w, p.of}, nil },
	})}, []resource.Type{resource.Define(resource.Spec[simParams]{
		Name: "scripted", Title: "Scripted", Doc: "For tests.",
		Timing: resource.Timing{Start: time.Minute, Stop: time.Minute},
		Params: declare,
		New:    func(p simParams, _ resource.Env) (resource.Resource, error) { return simResource{w, p.of}, nil },
	})}))
}

// The world is its own Actor and Guard.
func (w *world) Brake() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.brake
}

func (w *world) Unable() string { return "" }

func (w *world) Do(_ context.Context, a recovery.Action) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acted = append(w.acted, string(a))
	if w.refused != nil {
		return w.refused
	}
	intents := w.store.State().Current.Intents
	if n := len(intents); n == 0 || intents[n-1].Action != string(a) {
		w.t.Errorf("acted (%s) before the intent was recorded: %v", a, intents)
	}
	return nil
}

func (w *world) Beat(name string) func() {
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.beats[name] = time.Now()
	}
}

func (w *world) Configure(context.Context, *config.Model, string) {}
func (w *world) Run(ctx context.Context)                          { <-ctx.Done() }
func (w *world) Shutdown(context.Context, string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.guarded++
}
func (w *world) Disarm(context.Context, string) error        { return nil }
func (w *world) Fire(context.Context, recovery.Action) error { return nil }
func (w *world) View() protect.View                          { return w.view }
func (w *world) actions() (list []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append(list, w.acted...)
}

// begin starts a daemon with the configuration text in the bubble.
func begin(t *testing.T, text string, change func(*world)) *world {
	t.Helper()
	w := &world{t: t, targets: map[string]*scripted{}, beats: map[string]time.Time{}, done: make(chan error, 1)}
	if change != nil {
		change(w)
	}
	model, problems := config.Parse([]byte(text), "test.toml", "", w.types())
	if model == nil {
		t.Fatal(problems)
	}
	var err error
	if w.store, err = store.Open(filepath.Join(t.TempDir(), "state"), store.Options{Stamp: func() store.Stamp {
		return store.Stamp{Time: time.Now(), Boot: "simulated"}
	}}); err != nil {
		t.Fatal(err)
	}
	bus := event.NewBus(func(e *event.Event) { e.Seq, e.Time = w.store.NextSeq(), time.Now() })
	w.daemon, err = New(model, Parts{Version: "test", Types: w.types(), Store: w.store, Bus: bus, Log: log.Discard(),
		Guard: w, Actor: w, Reason: why.Verdict{Cause: why.Ordered, Summary: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w.cancel = cancel
	go func() { w.done <- w.daemon.Run(ctx) }()
	synctest.Wait()
	return w
}

func (w *world) end() {
	w.cancel()
	if err := <-w.done; err != nil {
		w.t.Error(err)
	}
	if err := w.store.Close(context.Background()); err != nil {
		w.t.Error(err)
	}
}

const oneService = `
mode = "protect"
[[group]]
name = "g"
[[resource]]
name = "web"
type = "scripted"
group = "g"
of = "web"
[[monitor]]
name = "web"
type = "scripted"
of = "web"
when = "active"
target = "web"
interval = "10s"
timeout = "5s"
[monitor.recovery]
restarts = 2
final_action = "reboot"
`

func TestRecoversAndReboots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, oneService, nil)
		defer w.end()
		time.Sleep(time.Minute)
		w.set("web", func(s *scripted) { s.verdict = monitor.Failed })
		time.Sleep(11 * time.Second)
		if s := w.look("web"); s.starts != 2 || s.stops != 1 {
			t.Errorf("after one failure: %d starts, %d stops; want 2, 1", s.starts, s.stops)
		}
		w.set("web", func(s *scripted) { s.verdict = monitor.OK })
		time.Sleep(time.Minute)
		if got := w.actions(); got != nil {
			t.Errorf("acted on the machine: %v", got)
		}
		w.set("web", func(s *scripted) { s.verdict = monitor.Failed })
		time.Sleep(5 * time.Minute)
		if got := w.actions(); len(got) != 1 || got[0] != "reboot" {
			t.Errorf("acted %v, want one reboot", got)
		}
	})
}

// TestMachineStaysUp: when no action takes the machine down, the service goes on, and
// nothing of the attempt is left that a later crash could be blamed on.
func TestMachineStaysUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, oneService, func(w *world) { w.refused = errors.New("not supported") })
		defer w.end()
		w.set("web", func(s *scripted) { s.verdict = monitor.Failed })
		time.Sleep(10 * time.Minute)
		if got := w.actions(); !slices.Equal(got, []string{"reboot", "reset"}) {
			t.Errorf("tried %q", got)
		}
		if !w.look("web").running {
			t.Error("the machine stays up, and the service does not go on")
		}
		run := w.store.State().Current
		if run.Leaving != nil {
			t.Errorf("recorded as going down: %+v", run.Leaving)
		}
		for _, i := range run.Intents {
			if !strings.HasPrefix(i.Outcome, "failed: not supported") {
				t.Errorf("%s: outcome %q", i.Action, i.Outcome)
			}
		}
	})
}

// TestOrderComesTooLate: an order to take the machine down that is recorded, and
// then finds the mode changed or the service stopping, leaves nothing that a later
// crash could be blamed on.
func TestOrderComesTooLate(t *testing.T) {
	for name, before := range map[string]func(*testing.T, *world){
		"observing": func(t *testing.T, w *world) {
			text := strings.Replace(oneService, `"protect"`, `"observe"`, 1)
			if p, err := w.daemon.ApplyConfig(t.Context(), api.ConfigSource{Text: text}); err != nil || !p.Applied {
				t.Fatalf("%+v, %v", p, err)
			}
		},
		"stopping": func(t *testing.T, w *world) { w.daemon.StopService(t.Context(), "test", "test", "") },
	} {
		synctest.Test(t, func(t *testing.T) {
			w := begin(t, oneService, func(w *world) { w.target("web").slow = 30 * time.Second })
			defer w.end()
			time.Sleep(time.Minute)
			before(t, w)
			if err := w.store.Leaving(t.Context(), store.Leaving{How: "reboot", By: "test", Phase: "requested"}); err != nil {
				t.Fatal(err)
			}
			w.daemon.input(t.Context(), decide.StopService{Then: recovery.Reboot, By: "test", Reason: "test"})
			time.Sleep(10 * time.Minute)
			if l := w.store.State().Current.Leaving; l != nil && l.How != "stop" {
				t.Errorf("%s: recorded as going down: %+v", name, l)
			}
			if got := w.actions(); got != nil {
				t.Errorf("%s: did %v", name, got)
			}
		})
	}
}

// TestHungTargetDelaysNobody: with 100 probes that hang, another target's
// failure is found and mended as fast as without them.
func TestHungTargetDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := oneService
		for i := range 100 {
			text += fmt.Sprintf("[[monitor]]\nname = \"hung%d\"\ntype = \"scripted\"\nof = \"hung%d\"\ninterval = \"10s\"\ntimeout = \"9s\"\n", i, i)
		}
		w := begin(t, text, func(w *world) {
			for i := range 100 {
				w.target(fmt.Sprintf("hung%d", i)).hang = true
			}
		})
		defer w.end()
		time.Sleep(time.Minute)
		w.set("web", func(s *scripted) { s.verdict = monitor.Failed })
		time.Sleep(11 * time.Second)
		if s := w.look("web"); s.starts != 2 {
			t.Errorf("%d starts, want 2 within one interval", s.starts)
		}
	})
}

// TestSuspendedMeansSilent: while everything is suspended nothing is probed and
// nothing acts.
func TestSuspendedMeansSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, oneService, nil)
		defer w.end()
		time.Sleep(time.Minute)
		if _, err := w.daemon.Suspend(t.Context(), suspendCommand("test")); err != nil {
			t.Fatal(err)
		}
		w.set("web", func(s *scripted) { s.verdict = monitor.Failed })
		time.Sleep(time.Hour)
		if s := w.look("web"); s.starts != 1 || s.stops != 0 || w.actions() != nil {
			t.Errorf("not silent: %+v, %v", s, w.actions())
		}
	})
}

// TestBrakeForcesObserving: with the operator's brake nothing is done to the
// machine, whatever the configuration says.
func TestBrakeForcesObserving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, oneService, func(w *world) { w.brake = "the brake" })
		defer w.end()
		w.set("web", func(s *scripted) { s.verdict = monitor.Failed })
		time.Sleep(time.Hour)
		if s := w.look("web"); s.starts != 1 || w.actions() != nil {
			t.Errorf("acted in spite of the brake: %+v, %v", s, w.actions())
		}
	})
}

// TestBrakeWhileRunning: a brake that is set while the service runs holds at once,
// also what is under way, and what was meant is in force again when it is released.
func TestBrakeWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, strings.Replace(oneService, "restarts = 2", "restarts = 0", 1), nil)
		defer w.end()
		brake := func(why string) {
			w.mu.Lock()
			w.brake = why
			w.mu.Unlock()
			time.Sleep(2 * brakeEvery)
		}
		time.Sleep(time.Minute)
		brake("the brake")
		w.set("web", func(s *scripted) { s.verdict = monitor.Failed })
		time.Sleep(time.Hour)
		if s := w.look("web"); s.stops != 0 || w.actions() != nil {
			t.Errorf("acted in spite of the brake: %+v, %v", s, w.actions())
		}
		if s, err := w.daemon.Status(t.Context()); err != nil || s.Mode != "observe" {
			t.Errorf("mode %s (%v)", s.Mode, err)
		}
		w.set("web", func(s *scripted) { s.verdict = monitor.OK })
		time.Sleep(time.Minute)
		brake("")
		if s, err := w.daemon.Status(t.Context()); err != nil || s.Mode != "protect" {
			t.Errorf("released: mode %s (%v)", s.Mode, err)
		}
		w.set("web", func(s *scripted) { s.verdict = monitor.Failed })
		time.Sleep(time.Minute)
		if got := w.actions(); len(got) != 1 {
			t.Errorf("released: acted %v, want one reboot", got)
		}
	})
}

// TestSimulatedTime lets days pass (with SHISA_SIM_DAYS=365 a year, in some
// minutes) with targets that fail for short times: nothing may happen to the
// machine, and every loop keeps beating. The decisions alone live through a
// year in ctl/decide.
func TestSimulatedTime(t *testing.T) {
	days := 3
	if n, err := strconv.Atoi(os.Getenv("SHISA_SIM_DAYS")); err == nil {
		days = n
	}
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, yearConfig(), nil)
		defer w.end()
		r := rand.New(rand.NewPCG(1, 2))
		restarts := 0
		for day := range days {
			time.Sleep(time.Duration(r.IntN(86400)) * time.Second)
			if r.IntN(3) == 0 { // a short failure: one restart mends it
				before := w.look("web").starts
				w.set("web", func(s *scripted) { s.verdict = monitor.Failed })
				for w.look("web").starts == before {
					time.Sleep(time.Second)
				}
				w.set("web", func(s *scripted) { s.verdict = monitor.OK })
				restarts++
			}
			time.Sleep(time.Duration(day+1)*24*time.Hour - time.Since(w.daemon.since))
			w.checkBeats(2 * time.Second)
		}
		if got := w.actions(); got != nil {
			t.Errorf("acted on the machine without cause: %v", got)
		}
		if s := w.look("web"); s.starts != restarts+1 {
			t.Errorf("%d starts for %d failures", s.starts, restarts)
		}
	})
}

// yearConfig probes rarely, so that a year stays affordable.
func yearConfig() string {
	return oneService + `
[[monitor]]
name = "slow"
type = "scripted"
of = "slow"
interval = "1h"
timeout = "5s"
`
}

func (w *world) checkBeats(limit time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, at := range w.beats {
		if age := time.Since(at); age > limit {
			w.t.Errorf("beat %s is %v old", name, age)
		}
	}
}

func suspendCommand(reason string) api.SuspendCommand { return api.SuspendCommand{Reason: reason} }
