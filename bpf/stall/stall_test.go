package stall

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shisa/bpf/trial"
)

func TestMain(m *testing.M) {
	switch os.Getenv("STALL_ROLE") {
	case "":
		os.Exit(m.Run())
	case "blocked": // in TASK_KILLABLE, as the parent of a vfork is until the child goes on
		pid, _, _ := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(syscall.SIGCHLD|unix.CLONE_VFORK), 0, 0, 0, 0, 0)
		for pid == 0 {
			syscall.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
		}
	case "spin":
		// Not for ever: in real time it starves what should end it, timers of PREEMPT_RT included.
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		}
	}
}

func start(t *testing.T, role string) int {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	// Go's scheduler would interrupt what spins, and go on with it on another thread.
	cmd.Env = append(os.Environ(), "STALL_ROLE="+role, "GODEBUG=asyncpreemptoff=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	})
	return cmd.Process.Pid
}

func witnesses() map[string]func(*testing.T, Limits) *Witness {
	return map[string]func(*testing.T, Limits) *Witness{"iterator": openIterator, "proc": func(_ *testing.T, l Limits) *Witness { return FromProc(l) }}
}

func openIterator(t *testing.T, limits Limits) *Witness {
	t.Helper()
	k, err := trial.Open()
	if errors.Is(err, trial.ErrPrivilege) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	w, err := Load(k, limits)
	for _, c := range w.Choices() {
		t.Log(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// await scans until a task of the process is stalled in the given way.
func await(t *testing.T, w *Witness, pid int, kind Kind) Task {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		tasks, err := w.Scan()
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(tasks, func(task Task) bool { return task.PID == pid && task.Kind == kind }); i >= 0 {
			return tasks[i]
		}
	}
	t.Fatalf("process %d was never %v", pid, kind)
	panic("unreachable")
}

func TestBlockedTaskIsFound(t *testing.T) {
	for name, open := range witnesses() {
		t.Run(name, func(t *testing.T) {
			w := open(t, Limits{Blocked: 300 * time.Millisecond})
			pid := start(t, "blocked")
			task := await(t, w, pid, Blocked)
			if task.For < 300*time.Millisecond || task.Start == 0 || task.Comm == "" {
				t.Errorf("got %+v", task)
			}
			stack := task.StackText
			if len(task.Stack) > 0 {
				stack = new(Symbols).Names(task.Stack)
			}
			t.Log(strings.Join(stack, "\n"))
			if os.Geteuid() == 0 && len(stack) == 0 {
				t.Error("no kernel stack")
			}
			if name == "iterator" && task.Switches == 0 {
				t.Errorf("got %+v", task)
			}
		})
	}
}

func TestHogIsFound(t *testing.T) {
	if os.Getenv("SHISA_GUEST") == "" {
		t.Skip("needs a quiet machine: a guest")
	}
	for name, open := range witnesses() {
		t.Run(name, func(t *testing.T) {
			w := open(t, Limits{Hog: time.Second})
			task := await(t, w, start(t, "spin"), Hog)
			if task.For < time.Second || task.Runtime < time.Second/2 {
				t.Errorf("got %+v", task)
			}
		})
	}
}

// TestStarvedTaskIsFound gives one CPU to a real-time spinner, and another task
// nothing but that CPU. The kernel's throttling lets it have 50 ms of a second.
func TestStarvedTaskIsFound(t *testing.T) {
	if os.Getenv("SHISA_GUEST") == "" || runtime.NumCPU() < 2 {
		t.Skip("starves a CPU: only in a guest of two")
	}
	for name, open := range witnesses() {
		t.Run(name, func(t *testing.T) {
			pin(t, os.Getpid(), 0)
			w := open(t, Limits{Starved: 300 * time.Millisecond})
			hog, victim := start(t, "spin"), start(t, "spin")
			pin(t, victim, 1)
			pin(t, hog, 1)
			attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
			for _, tid := range threads(hog) {
				if err := unix.SchedSetAttr(tid, &attr, 0); err != nil {
					t.Fatal(err)
				}
			}
			task := await(t, w, victim, Starved)
			if task.For < 300*time.Millisecond || task.Comm == "" {
				t.Errorf("got %+v", task)
			}
		})
	}
}

func threads(pid int) (tids []int) {
	_ = numbered("/proc/"+itoa(pid)+"/task", func(tid int) { tids = append(tids, tid) })
	return tids
}

func pin(t *testing.T, pid, cpu int) {
	t.Helper()
	var set unix.CPUSet
	set.Set(cpu)
	for _, tid := range threads(pid) {
		if err := unix.SchedSetaffinity(tid, &set); err != nil {
			t.Fatal(err)
		}
	}
}

func TestIteratorIsAlive(t *testing.T) {
	w := openIterator(t, DefaultLimits)
	if err := w.Alive(); err != nil {
		t.Error(err)
	}
	if w.Samples() != 0 {
		t.Error("it counted as a scan")
	}
	if _, err := w.Scan(); err != nil || w.Samples() == 0 {
		t.Errorf("not even this test is runnable, %v", err)
	}
}

func TestPressures(t *testing.T) {
	all, err := Pressures()
	if errors.Is(err, ErrNoPressure) {
		t.Skip(err)
	}
	if err != nil || len(all) != 3 {
		t.Errorf("got %v, %v", all, err)
	}
}
