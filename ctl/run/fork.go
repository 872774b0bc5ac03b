package run

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// fork starts the command in a process group of its own, with out as both
// output streams, and returns its number.
func (c *Command) fork(out uintptr, g *cgroup) (pid int, err error) {
	cred, err := c.credential()
	if err != nil {
		return 0, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	if out == noOutput {
		out = null.Fd()
	}
	in := null.Fd()
	if c.Input != nil {
		in = c.Input.Fd()
	}
	env, dir := c.Env, c.Dir
	if env == nil {
		env = BaseEnv()
	}
	if dir == "" {
		dir = "/"
	}
	attr := &syscall.ProcAttr{
		Dir: dir, Env: env, Files: []uintptr{in, out, out},
		Sys: &syscall.SysProcAttr{Setpgid: true, Credential: cred},
	}
	if g != nil {
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, g.fd // clone3, Linux 5.7
	}
	settings := c.settings()
	if len(settings) == 0 {
		return c.exec(attr)
	}
	return c.execStopped(attr, settings)
}

// noOutput stands for /dev/null.
const noOutput = ^uintptr(0)

// exec calls fork and execve. A script that was written a moment ago may be
// busy for as long as some other fork of ours still holds the descriptor that
// wrote it.
func (c *Command) exec(attr *syscall.ProcAttr) (pid int, err error) {
	const tries, pause = 5, 10 * time.Millisecond
	for range tries {
		pid, err = syscall.ForkExec(c.Path, append([]string{c.Path}, c.Args...), attr)
		if !errors.Is(err, syscall.ETXTBSY) {
			break
		}
		time.Sleep(pause)
	}
	return pid, err
}

// A setting is applied to a process before its first instruction.
type setting func(pid int) error

// settings lists what has to be set from outside.
func (c *Command) settings() []setting {
	var all []setting
	for _, l := range c.Limits {
		all = append(all, func(pid int) error {
			if err := unix.Prlimit(pid, l.Resource, &unix.Rlimit{Cur: l.Soft, Max: l.Max}, nil); err != nil {
				return fmt.Errorf("set resource limit %d to %d: %w", l.Resource, l.Soft, err)
			}
			return nil
		})
	}
	if c.Nice != 0 {
		all = append(all, func(pid int) error {
			if err := unix.Setpriority(unix.PRIO_PROCESS, pid, c.Nice); err != nil {
				return fmt.Errorf("set nice value %d: %w", c.Nice, err)
			}
			return nil
		})
	}
	// The daemon is protected from the OOM killer; what it starts is not, or
	// a leaking script would be the last one to die.
	if own, err := os.ReadFile("/proc/self/oom_score_adj"); err == nil && strings.TrimSpace(string(own)) != "0" {
		all = append(all, func(pid int) error {
			return os.WriteFile("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", []byte("0"), 0)
		})
	}
	return all
}

// execStopped starts the program as if it were debugged: it stops before its
// first instruction (ptrace(2), PTRACE_TRACEME), is given its settings and
// let go. Set later, they would not reach what it starts at once.
func (c *Command) execStopped(attr *syscall.ProcAttr, settings []setting) (pid int, err error) {
	runtime.LockOSThread() // the tracer is a thread, not a process
	defer runtime.UnlockOSThread()
	attr.Sys.Ptrace = true
	traced := true
	pid, err = c.exec(attr)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) { // forbidden by a seccomp filter
		attr.Sys.Ptrace, traced = false, false
		pid, err = c.exec(attr)
	}
	if err != nil {
		return 0, err
	}
	if traced {
		if err := waitStopped(pid); err != nil {
			return 0, abandon(pid, err)
		}
	}
	for _, set := range settings {
		if err := set(pid); err != nil {
			return 0, abandon(pid, err)
		}
	}
	if traced {
		if err := unix.PtraceDetach(pid); err != nil && !errors.Is(err, unix.ESRCH) {
			return 0, abandon(pid, fmt.Errorf("let the process go: %w", err))
		}
	}
	return pid, nil
}

// waitStopped waits until the child has stopped at execve, or has been killed
// before; it is not reaped.
func waitStopped(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// abandon kills and reaps a child that was never let go.
func abandon(pid int, err error) error {
	_ = unix.Kill(pid, unix.SIGKILL) // our own child, not reaped: nobody else has its number
	for {
		if _, w := unix.Wait4(pid, nil, 0, nil); !errors.Is(w, unix.EINTR) {
			return err
		}
	}
}
