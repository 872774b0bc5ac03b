package exits

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"shisa/bpf/trial"
)

// openKernel skips where no program can ever be loaded, and fails where one should.
func openKernel(t *testing.T, without ...string) *Kernel {
	t.Helper()
	return openJob(t, Job, without...)
}

func openJob(t *testing.T, job trial.Job, without ...string) *Kernel {
	t.Helper()
	k, err := trial.Open()
	if errors.Is(err, trial.ErrPrivilege) {
		t.Skip("not privileged")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	k.Without = without
	source, err := load(k, job)
	for _, c := range source.Choices() {
		t.Log(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	})
	return source
}

// watch runs a source until the test ends and collects what it announces.
func watch(t *testing.T, source Source) *collector {
	t.Helper()
	c := &collector{got: make(map[int][]Exit), news: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- source.Watch(ctx, c.add) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

type collector struct {
	mu   sync.Mutex
	got  map[int][]Exit
	news chan struct{}
}

func (c *collector) add(e Exit) {
	c.mu.Lock()
	c.got[e.PID] = append(c.got[e.PID], e)
	c.mu.Unlock()
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// await returns the announcements about a process once there is one.
func (c *collector) await(t *testing.T, pid int) []Exit {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		c.mu.Lock()
		got := slices.Clone(c.got[pid])
		c.mu.Unlock()
		if len(got) > 0 {
			return got
		}
		select {
		case <-c.news:
		case <-timeout:
			t.Fatalf("process %d died unnoticed", pid)
		}
	}
}

// self runs this test binary again as another program; see TestMain.
func self(role string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.Env = append(os.Environ(), "EXITS_ROLE="+role)
	return cmd
}

// waiting starts a process that waits until it is killed, and returns when it does.
func waiting(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := self("wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestMain(m *testing.M) {
	switch role := os.Getenv("EXITS_ROLE"); role {
	case "":
		os.Exit(m.Run())
	case "wait": // until killed
		fmt.Println("ready")
		time.Sleep(time.Hour)
	case "threads": // leave with many threads at once
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(runtime.LockOSThread)
		}
		wg.Wait()
		os.Exit(3)
	default:
		code, _ := strconv.Atoi(role)
		os.Exit(code)
	}
}

// sources are the ways to hear about every process, as far as they work here.
func sources(t *testing.T) map[string]func(t *testing.T) Source {
	return map[string]func(t *testing.T) Source{
		"tp_btf":     func(t *testing.T) Source { return openKernel(t, "exit_raw_tp", "exit_tracepoint") },
		"raw_tp":     func(t *testing.T) Source { return openKernel(t, "exit_tp_btf", "exec_tp_btf") },
		"connector":  openConnector,
		"scan":       func(*testing.T) Source { return &Scan{Interval: 10 * time.Millisecond} },
		"perf":       openPerf,
		"tracepoint": openTracepoint,
	}
}

func openConnector(t *testing.T) Source {
	c, err := Connect()
	if err != nil {
		if os.Geteuid() != 0 || errors.Is(err, syscall.EPROTONOSUPPORT) {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func openPerf(t *testing.T) Source {
	job := Job
	job.Objects = job.Objects[1:]
	return openJob(t, job)
}

func openTracepoint(t *testing.T) Source {
	if _, err := os.Stat("/sys/kernel/tracing/events/sched/sched_process_exit/id"); err != nil {
		t.Skip("tracefs is not mounted: ", err)
	}
	return openKernel(t, "exit_tp_btf", "exit_raw_tp", "exec_tp_btf", "exec_raw_tp", "oom_raw_tp")
}

func TestExitIsAnnounced(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(sources(t))) {
		t.Run(name, func(t *testing.T) {
			c := watch(t, sources(t)[name](t))
			listening(t, c)
			t.Run("code", func(t *testing.T) { exitCode(t, c) })
			t.Run("signal", func(t *testing.T) { killed(t, c) })
			t.Run("threads", func(t *testing.T) { threads(t, c) })
		})
	}
}

// listening returns when the source is at work: when it has announced a death.
func listening(t *testing.T, c *collector) {
	t.Helper()
	for range 200 {
		pid := fork(t, 0)
		select {
		case <-c.news:
		case <-time.After(50 * time.Millisecond): // a zombie so long: a scan must see it
		}
		reap(t, pid)
		c.mu.Lock()
		n := len(c.got)
		c.mu.Unlock()
		if n > 0 {
			return
		}
	}
	t.Fatal("the source announces nothing")
}

func exitCode(t *testing.T, c *collector) {
	cmd := self("7")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	got := c.await(t, cmd.Process.Pid)
	if e := got[0]; !e.Status.Known || e.Status.ExitStatus() != 7 || e.Start == 0 {
		t.Errorf("got %+v, want exit status 7 and a start time", e)
	}
}

func killed(t *testing.T, c *collector) {
	cmd := waiting(t)
	id, err := Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond) // a scan must have seen it alive
	cmd.Process.Kill()
	defer cmd.Wait()
	e := c.await(t, id.PID)[0]
	if e.ID != id {
		t.Errorf("got %v, want %v", e.ID, id)
	}
	if !e.Status.Known || e.Status.Signal() != syscall.SIGKILL {
		t.Errorf("got status %+v, want SIGKILL", e.Status)
	}
	if e.Parent != os.Getpid() || e.OOM {
		t.Errorf("got parent %d, OOM %v", e.Parent, e.OOM)
	}
}

// threads checks that a process is announced once, whatever its threads do.
func threads(t *testing.T, c *collector) {
	var pids []int
	for range 20 {
		cmd := self("threads")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, cmd.Process.Pid)
		c.await(t, cmd.Process.Pid)
		cmd.Wait()
	}
	c.await(t, pids[len(pids)-1])
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, pid := range pids {
		if n := len(c.got[pid]); n != 1 {
			t.Errorf("process %d was announced %d times: %+v", pid, n, c.got[pid])
		}
	}
}

func TestKernelIsAlive(t *testing.T) {
	k := openKernel(t)
	if err := k.alive(5 * time.Second); err != nil {
		t.Error(err)
	}
	// A detached program must be noticed.
	if err := k.loaded.Link("exit").Close(); err != nil {
		t.Fatal(err)
	}
	if err := k.loaded.Link("exec").Close(); err != nil {
		t.Fatal(err)
	}
	if err := k.alive(50 * time.Millisecond); err == nil {
		t.Error("a detached program passes for alive")
	}
}
