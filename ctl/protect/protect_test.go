package protect_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/config"
	"shisa/ctl/event"
	"shisa/ctl/keepalive"
	"shisa/ctl/keepalive/choose"
	"shisa/ctl/keepalive/keepalivetest"
	"shisa/ctl/keeper"
	"shisa/ctl/keeper/guard"
	"shisa/ctl/protect"
	"shisa/ctl/recovery"
	"shisa/ctl/store"
)

// Files beside the keeper's socket.
const (
	engineLog = "engines" // a line for everything done to an engine
	engineBad = "bad"     // its text is the error of every Arm
)

// TestMain lets the test's own program be the keeper: a real process, whose engines
// only write down what is done to them.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[0] == "shisa-keeper" {
		// The last argument is the socket, but for the keeper's witness, which opens nothing.
		os.Exit(guard.Main("test", os.Args[1:], paper(filepath.Dir(os.Args[len(os.Args)-1])).open))
	}
	os.Exit(m.Run())
}

// paper makes engines that only write, into files of that folder.
type paper string

func (dir paper) open(driver, device string) (keepalive.Engine, error) {
	note := func(format string, args ...any) {
		f, err := os.OpenFile(filepath.Join(string(dir), engineLog), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = fmt.Fprintf(f, filepath.Base(device)+" "+format+"\n", args...)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	return &keepalivetest.Fake{
		What: keepalive.Info{Driver: driver, Device: device, Identity: "paper", Hardware: strings.HasSuffix(device, "1")},
		OnArm: func(r keepalive.Request) (keepalive.Granted, error) {
			if text, err := os.ReadFile(filepath.Join(string(dir), engineBad)); err == nil && len(text) > 0 {
				return keepalive.Granted{}, errors.New(string(text))
			}
			note("arm %v %s", r.Timeout.Round(time.Second), r.Action)
			return keepalive.Granted{Timeout: r.Timeout, Action: r.Action}, nil
		},
		OnDisarm: func() error { note("disarm"); return nil },
	}, nil
}

// A bench is a Protect with a real keeper on a machine of files: watchdog0 is
// softdog, watchdog1 a chip.
type bench struct {
	*testing.T
	*protect.Protect
	options protect.Options
	log     string // engineLog
	bad     string // engineBad

	mu     sync.Mutex
	events []event.Event
	armed  []store.Armed
}

func newBench(t *testing.T) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{T: t, log: filepath.Join(dir, engineLog), bad: filepath.Join(dir, engineBad)}
	for name, text := range map[string]string{
		"sys/class/watchdog/watchdog0/identity": "Software Watchdog\n", "sys/class/watchdog/watchdog1/identity": "i6300ESB timer\n",
		"dev/watchdog0": "", "dev/watchdog1": "", "dev/watchdog": "",
	} {
		for _, w := range []error{
			os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755),
			os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600),
		} {
			if w != nil {
				t.Fatal(w)
			}
		}
		if d := filepath.Dir(name); strings.HasPrefix(name, "sys") {
			for attr, v := range map[string]string{"state": "inactive\n", "nowayout": "0\n"} {
				if err := os.WriteFile(filepath.Join(dir, d, attr), []byte(v), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b.options = protect.Options{
		Page: filepath.Join(dir, "beats"), Socket: filepath.Join(dir, "keeper.sock"), Program: program,
		LastWords: filepath.Join(dir, "last-words"),
		Machine: choose.Machine{Root: dir, Open: paper(dir).open, Load: func(context.Context, string, string, ...string) error {
			return choose.ErrNoModule
		}},
		Emit: func(e event.Event) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.events = append(b.events, e)
		},
		Armed: func(_ context.Context, a store.Armed) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.armed = append(b.armed, a)
			return nil
		},
	}
	b.Protect = protect.New(b.options)
	t.Cleanup(func() {
		c := keeper.Client{Socket: b.options.Socket}
		if _, err := c.Disarm(context.Background(), "end of the test"); err == nil {
			if _, err = c.Stop(context.Background(), "end of the test"); err != nil {
				t.Error(err)
			}
		}
		// Its witness goes a little later, and may still be writing.
		for end := time.Now().Add(10 * time.Second); os.RemoveAll(dir) != nil && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
	})
	return b
}

// model is the default in mode protect, with beats that never get old here.
func model(change ...func(*config.Model)) *config.Model {
	m := config.Default()
	m.Mode = config.Protect
	m.Stall.Timeout = 60 * time.Second
	m.Keepalive.Margin = 30 * time.Second
	for _, f := range change {
		f(m)
	}
	return m
}

// done returns what was done to the engines since the last call.
func (b *bench) done() []string {
	b.Helper()
	text, err := os.ReadFile(b.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		b.Fatal(err)
	}
	if err := os.WriteFile(b.log, nil, 0o600); err != nil {
		b.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func (b *bench) wantDone(when string, want ...string) {
	b.Helper()
	if len(want) == 0 {
		want = []string{""}
	}
	if got := b.done(); !slices.Equal(got, want) {
		b.Errorf("%s: done to the engines:\n%q\nwant\n%q", when, got, want)
	}
}

// told returns the names of the events since the last call.
func (b *bench) told() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for _, e := range b.events {
		names = append(names, string(e.Code))
	}
	b.events = nil
	return names
}

func (b *bench) wantTold(when string, want ...string) {
	b.Helper()
	if got := b.told(); !slices.Equal(got, want) {
		b.Errorf("%s: told %q, want %q", when, got, want)
	}
}

func (b *bench) wantState(when string, want api.ProtectionState, part string) {
	b.Helper()
	if v := b.View().Protection; v.State != want || !strings.Contains(v.Summary, part) {
		b.Errorf("%s: %s: %s\nwant %s with %q", when, v.State, v.Summary, want, part)
	}
}

func TestObservingArmsNothing(t *testing.T) {
	b := newBench(t)
	b.Configure(t.Context(), config.Default(), "")
	b.wantDone("observing")
	b.wantState("observing", api.Observing, "(paper) as primary")
	if slices.ContainsFunc(b.armed, func(a store.Armed) bool { return len(a.Engines) > 0 }) {
		t.Errorf("recorded as armed: %+v", b.armed)
	}
}

// A life: armed, left alone where nothing changed, re-armed in place where something
// did, and disarmed only on purpose.
func TestLife(t *testing.T) {
	b := newBench(t)
	m := model()
	b.Beat("loop")()
	b.Configure(t.Context(), m, "")
	first := b.done()
	if len(first) != 2 || !strings.HasPrefix(first[0], "watchdog0 arm") || !strings.HasPrefix(first[1], "watchdog1 arm") {
		t.Fatalf("armed: %q", first)
	}
	b.wantTold("armed", "keepalive-armed", "keepalive-armed", "keepalive-degraded")
	b.wantState("armed", api.Protected, "a stall of the kernel by wdt")
	if last := b.armed[len(b.armed)-1]; len(last.Engines) != 2 || last.Engines[0].Guards != "user space" {
		t.Errorf("recorded %+v", last)
	}
	if before := b.armed[0]; len(b.armed) != 2 || before.Reason != "about to be armed" || len(before.Engines) != 2 || before.Engines[1].Device != b.armed[1].Engines[1].Device {
		t.Errorf("recorded before it was armed: %+v", b.armed)
	}

	b.Configure(t.Context(), model(), "")
	b.wantDone("configured as before")

	b.Configure(t.Context(), model(func(m *config.Model) { m.Stall.Timeout = 40 * time.Second }), "")
	if again := b.done(); len(again) != 2 || slices.Equal(again, first) || strings.Contains(again[0], "disarm") {
		t.Errorf("re-armed: %q, before: %q", again, first)
	}
	if err := b.Disarm(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	b.wantDone("disarmed", "watchdog0 disarm", "watchdog1 disarm")
	if last := b.armed[len(b.armed)-1]; len(last.Engines) != 0 || last.Reason != "test" {
		t.Errorf("recorded %+v", last)
	}
}

// The daemon's successor finds the countdown armed and does not touch it.
func TestSuccessorFindsItArmed(t *testing.T) {
	b := newBench(t)
	b.Configure(t.Context(), model(), "")
	b.done()
	before := b.View().Protection.Keeper.PID
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.Protect.Run(ctx) // the daemon leaves
	b.wantDone("left")

	b.Protect = protect.New(b.options)
	b.Configure(t.Context(), model(), "")
	if after := b.View().Protection.Keeper.PID; after != before {
		t.Errorf("keeper %d, was %d", after, before)
	}
	if slices.ContainsFunc(b.done(), func(line string) bool { return strings.Contains(line, "disarm") }) {
		t.Error("the countdown was let go of")
	}
	b.wantState("afterwards", api.Protected, "")
}

// What may not be armed is not armed, whatever the configuration says, and that
// holds for good.
func TestNever(t *testing.T) {
	b := newBench(t)
	b.Configure(t.Context(), model(), "shisad runs in a container")
	b.Configure(t.Context(), model(), "")
	b.wantDone("never")
	b.wantState("never", api.Disarmed, "in a container")
	b.Shutdown(t.Context(), "operator")
	if err := b.Fire(t.Context(), recovery.Keepalive); err == nil {
		t.Error("fired")
	}
	b.wantDone("shutdown")
}

// The guard of a shutdown has the shutdown's own timeout and is not pinged.
func TestShutdown(t *testing.T) {
	b := newBench(t)
	b.Configure(t.Context(), model(func(m *config.Model) {
		m.Shutdown.Timeout, m.Shutdown.Action = 100*time.Second, keepalive.Reset
	}), "")
	b.done()
	b.told()
	b.Shutdown(t.Context(), "reboot asked for by root")
	b.wantDone("guarded", "watchdog0 arm 1m40s reset", "watchdog1 arm 2m10s reset")
	b.wantTold("guarded", "shutdown-guarded", "shutdown-guarded")
	if v := b.View(); !v.Shutdown.Armed || v.Shutdown.TimeoutMS != api.Millis(100*time.Second) {
		t.Errorf("shown %+v", v.Shutdown)
	}
	if last := b.armed[len(b.armed)-1]; last.Reason != "reboot asked for by root" || last.Engines[0].Guards != "shutdown" {
		t.Errorf("recorded %+v", last)
	}
	b.Shutdown(t.Context(), "the same shutdown, told by systemd")
	b.wantDone("told again")
}

func TestFire(t *testing.T) {
	b := newBench(t)
	b.Configure(t.Context(), model(), "")
	b.done()
	if err := b.Fire(t.Context(), recovery.Keepalive); err != nil {
		t.Fatal(err)
	}
	if got := b.done(); len(got) != 2 || got[0] != "watchdog0 arm 1s reset" {
		t.Errorf("fired: %q", got)
	}
}

// An engine that does not let itself be armed is told with its own words, and the
// machine is not called protected.
func TestEngineRefuses(t *testing.T) {
	b := newBench(t)
	if err := os.WriteFile(b.bad, []byte("device is busy"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.Configure(t.Context(), model(), "")
	if told := b.told(); !slices.Contains(told, "keepalive-refused") || !slices.Contains(told, "keepalive-absent") {
		t.Errorf("told %q", told)
	}
	b.wantState("refused", api.Unprotected, "")
	if e := b.View().Protection.Primary; e == nil || !strings.Contains(e.Error, "device is busy") {
		t.Errorf("shown %+v", e)
	}
	b.Seek(t.Context())
	if told := b.told(); slices.Contains(told, "keepalive-refused") || slices.Contains(told, "keepalive-absent") {
		t.Errorf("refused in vain once more, and told again: %q", told)
	}
	b.done()
	if err := os.Remove(b.bad); err != nil {
		t.Fatal(err)
	}
	b.Seek(t.Context())
	b.wantState("no longer refused", api.Protected, "")
	if got := b.done(); len(got) != 2 || !strings.HasPrefix(got[0], "watchdog0 arm") {
		t.Errorf("done to the engines: %q", got)
	}
	b.Seek(t.Context())
	b.wantDone("nothing is refused any more")
}

// What the keeper armed though its answer did not come in time is recorded when it
// answers again: whoever asks why the machine went down must find it.
func TestRecordFollowsTheKeeper(t *testing.T) {
	b := newBench(t)
	b.Configure(t.Context(), model(), "")
	last := func() store.Armed { return b.armed[len(b.armed)-1] }
	armed, n := last(), len(b.armed)
	if len(armed.Engines) != 2 || armed.Engines[0].Guards != "user space" {
		t.Fatalf("recorded %+v", armed)
	}
	b.Ask(t.Context())
	if len(b.armed) != n {
		t.Errorf("recorded once more: %+v", last())
	}
	c := keeper.Client{Socket: b.options.Socket}
	if _, err := c.Disarm(t.Context(), "somebody else"); err != nil {
		t.Fatal(err)
	}
	b.Ask(t.Context())
	if len(last().Engines) != 0 {
		t.Errorf("recorded as armed: %+v", last())
	}
}

// A keeper that dies is announced once, started again and given its orders again.
func TestKeeperComesBack(t *testing.T) {
	b := newBench(t)
	b.Configure(t.Context(), model(), "")
	pid := b.View().Protection.Keeper.PID
	b.done()
	b.told()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { b.Protect.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil { // started by this test
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		v := b.View().Protection
		if v.State == api.Protected && v.Keeper.PID != pid && v.Keeper.PID != 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %s", v.State, v.Summary)
		}
	}
	if got := b.done(); len(got) != 2 || !strings.HasPrefix(got[0], "watchdog0 arm") {
		t.Errorf("armed again: %q", got)
	}
	if told := b.told(); slices.Index(told, "keeper-lost") < 0 || strings.Count(strings.Join(told, " "), "keeper-lost") != 1 {
		t.Errorf("told %q", told)
	}
}

// Without a keeper the choice is shown all the same, and nothing is promised.
func TestNoKeeper(t *testing.T) {
	b := newBench(t)
	b.options.Program = ""
	b.Protect = protect.New(b.options)
	b.Configure(t.Context(), model(), "")
	b.wantTold("no keeper", "keeper-lost")
	b.wantState("no keeper", api.Unprotected, "does not run")
	if err := b.Disarm(t.Context(), "test"); err != nil {
		t.Error(err)
	}
}

// A keeper that could not be reached for a moment is disarmed by a deliberate stop all
// the same, whether anybody has noticed yet that it is back or not.
func TestDisarmAfterAnAbsence(t *testing.T) {
	b := newBench(t)
	b.Configure(t.Context(), model(), "")
	b.options.Program = "" // nobody starts another one
	b.Protect = protect.New(b.options)
	away := b.options.Socket + ".away"
	if err := os.Rename(b.options.Socket, away); err != nil {
		t.Fatal(err)
	}
	b.Configure(t.Context(), model(), "")
	b.wantState("away", api.Unprotected, "does not run")
	if err := os.Rename(away, b.options.Socket); err != nil {
		t.Fatal(err)
	}
	b.done()
	if err := b.Disarm(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	b.wantDone("back", "watchdog0 disarm", "watchdog1 disarm")
}

// After a deliberate stop nothing is armed any more, by whatever was under way: the
// daemon ends, nobody beats, and the countdown would fire.
func TestNothingIsArmedAfterTheEnd(t *testing.T) {
	b := newBench(t)
	b.Configure(t.Context(), model(), "")
	b.done()
	client := keeper.Client{Socket: b.options.Socket}
	first, err := client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Disarm(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	b.wantDone("the end", "watchdog0 disarm", "watchdog1 disarm")
	b.told()
	b.Ask(t.Context()) // the keeper that was started by us has ended with it
	b.Configure(t.Context(), model(func(m *config.Model) { m.Stall.Timeout = 30 * time.Second }), "")
	b.Ask(t.Context())
	b.wantDone("after the end")
	b.wantTold("after the end")
	// The first keeper ends a moment after it has said that it will.
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		now, err := client.Status(t.Context())
		switch {
		case errors.Is(err, keeper.ErrAbsent):
			return
		case err == nil && now.PID != first.PID:
			t.Fatalf("another keeper was started: %+v", now)
		}
	}
	t.Error("the keeper did not end")
}

// A countdown that guards the shutdown stays as it is, whatever is configured now:
// it must not be pinged again.
func TestConfiguredWhileGoingDown(t *testing.T) {
	b := newBench(t)
	b.Configure(t.Context(), model(), "")
	b.Shutdown(t.Context(), "test")
	b.done()
	b.Configure(t.Context(), model(func(m *config.Model) { m.Stall.Timeout = 30 * time.Second }), "")
	b.wantDone("going down")
	if v := b.View().Shutdown; !v.Armed {
		t.Errorf("%+v", v)
	}
}

// A page that cannot be shared leaves a daemon that measures for itself.
func TestNoPage(t *testing.T) {
	b := newBench(t)
	b.options.Page = "/proc/none/beats"
	b.Protect = protect.New(b.options)
	b.Beat("loop")()
	b.Configure(t.Context(), model(), "")
	b.wantState("no page", api.Unprotected, "")
	if beats := b.View().Stall.Beats; len(beats) != 1 || beats[0].Name != "loop" {
		t.Errorf("beats %+v", beats)
	}
	b.wantDone("no page")
}

// A missing beat is told once, with its name and how long it is missing.
func TestMissingBeat(t *testing.T) {
	b := newBench(t)
	m := model(func(m *config.Model) { m.Stall.Interval, m.Stall.Timeout = 500*time.Millisecond, 3*time.Second })
	b.Beat("decider")()
	b.Configure(t.Context(), m, "")
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() { b.Protect.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	var seen []string
	for end := time.Now().Add(time.Minute); !slices.Contains(seen, "stall-missed"); time.Sleep(50 * time.Millisecond) {
		seen = append(seen, b.told()...)
		if time.Now().After(end) {
			t.Fatalf("told %q", seen)
		}
	}
	if !slices.Contains(seen, "stall-delay") {
		t.Errorf("no warning came before: %q", seen)
	}
	if h := b.View().Protection.Keeper.Holding; !strings.Contains(h, "decider") {
		t.Errorf("the keeper holds %q", h)
	}
}

// The original went on with the old address of a BMC after a change. Whatever is
// changed about a countdown is in force when the change is applied, and what is told
// of it is told by the countdown itself.
func TestFix111EachSettingIsInForce(t *testing.T) {
	tests := []struct {
		name   string
		change func(*config.Model)
		want   []string // done to the engines, in any order
	}{
		{"timeout", func(m *config.Model) { m.Stall.Timeout = 40 * time.Second }, []string{"watchdog0 arm 35s reset", "watchdog1 arm 1m5s reset"}},
		{"interval", func(m *config.Model) { m.Stall.Interval = 4 * time.Second }, []string{"watchdog0 arm", "watchdog1 arm"}},
		{"action", func(m *config.Model) { m.Keepalive.Action = keepalive.Panic }, []string{"watchdog0 arm 55s panic"}},
		{"backstop's action", func(m *config.Model) { m.Keepalive.BackstopAction = keepalive.PowerOff }, []string{"watchdog1 arm 1m25s power_off"}},
		{"margin", func(m *config.Model) { m.Keepalive.Margin = 60 * time.Second }, []string{"watchdog1 arm 1m55s reset"}},
		{"no backstop", func(m *config.Model) { m.Keepalive.Backstop = "none" }, []string{"watchdog1 disarm"}},
		{"device", func(m *config.Model) {
			m.Keepalive.Method, m.Keepalive.Device, m.Keepalive.Backstop = "wdt", "/dev/watchdog1", "none"
		}, []string{"watchdog0 disarm", "watchdog1 arm"}},
		{"not at all", func(m *config.Model) { m.Stall.Enabled = false }, []string{"watchdog0 disarm", "watchdog1 disarm"}},
		{"observe", func(m *config.Model) { m.Mode = config.Observe }, []string{"watchdog0 disarm", "watchdog1 disarm"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.Configure(t.Context(), model(), "")
			b.done()
			b.Configure(t.Context(), model(tt.change), "")
			got := b.done()
			for _, want := range tt.want {
				if !slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, want) }) {
					t.Errorf("done to the engines: %q, want %q", got, tt.want)
				}
			}
			if e := b.View().Protection.Primary; e != nil && e.Armed && !slices.Contains(got, fmt.Sprintf("%s arm %v %s", filepath.Base(e.Device), e.TimeoutMS.D().Round(time.Second), e.Action)) &&
				slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, filepath.Base(e.Device)+" arm") }) {
				t.Errorf("shown: %v %s, done: %q", e.TimeoutMS, e.Action, got)
			}
		})
	}
}
