package power

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"shisa/ci/vm"
	"shisa/ctl/config"
	monitors "shisa/ctl/monitor/types"
	resources "shisa/ctl/resource/types"
)

func engine(t *testing.T, name string) Engine {
	t.Helper()
	i := slices.IndexFunc(Engines, func(e Engine) bool { return e.Name == name })
	if i < 0 {
		t.Fatalf("no engine %s", name)
	}
	return Engines[i]
}

func fault(t *testing.T, name string) Fault {
	t.Helper()
	i := slices.IndexFunc(Faults, func(f Fault) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("no fault %s", name)
	}
	return Faults[i]
}

// The tables hold what they have to: names once, a time for everything, and each
// case either resets and names causes or is observed.
func TestTables(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Faults {
		switch {
		case seen[f.Name]:
			t.Errorf("%s is there twice", f.Name)
		case f.Reset && (f.Due == 0 || f.Window.Late == 0 || f.Observe != 0):
			t.Errorf("%s: a fault that resets needs a time and a window", f.Name)
		case f.Reset && !f.Feeder && len(f.Causes) == 0:
			t.Errorf("%s: no cause is right", f.Name)
		case !f.Reset && (f.Observe <= max(stallTimeout, f.Timeout) || f.Due != 0 || len(f.Causes) != 0):
			t.Errorf("%s: a fault without a reset is observed for longer than the timeout, and has no cause", f.Name)
		case f.Issue == "" || len(f.Strike) == 0:
			t.Errorf("%s: no strike, or nothing says what it is for", f.Name)
		}
		seen[f.Name] = true
	}
	for _, e := range Engines {
		if seen[e.Name] || e.Method == "" || e.FeedDevice == "" || !strings.HasSuffix(e.Seen, vm.KindReset) {
			t.Errorf("engine %+v is not complete", e)
		}
		seen[e.Name] = true
	}
}

func TestMatrix(t *testing.T) {
	kernels := []string{"6.1", "6.12-rt"}
	tests := []struct {
		name   string
		choice Choice
		want   int
		err    string
	}{
		{"all but the exceptions, the long load once a kernel", Choice{}, 2*len(Engines)*(len(Faults)-1) + 2 - 2, ""},
		{"quick is one an engine and kernel, our module on one", Choice{Quick: true}, 2*len(Engines) - 1, ""},
		{"one", Choice{Kernels: []string{"6.1"}, Engines: []string{"bmc"}, Faults: []string{"hog"}}, 1, ""},
		{"quick with a fault named", Choice{Quick: true, Faults: []string{"hog"}, Engines: []string{"bmc"}}, 2, ""},
		{"unknown kernel", Choice{Kernels: []string{"2.4"}}, 0, `no kernel "2.4": there is 6.1, 6.12-rt`},
		{"unknown engine", Choice{Engines: []string{"x"}}, 0, `no engine "x"`},
		{"unknown fault", Choice{Faults: []string{"x"}}, 0, `no fault "x"`},
		{"only the exception", Choice{Kernels: []string{"6.12-rt"}, Engines: []string{"softdog"}, Faults: []string{"hog99"}}, 0, "no case is left"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cases, err := Matrix(kernels, tt.choice)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || len(cases) != tt.want {
				t.Errorf("got %d cases, %v; want %d", len(cases), err, tt.want)
			}
			if !slices.IsSortedFunc(cases, func(a, b Case) int {
				return slices.Index(kernels, a.Kernel) - slices.Index(kernels, b.Kernel)
			}) {
				t.Error("the cases of one kernel are not together")
			}
		})
	}
}

