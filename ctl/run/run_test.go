package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/proc"
)

// sh is a command for the system's shell; tests name it, the package never does.
func sh(script string) Command {
	return Command{Name: "test", Path: "/bin/sh", Args: []string{"-c", script}, Grace: 100 * time.Millisecond}
}

func TestState(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script string
		limit  time.Duration
		want   Result
	}{
		{"success", "exit 0", 0, Result{State: Exited}},
		{"exit status", "exit 3", 0, Result{State: Exited, Code: 3}},
		{"highest exit status", "exit 255", 0, Result{State: Exited, Code: 255}},
		{"killed by itself", "kill -KILL $$", 0, Result{State: Signalled, Signal: syscall.SIGKILL}},
		{"terminated by somebody", "kill -TERM $$; sleep 60", 0, Result{State: Signalled, Signal: syscall.SIGTERM}},
		{"timed out", "sleep 60", 100 * time.Millisecond, Result{State: TimedOut}},
		{"exits on our signal", "trap 'exit 0' TERM; while :; do sleep 0.01; done", 300 * time.Millisecond, Result{State: TimedOut}},
		{"stopped", "kill -STOP $$", 300 * time.Millisecond, Result{State: TimedOut}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := sh(tt.script)
			c.Timeout = tt.limit
			got := Run(t.Context(), c)
			if got.State != tt.want.State || got.Code != tt.want.Code || got.Signal != tt.want.Signal || got.Stuck {
				t.Errorf("got %v (%+v), want %v", got, got, tt.want)
			}
			if got.OK() != (tt.name == "success") || (got.AsError() == nil) != got.OK() {
				t.Errorf("OK() = %t, AsError() = %v", got.OK(), got.AsError())
			}
		})
	}
}

func TestCouldNotStart(t *testing.T) {
	dir := t.TempDir()
	plain := write(t, dir, "plain", "exit 0\n", 0o755)
	for _, tt := range []struct {
		name    string
		command Command
		want    string
	}{
		{"missing", Command{Path: "/nowhere/to/be/found"}, "no such file"},
		{"relative", Command{Path: "sh"}, "write the whole path"},
		{"directory", Command{Path: "/tmp"}, "is a directory"},
		{"not executable", Command{Path: write(t, dir, "noexec", "#!/bin/sh\n", 0o644)}, "chmod +x"},
		{"no interpreter line", Command{Path: plain}, "make #!/bin/sh its first line"},
		{"missing interpreter", Command{Path: write(t, dir, "lost", "#!/no/such/sh\n", 0o755)}, "interpreter"},
		{"missing directory", Command{Path: "/bin/true", Dir: "/nowhere"}, `"/nowhere"`},
		{"unknown user", Command{Path: "/bin/true", User: "no such user"}, "no such user"},
		{"unknown group", Command{Path: "/bin/true", Group: "no such group"}, "no such group"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := Run(t.Context(), tt.command)
			if r.State != CouldNotStart || !strings.Contains(r.String(), tt.want) {
				t.Errorf("got %v, want it to mention %q", r, tt.want)
			}
			if r.Known() {
				t.Error("a command that never ran must not count as known")
			}
		})
	}
}

func TestOutput(t *testing.T) {
	c := sh("echo out; echo err >&2; echo in; cat")
	r := Run(t.Context(), c)
	if got := string(r.Output); got != "out\nerr\nin\n" || r.Dropped != 0 {
		t.Errorf("got %q, %d dropped", got, r.Dropped)
	}
	c = sh("yes | head -c 1000000")
	c.OutputLimit = 1000
	r = Run(t.Context(), c)
	if len(r.Output) != 1000 || r.Dropped != 1000000-1000 {
		t.Errorf("kept %d, dropped %d", len(r.Output), r.Dropped)
	}
}

