// Package monitortest holds the tests that every monitor type must pass: what
// its declaration promises, that each probe keeps the contract of
// monitor.Prober, and that nothing is left behind.
package monitortest

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"shisa/ctl/monitor"
	"shisa/ctl/param/paramtest"
	"shisa/ctl/proc"
)

// A Case is one configuration of a monitor type and what one probe must
// conclude: a verdict, or, where named, something else.
type Case struct {
	Name   string
	Params map[string]any
	Env    monitor.Env
	Want   monitor.Verdict

	Detail   string // substring of the finding's detail, or of the error
	Certain  bool   // the finding must be certain
	WantErr  string // substring of the mistake in the configuration
	NoLook   bool   // the probe must fail to look
	TimedOut bool   // the probe must run into its deadline
	Timeout  time.Duration
}

// TargetFunc is a monitor.Target with the process that the function returns.
type TargetFunc func() (pid int, start uint64, ok bool)

// Process implements monitor.Target.
func (f TargetFunc) Process() (pid int, start uint64, ok bool) { return f() }

// probeLimit is how long a probe of a case may take that names no timeout. It
// is generous, since tests run on busy machines.
const probeLimit = 20 * time.Second

var (
	aliasRx = regexp.MustCompile(`^[a-z0-9]+w$`)

	// commonKeys belong to every monitor; a parameter of a type would hide them.
	commonKeys = []string{"name", "type", "comment", "when", "target", "interval", "timeout", "retry", "first_wait", "recovery"}
)

// Run checks the declaration of typ and then every case.
func Run(t *testing.T, typ monitor.Type, cases []Case) {
	t.Helper()
	t.Run("declaration", func(t *testing.T) { checkDeclaration(t, typ) })
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) { checkCase(t, typ, c) })
	}
}

func checkDeclaration(t *testing.T, typ monitor.Type) {
	if typ.Alias != "" && !aliasRx.MatchString(typ.Alias) {
		t.Errorf("alias %q does not match %v", typ.Alias, aliasRx)
	}
	tm := typ.Timing
	if tm.Timeout <= 0 || tm.Interval <= 0 || tm.Retry < 0 || tm.FirstWait < 0 {
		t.Errorf("default timing %+v is not possible", tm)
	}
	if typ.NeedsTarget && typ.When != monitor.WhileActive {
		t.Error("what needs a target can only probe while it is active")
	}
	paramtest.Check(t, typ, paramtest.Declaration{Name: typ.Name, Title: typ.Title, Doc: typ.Doc, Example: typ.Example, Common: commonKeys})
}

func checkCase(t *testing.T, typ monitor.Type, c Case) {
	leak := watchLeaks(t)
	p, err := typ.New(c.Params, c.Env)
	if c.WantErr != "" {
		if err == nil || !strings.Contains(err.Error(), c.WantErr) {
			t.Fatalf("New: got error %v, want one with %q", err, c.WantErr)
		}
		return
	}
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	checkProbe(t, p, c)
	checkCancelled(t, p)
	if c.Want != monitor.Failed {
		checkStarved(t, p)
	}
	if closer, ok := p.(monitor.Closer); ok {
		if err := closer.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	leak()
}

func checkProbe(t *testing.T, p monitor.Prober, c Case) {
	t.Helper()
	limit := c.Timeout
	if limit == 0 {
		limit = probeLimit
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	ctx, log := monitor.WithLog(ctx)
	begin := time.Now()
	f, err := p.Probe(ctx)
	// The scheduler gives a slot of grace; so does a busy test machine, and more.
	if took := time.Since(begin); took > limit+5*time.Second {
		t.Errorf("Probe took %v, longer than its %v", took, limit)
	}
	t.Logf("finding %+v, error %v, log %q", f, err, log.Lines())
	timedOut := errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil
	switch {
	case c.TimedOut != timedOut:
		t.Errorf("timed out: %t, want %t (%v)", timedOut, c.TimedOut, err)
	case c.TimedOut:
	case c.NoLook:
		if err == nil || !strings.Contains(err.Error(), c.Detail) {
			t.Errorf("got error %v, want one with %q", err, c.Detail)
		}
	case err != nil:
		t.Errorf("could not look: %v", err)
	case f.Verdict != c.Want || !strings.Contains(f.Detail, c.Detail) || f.Certain != c.Certain:
		t.Errorf("got %+v, want %v with %q, certain %t", f, c.Want, c.Detail, c.Certain)
	}
	if f.Detail == "" && err == nil {
		t.Error("a finding must say something to the operator")
	}
	if len(f.Detail) > monitor.DetailLimit || strings.ContainsAny(f.Detail, "\n\r") {
		t.Errorf("the detail is not one line of at most %d bytes: %q", monitor.DetailLimit, f.Detail)
	}
}

// checkCancelled probes under a context that is done: that must return at once
// and say nothing about the target.
func checkCancelled(t *testing.T, p monitor.Prober) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	begin := time.Now()
	f, err := p.Probe(ctx)
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("Probe with a cancelled context took %v", took)
	}
	if err == nil && f.Verdict == monitor.Failed && !f.Certain {
		t.Errorf("a probe that was given up blames the target: %+v", f)
	}
}

// Starved calls f while this process can open no more than left files.
func Starved(t *testing.T, left int, f func()) {
	t.Helper()
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	free, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0) // the least number that is free
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(free)
	limit := func(l unix.Rlimit) {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
			t.Fatal(err)
		}
	}
	limit(unix.Rlimit{Cur: uint64(free + left), Max: was.Max})
	defer limit(was)
	f()
}

// checkStarved probes a target that works while this process can open nothing:
// that may find nothing wrong with the target.
func checkStarved(t *testing.T, p monitor.Prober) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), probeLimit)
	defer cancel()
	Starved(t, 0, func() {
		if f, err := p.Probe(ctx); err == nil && f.Verdict == monitor.Failed {
			t.Errorf("a probe that can open nothing blames the target: %+v", f)
		}
	})
}

// watchLeaks returns what checks that no goroutine, descriptor or process has
// come to stay since.
func watchLeaks(t *testing.T) func() {
	t.Helper()
	if _, err := proc.Default(); err != nil {
		t.Fatal(err)
	}
	goroutines := goleak.IgnoreCurrent()
	files, children := descriptors(t), childCount(t)
	return func() {
		t.Helper()
		if err := goleak.Find(goroutines); err != nil {
			t.Errorf("left behind: %v", err)
		}
		deadline := time.Now().Add(10 * time.Second)
		for descriptors(t) > files || childCount(t) > children {
			if time.Now().After(deadline) {
				t.Fatalf("left behind: %d descriptors, %d processes", descriptors(t)-files, childCount(t)-children)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func descriptors(t *testing.T) int {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func childCount(t *testing.T) int {
	all, err := proc.List()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, s := range all {
		if s.Parent == os.Getpid() {
			n++
		}
	}
	return n
}