func TestJudge(t *testing.T) {
	strike := time.Now()
	at := func(s float64, kind string) vm.Event {
		return vm.Event{Time: strike.Add(time.Duration(s * float64(time.Second))), Kind: kind}
	}
	ping := func(s float64) vm.Event { return at(s, vm.KindMark) }
	before := at(-5, vm.KindReset) // of the case before
	due := stallTimeout.Seconds()
	tests := []struct {
		name, engine, fault string
		events              []vm.Event
		seen                string
		late                float64 // milliseconds, where the engine fired
		err                 string
		waited              Window
	}{
		{"in time", "softdog", "sigstop", []vm.Event{before, at(due, vm.KindReset), at(due+8, vm.KindReady)}, "RESET", 0, "", Window{}},
		{"an interval early", "softdog", "sigstop", []vm.Event{at(due-0.5, vm.KindReset)}, "RESET", -500, "", Window{}},
		{"too early", "softdog", "sigstop", []vm.Event{at(1, vm.KindReset)}, "RESET", -4000, "reset -4s after it was due", Window{}},
		{"too late", "softdog", "sigstop", []vm.Event{at(due+4, vm.KindReset)}, "RESET", 4000, "reset 4s after it was due", Window{}},
		{"late on a busy host", "softdog", "sigstop", []vm.Event{at(due+4, vm.KindReset)}, "RESET", 4000, "", Window{Late: 3 * time.Second}},
		{"early after a busy time", "softdog", "sigstop", []vm.Event{at(due-3, vm.KindReset)}, "RESET", -3000, "", Window{Early: 2 * time.Second}},
		{"the BMC's last ping did not arrive", "bmc", "hog", []vm.Event{at(due-2.25, vm.KindReset)}, "RESET", -2250, "", Window{}},
		{"softdog's did", "softdog", "hog", []vm.Event{at(due-2.25, vm.KindReset)}, "RESET", -2250, "after it was due", Window{}},
		{"none", "softdog", "sigstop", []vm.Event{before}, "none", 0, "the hypervisor saw none and no reset", Window{}},
		{"two", "softdog", "sigstop", []vm.Event{at(due, vm.KindReset), at(due+9, vm.KindReset)}, "RESET,RESET", 0, "RESET is right", Window{}},
		{"the wrong engine", "softdog", "sigstop", []vm.Event{at(due, vm.KindWDT), at(due, vm.KindReset)}, "WATCHDOG,RESET", 0, "RESET is right", Window{}},
		{"the right engine", "i6300esb", "sigstop", []vm.Event{at(due, vm.KindWDT), at(due, vm.KindReset)}, "WATCHDOG,RESET", 0, "", Window{}},
		{"a panic where none may be", "softdog", "sigstop", []vm.Event{at(due, vm.KindPanic), at(due, vm.KindReset)}, "GUEST_PANICKED,RESET", 0, "RESET is right", Window{}},
		{"a panic where one may be", "softdog", "memory", []vm.Event{at(due, vm.KindPanic), at(due, vm.KindReset)}, "GUEST_PANICKED,RESET", 0, "", Window{}},
		{"a panic, and the BMC goes on", "bmc", "memory", []vm.Event{at(due, vm.KindPanic), at(due, vm.KindReset), at(due+5, vm.KindReset)}, "GUEST_PANICKED,RESET,RESET", 0, "", Window{}},
		{"a panic, and softdog goes on", "softdog", "memory", []vm.Event{at(due, vm.KindPanic), at(due, vm.KindReset), at(due+5, vm.KindReset)}, "GUEST_PANICKED,RESET,RESET", 0, "RESET is right", Window{}},
		{"powered off", "softdog", "sigstop", []vm.Event{at(due, vm.KindStopped), at(due, vm.KindExit)}, "SHUTDOWN,EXIT", 0, "SHUTDOWN,EXIT and no reset", Window{}},
		{"nothing to happen", "softdog", "clock-hours", []vm.Event{before, at(1, vm.KindMark)}, "none", 0, "", Window{}},
		{"a false reset", "softdog", "clock-hours", []vm.Event{at(3, vm.KindReset)}, "RESET", 3000, "nothing was to happen", Window{}},
		{"unfed", "bmc", "unfed", []vm.Event{ping(1), ping(2), at(6.02, vm.KindReset)}, "RESET", 20, "", Window{}},
		{"fired while fed", "bmc", "unfed", []vm.Event{ping(1), ping(2), at(2.5, vm.KindReset)}, "RESET", -3500, "after it was due", Window{}},
		{"never fed", "bmc", "unfed", []vm.Event{at(2.5, vm.KindReset)}, "RESET", 0, "before the first ping", Window{}},
		{"marks of the next boot do not count", "bmc", "unfed", []vm.Event{ping(2), at(6, vm.KindReset), ping(15)}, "RESET", 0, "", Window{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Case{"6.1", engine(t, tt.engine), fault(t, tt.fault)}
			seen, lateness, err := judge(c, strike, tt.events, tt.waited)
			if seen != tt.seen {
				t.Errorf("seen: got %s, want %s", seen, tt.seen)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
			if fired := strings.Contains(seen, vm.KindReset) && !panicked(seen); fired != (lateness != nil) {
				t.Errorf("lateness %v with %s", lateness, seen)
			}
			if lateness != nil && tt.name != "never fed" && *lateness != tt.late {
				t.Errorf("lateness: got %v, want %v", *lateness, tt.late)
			}
		})
	}
}

func TestLoadLasts(t *testing.T) {
	cases, err := Matrix([]string{"6.1"}, Choice{Faults: []string{longLoad}, Load: time.Minute})
	if err != nil || len(cases) != 1 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	if f := cases[0].Fault; !slices.Contains(f.Strike, "1m0s") || f.Observe <= time.Minute {
		t.Errorf("%+v", f)
	}
	if f := fault(t, longLoad); f.Observe <= 10*time.Minute {
		t.Errorf("%+v", f)
	}
}

// What the daemon is given can be read, whatever the case.
func TestConfigurations(t *testing.T) {
	reg := config.NewRegistry(monitors.All(), resources.All())
	for _, e := range Engines {
		for _, f := range Faults {
			if f.Feeder {
				continue
			}
			text := Case{"6.1", e, f}.config("protect")
			if _, problems := config.Parse([]byte(text), "case", t.TempDir(), reg); slices.ContainsFunc(problems.Errors(), unexpected) {
				t.Errorf("%s %s: %v\n%s", e.Name, f.Name, problems.Errors(), text)
			}
		}
	}
}

// unexpected is not that a program of the guest is missing here.
func unexpected(p config.Problem) bool { return !strings.Contains(fmt.Sprint(p), "/bin/") }

func TestByKernel(t *testing.T) {
	got := byKernel([]Case{{Kernel: "a"}, {Kernel: "a"}, {Kernel: "b"}})
	if len(got) != 2 || len(got[0]) != 2 || len(got[1]) != 1 || byKernel(nil) != nil {
		t.Errorf("%v", got)
	}
}

func TestWaits(t *testing.T) {
	root := t.TempDir()
	put := func(name, text string) {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	put("77/cmdline", "qemu\x00file=/tmp/x/state.img,format=raw")
	put("78/cmdline", "other")
	pid := processWith(root, "/tmp/x/state.img")
	if pid != 77 || processWith(root, "/tmp/y") != 0 {
		t.Fatalf("process %d", pid)
	}
	put("77/task/77/schedstat", "1000 2000000 5\n")
	put("77/task/78/schedstat", "1000 7000000 5\n")
	before := waitsOf(root, pid)
	put("77/task/77/schedstat", "1000 9000000 5\n")
	put("77/task/78/schedstat", "1000 8000000 5\n")
	put("77/task/79/schedstat", "odd")
	if got := waitsOf(root, pid).since(before); got != 7*time.Millisecond {
		t.Errorf("waited %v", got)
	}
	if got := waitsOf(root, 1).since(before); got != 0 {
		t.Errorf("nobody waited %v", got)
	}
}

func TestReport(t *testing.T) {
	ms := func(v float64) *float64 { return &v }
	r := &Report{}
	for _, v := range []float64{30, 10, 20, 400} {
		r.add(Result{Kernel: "6.1", Engine: "softdog", Fault: "hog", Pass: true, Seen: "RESET", LatenessMS: ms(v), Cause: "user-stall"})
	}
	r.add(Result{Kernel: "6.1", Engine: "softdog", Fault: "hog", Seen: "RESET", LatenessMS: ms(9000), Reason: "too \"late\""})
	r.add(Result{Kernel: "6.1", Engine: "bmc", Fault: "load", Pass: true, Seen: "none"})
	r.finish()
	var out bytes.Buffer
	for _, c := range r.Cases[3:] {
		out.WriteString(c.String() + "\n")
	}
	r.Write(&out)
	want := `pass 6.1 softdog hog RESET lateness_ms=400 cause=user-stall
fail 6.1 softdog hog RESET lateness_ms=9000 reason="too \"late\""
pass 6.1 bmc load none lateness_ms=-
lateness_ms softdog n=4 min=10 p50=20 p90=400 max=400
5 passed, 1 failed
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	if text, err := r.JSON(); err != nil || !bytes.Contains(text, []byte(`"lateness_ms": 400`)) {
		t.Errorf("JSON: %v\n%s", err, text)
	}
}

func TestArmed(t *testing.T) {
	tests := []struct{ name, text, problem string }{
		{"armed", `{"protection": {"state": "protected", "primary": {"armed": true}, "keeper": {}}}`, ""},
		{"not yet", ``, "no status yet"},
		{"no engine", `{"protection": {"state": "unprotected"}}`, "no engine"},
		{"an engine that failed", `{"protection": {"primary": {"armed": false, "error": "busy"}}}`, "not armed busy"},
		{"held", `{"protection": {"primary": {"armed": true}, "keeper": {"holding": "api is stale"}}}`, "api is stale"},
	}
	for _, tt := range tests {
		_, err := armed([]byte(tt.text))
		if (err == nil) != (tt.problem == "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.problem)
		}
	}
}

func TestCause(t *testing.T) {
	tests := []struct {
		text, want string
		ok         bool
	}{
		{`{"subject": "boot", "boot": {"cause": "user-stall"}}`, "user-stall", true},
		{`{"subject": "boot"}`, "", false},
		{`cannot reach the daemon`, "", false},
	}
	for _, tt := range tests {
		if got, ok := cause([]byte(tt.text)); got != tt.want || ok != tt.ok {
			t.Errorf("%s: got %q, %v", tt.text, got, ok)
		}
	}
}

// A kernel that cannot be had stops the run with a clear error.
func TestRunWithoutKernel(t *testing.T) {
	t.Setenv("SHISA_CACHE", t.TempDir())
	var out bytes.Buffer
	_, err := Run(t.Context(), []Case{{"2.4", Engines[0], Faults[0]}}, &out, nil)
	if err == nil || !strings.Contains(err.Error(), `no kernel "2.4"`) || out.Len() > 0 {
		t.Errorf("got %v and %q", err, out.String())
	}
}