func TestStreamedOutput(t *testing.T) {
	var b closeBuffer
	c := sh("echo one; echo two >&2")
	c.Output = &b
	if r := Run(t.Context(), c); !r.OK() || r.Output != nil {
		t.Fatal(r)
	}
	eventually(t, "the writer is closed", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.closed })
	if b.String() != "one\ntwo\n" {
		t.Errorf("got %q", b.String())
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("SECRET_OF_THE_DAEMON", "x")
	r := Run(t.Context(), Command{Path: "/usr/bin/env"})
	if got, want := strings.TrimSpace(string(r.Output)), strings.Join(BaseEnv(), "\n"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r = Run(t.Context(), Command{Path: "/usr/bin/env", Env: []string{"A=1"}})
	if got := string(r.Output); got != "A=1\n" {
		t.Errorf("got %q", got)
	}
}

func TestSettings(t *testing.T) {
	c := sh("pwd; ulimit -n; ulimit -c; nice; cat /proc/self/oom_score_adj; (exit 0); ps -o pgid= -p $$ | tr -d ' '; echo $$")
	c.Dir = "/usr"
	c.Limits = []Limit{{unix.RLIMIT_NOFILE, 77, 99}, {unix.RLIMIT_CORE, 0, 0}}
	c.Nice = 5
	r := Run(t.Context(), c)
	got := strings.Fields(string(r.Output))
	if len(got) != 7 || !slices.Equal(got[:5], []string{"/usr", "77", "0", "5", "0"}) {
		t.Fatalf("got %q (%v)", got, r)
	}
	if got[5] != got[6] {
		t.Errorf("process group %s of process %s is not its own", got[5], got[6])
	}
	c = Command{Path: "/bin/true", Limits: []Limit{{unix.RLIMIT_NOFILE, 99, 77}}}
	if r := Run(t.Context(), c); r.State != CouldNotStart || !strings.Contains(r.String(), "resource limit") {
		t.Errorf("soft limit above the hard one: got %v", r)
	}
	noZombies(t)
}

func TestUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	c := sh("id -u; id -g; id -G")
	c.User = "nobody"
	r := Run(t.Context(), c)
	got := strings.Fields(string(r.Output))
	if len(got) < 3 || got[0] != "65534" || slices.Contains(got[1:], "0") {
		t.Errorf("got %q (%v)", got, r)
	}
	c.User, c.Group = "65534", "0"
	if got := strings.Fields(string(Run(t.Context(), c).Output)); got[0] != "65534" || got[1] != "0" {
		t.Errorf("got %q", got)
	}
}

func TestContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := Start(ctx, sh("sleep 60"))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if r := p.Wait(); r.State != Cancelled {
		t.Errorf("got %v, want cancelled", r)
	}
	if _, err := Start(ctx, sh("exit 0")); !errors.Is(err, context.Canceled) {
		t.Errorf("start under a context that is done: got %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if r := Run(ctx, sh("sleep 60")); r.State != TimedOut {
		t.Errorf("got %v, want timed out", r)
	}
}

func TestStop(t *testing.T) {
	p, err := Start(t.Context(), sh("sleep 60"))
	if err != nil {
		t.Fatal(err)
	}
	if !p.ID().Alive() {
		t.Error("not alive after the start")
	}
	p.Stop()
	p.Stop() // is harmless
	if r := p.Wait(); r.State != Cancelled {
		t.Errorf("got %v", r)
	}
	if p.ID().Alive() {
		t.Error("alive after the stop")
	}
}

// Fix 28 of the original: a script that timed out and was force-killed stayed a
// zombie, because waitpid ran before SIGKILL had taken effect.
func TestFix028NoZombieAfterKill(t *testing.T) {
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			c := sh("trap '' TERM; while :; do sleep 0.01; done")
			c.Timeout, c.Grace = 200*time.Millisecond, 50*time.Millisecond
			if r := Run(t.Context(), c); r.State != TimedOut || r.Stuck {
				t.Errorf("got %v", r)
			}
		})
	}
	wg.Wait()
	noZombies(t)
}

