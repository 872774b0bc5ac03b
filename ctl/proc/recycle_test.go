package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Fix 83 of the original: another process had taken the number that was kept
// for a monitor, and was killed in its place. A number is recycled for real
// here, in a PID namespace of its own so that this machine's numbers are left
// alone.
func TestFix083RecycledNumber(t *testing.T) {
	if os.Getenv("SHISA_TEST_RECYCLE") != "" {
		recycle(t)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("only root can make a PID namespace")
	}
	c := exec.Command("/proc/self/exe", "-test.run=^TestFix083RecycledNumber$", "-test.v")
	c.Env = append(os.Environ(), "SHISA_TEST_RECYCLE=1")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "the new owner survived") {
		t.Fatalf("%v\n%s", err, out)
	}
}

func recycle(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	must(syscall.Mount("proc", "/proc", "proc", 0, ""))
	sleeper := func() *exec.Cmd {
		c := exec.Command("/bin/sleep", "60")
		must(c.Start())
		return c
	}
	first := sleeper()
	old, err := Identify(first.Process.Pid)
	must(err)
	held, err := Open(old)
	must(err)
	must(first.Process.Kill())
	_ = first.Wait()

	// The start time counts in ticks of 10 ms: the new owner must be younger by
	// one at least, as it always is when the numbers wrap around by themselves.
	var owner *exec.Cmd
	for tries := 0; owner == nil || owner.Process.Pid != old.PID || start(t, owner) == old.Start; tries++ {
		if tries == 100 {
			t.Fatalf("the number %d never came again", old.PID)
		}
		if owner != nil {
			_ = owner.Process.Kill()
			_ = owner.Wait()
		}
		must(os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(old.PID-1)), 0))
		owner = sleeper()
	}
	defer func() { _ = owner.Process.Kill(); _ = owner.Wait() }()

	for what, err := range map[string]error{"stored identity": Signal(old, syscall.SIGKILL), "handle": held.Signal(syscall.SIGKILL)} {
		if !errors.Is(err, ErrGone) {
			t.Errorf("signal by %s: got %v, want %v", what, err, ErrGone)
		}
	}
	if old.Alive() {
		t.Error("the old process counts as alive")
	}
	now, err := Identify(old.PID)
	must(err)
	if !now.Alive() {
		t.Fatal("the new owner was killed")
	}
	fmt.Println("the new owner survived")
}

func start(t *testing.T, c *exec.Cmd) uint64 {
	t.Helper()
	s, err := Read(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return s.Start
}
