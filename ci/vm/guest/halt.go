package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ci/vm/wire"
)

// killWait is how long processes may take to go after SIGKILL. One in
// uninterruptible sleep does not; the shutdown goes on without it, as systemd's
// does.
const killWait = 5 * time.Second

// shutdown stops all processes, unmounts what was mounted and calls reboot(2). It
// may hang where a real one would: in a process that ignores SIGTERM when the host
// allowed it a long time, and in sync or umount of a frozen file system.
func shutdown(how int) error {
	config, err := readConfig(wire.ConfigPath)
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
	}
	fmt.Fprintln(os.Stderr, "guest: shutting down")
	signalAll(unix.SIGTERM)
	if !waitGone(config.StopWait) {
		fmt.Fprintln(os.Stderr, "guest: killing what did not stop")
		signalAll(unix.SIGKILL)
		waitGone(killWait)
	}
	fmt.Fprintln(os.Stderr, "guest: unmounting")
	unix.Sync()
	for _, m := range slices.Backward(config.Mounts) {
		if err := unix.Unmount(m.Target, 0); err != nil {
			fmt.Fprintf(os.Stderr, "guest: unmount %s: %v\n", m.Target, err)
			_ = unix.Mount("", m.Target, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
		}
	}
	return unix.Reboot(how)
}

// stoppable returns the processes that a shutdown stops: all but process 1, the
// kernel's own, and those whose name starts with '@', which is how systemd knows
// processes that have to live until the machine is down
// (systemd.io/ROOT_STORAGE_DAEMONS).
func stoppable() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == 1 {
			continue
		}
		name, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err != nil || len(name) == 0 || name[0] == '@' {
			continue
		}
		pids = append(pids, pid)
	}
	return pids
}

func signalAll(sig unix.Signal) {
	for _, pid := range stoppable() {
		if err := unix.Kill(pid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
			fmt.Fprintf(os.Stderr, "guest: signal %d: %v\n", pid, err)
		}
		_ = unix.Kill(pid, unix.SIGCONT)
	}
}

// waitGone reports whether all stoppable processes went within the time.
func waitGone(limit time.Duration) bool {
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		if len(stoppable()) == 0 {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}