// Fix 31 of the original: stopping a check while it ran killed processes that
// were not its own. The bystander is a child of the same parent, too.
func TestFix031BystandersSurvive(t *testing.T) {
	bystander, err := Start(t.Context(), sh("sleep 60"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { bystander.Stop(); bystander.Wait() }()
	pidFile := filepath.Join(t.TempDir(), "pid")
	for _, end := range []struct {
		name   string
		script string
		limit  time.Duration
	}{
		{"timeout", "sleep 60 & echo $! >%s; sleep 60", 200 * time.Millisecond},
		{"exit", "sleep 60 & echo $! >%s; exit 0", 0},
	} {
		c := sh(fmt.Sprintf(end.script, pidFile))
		c.Timeout = end.limit
		Run(t.Context(), c)
		if child := readPID(t, pidFile); running(child) {
			t.Errorf("%s: its own child %d lives on", end.name, child)
		}
		if !bystander.ID().Alive() {
			t.Fatalf("%s: the bystander was killed", end.name)
		}
	}
}

// What leaves the process group is found through the control group.
func TestEscape(t *testing.T) {
	if _, err := Containment(); err != nil {
		t.Skipf("no control groups here: %v", err)
	}
	pidFile := filepath.Join(t.TempDir(), "pid")
	c := sh(fmt.Sprintf("setsid sh -c 'echo $$ >%s; trap \"\" TERM; while :; do sleep 0.05; done' & sleep 60", pidFile))
	c.Timeout = 300 * time.Millisecond
	if r := Run(t.Context(), c); r.State != TimedOut || r.Stuck {
		t.Errorf("got %v", r)
	}
	if pid := readPID(t, pidFile); running(pid) {
		t.Errorf("process %d escaped", pid)
	}
}

func TestLeave(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	c := sh(fmt.Sprintf("echo begun; sleep 60 & echo $! >%s", pidFile))
	c.Leave = true
	p, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	r := p.Wait()
	if !r.OK() || string(r.Output) != "begun\n" {
		t.Errorf("got %v with output %q", r, r.Output)
	}
	service, err := proc.Identify(readPID(t, pidFile))
	if err != nil || !service.Alive() {
		t.Fatalf("the service did not live on: %v", err)
	}
	if _, err := Containment(); err != nil {
		_ = proc.Signal(service, syscall.SIGKILL)
		return
	}
	if !p.Remains() {
		t.Error("nothing remains, says the control group")
	}
	if !p.KillRemains() {
		t.Error("something remains")
	}
	eventually(t, "the service is gone", func() bool { return !service.Alive() })
}

// A command that is ended by us takes along what it started even with Leave.
func TestLeaveTimedOut(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	c := sh(fmt.Sprintf("sleep 60 & echo $! >%s; sleep 60", pidFile))
	c.Leave, c.Timeout = true, 300*time.Millisecond
	if r := Run(t.Context(), c); r.State != TimedOut {
		t.Fatal(r)
	}
	if pid := readPID(t, pidFile); running(pid) {
		t.Errorf("process %d lives on", pid)
	}
}

// Without control groups the same rules hold for the process group.
func TestProcessGroupAlone(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	// The child says that it is ready only when its number is written.
	c := sh(fmt.Sprintf("(trap '' TERM; until [ -s %[1]s ]; do sleep 0.01; done; echo 1 >%[1]s.ready; while :; do sleep 0.01; done) & echo $! >%[1]s; sleep 60", pidFile))
	p := &Process{command: c, begin: time.Now(), ended: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{})}
	pid, err := c.fork(noOutput, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.watch(pid)
	go p.supervise(t.Context())
	eventually(t, "the child ignores SIGTERM", func() bool { _, err := os.Stat(pidFile + ".ready"); return err == nil })
	p.Stop()
	if r := p.Wait(); r.State != Cancelled || r.Stuck {
		t.Errorf("got %v", r)
	}
	if child := readPID(t, pidFile); running(child) {
		t.Errorf("child %d lives on", child)
	}
}

func TestNoDescriptorLeak(t *testing.T) {
	open := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skipf("no /proc: %v", err)
		}
		return len(names)
	}
	Run(t.Context(), sh("exit 0"))
	before := open()
	for range 20 {
		Run(t.Context(), sh("echo x"))
		Run(t.Context(), Command{Path: "/nowhere"})
		Run(t.Context(), Command{Path: "/bin/true", Dir: "/nowhere"})
	}
	eventually(t, "descriptors are closed", func() bool { return open() <= before })
	if dir, err := Containment(); err == nil {
		left, _ := filepath.Glob(filepath.Join(dir, fmt.Sprintf("sh.%d.*", os.Getpid())))
		if len(left) > 0 {
			t.Errorf("control groups are left: %v", left)
		}
	}
}

func TestZeroResult(t *testing.T) {
	var r Result
	if r.OK() || r.Known() || r.State != CouldNotStart {
		t.Errorf("the zero result claims something: %v", r)
	}
}

type closeBuffer struct {
	mu sync.Mutex
	bytes.Buffer
	closed bool
}

func (b *closeBuffer) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}

func write(t *testing.T, dir, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func readPID(t *testing.T, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func running(pid int) bool {
	s, err := proc.Read(pid)
	return err == nil && !s.Ended()
}

// noZombies checks that no child of ours waits to be reaped.
func noZombies(t *testing.T) {
	t.Helper()
	eventually(t, "no child is a zombie", func() bool {
		all, err := proc.List()
		if err != nil {
			t.Fatal(err)
		}
		return !slices.ContainsFunc(all, func(s proc.Stat) bool { return s.Parent == os.Getpid() && s.Ended() })
	})
}

// eventually waits for what other processes bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}
