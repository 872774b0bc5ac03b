package exits

import (
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMassDeath lets 10 000 processes die: none may be lost, none announced
// that did not die, each with its own exit code. In a guest the numbers are
// made to wrap, so that every one is used some thirty times.
func TestMassDeath(t *testing.T) {
	if os.Getenv("SHISA_GUEST") != "" {
		if err := os.WriteFile("/proc/sys/kernel/pid_max", []byte("400"), 0); err != nil {
			t.Fatal(err)
		}
		defer os.WriteFile("/proc/sys/kernel/pid_max", []byte("32768"), 0)
	}
	fallback := 10_000
	if os.Getenv("SHISA_GUEST") != "" || testing.Short() {
		fallback = 1000 // an emulated CPU takes minutes for more
	}
	t.Run("kernel", func(t *testing.T) { massDeath(t, openKernel(t), 10_000) })
	t.Run("perf", func(t *testing.T) { massDeath(t, openPerf(t), fallback) })
	t.Run("connector", func(t *testing.T) { massDeath(t, openConnector(t), fallback) })
}

func massDeath(t *testing.T, source Source, deaths int) {
	c := watch(t, source)
	listening(t, c)
	c.mu.Lock()
	clear(c.got)
	c.mu.Unlock()
	before := lost(t, source) // a perf buffer counts what came before there was a reader

	want := make(map[int][]int) // exit codes, by number, in order
	last := 0
	for i := range deaths {
		code := i%200 + 1
		last = fork(t, code)
		want[last] = append(want[last], code)
		reap(t, last)
	}
	// A report may be overtaken by a later one: wait for the count.
	for timeout := time.After(20 * time.Second); c.ours() < deaths; {
		select {
		case <-c.news:
			continue
		case <-timeout:
		}
		break
	}
	compare(t, c, want)
	if n := lost(t, source) - before; n != 0 {
		t.Errorf("%d lost by the source's own account", n)
	}
}

func lost(t *testing.T, source Source) uint64 {
	switch source := source.(type) {
	case *Kernel:
		n, err := source.Counters()
		if err != nil {
			t.Fatal(err)
		}
		return n.Lost
	case *Connector:
		return source.Lost()
	}
	return 0
}

// ours tells the test's own processes from others on the machine, and from
// those that only asked whether the source listens.
func ours(e Exit) bool { return e.Parent == os.Getpid() && e.Status.ExitStatus() != 0 }

func (c *collector) ours() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, exits := range c.got {
		for _, e := range exits {
			if ours(e) {
				n++
			}
		}
	}
	return n
}

func compare(t *testing.T, c *collector, want map[int][]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	announced, lost, wrong := 0, 0, 0
	for pid, codes := range want {
		var got []Exit
		for _, e := range c.got[pid] {
			if ours(e) {
				got = append(got, e)
			}
		}
		announced += len(got)
		lost += max(0, len(codes)-len(got))
		for i, e := range got {
			if i >= len(codes) || e.Status.ExitStatus() != codes[i] {
				wrong++
			}
		}
	}
	if lost != 0 || wrong != 0 {
		t.Errorf("%d announced, %d lost, %d false", announced, lost, wrong)
	}
	t.Logf("%d deaths of %d numbers announced", announced, len(want))
}

// fork makes a process that ends at once with a code. The child runs no Go
// code but one system call.
//
//go:norace
func fork(t *testing.T, code int) int {
	t.Helper()
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	if pid == 0 {
		for {
			syscall.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(code), 0, 0)
		}
	}
	return int(pid)
}

func reap(t *testing.T, pid int) {
	t.Helper()
	for {
		_, err := syscall.Wait4(pid, nil, 0, nil)
		if err == nil {
			return
		}
		if err != syscall.EINTR {
			t.Fatal(err)
		}
	}
}
