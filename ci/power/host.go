package power

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The host may be busy: a guest whose CPUs wait for a CPU of the host is late by
// no fault of its own. The host's scheduler knows for how long each thread was
// ready to run and did not (/proc/PID/task/TID/schedstat, second number, in
// nanoseconds; Documentation/scheduler/sched-stats.rst), and so much later may
// come what the guest does.

// waits is how long each thread of a process has waited for a CPU.
type waits map[string]time.Duration

// waitsOf reads the waits of a guest below root ("/proc"). Where the kernel
// does not count them there are none.
func waitsOf(root string, pid int) waits {
	w := waits{}
	files, _ := filepath.Glob(filepath.Join(root, strconv.Itoa(pid), "task/*/schedstat")) // the pattern is right
	for _, file := range files {
		var ran, waited int64
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		if n, _ := fmt.Sscan(string(text), &ran, &waited); n == 2 {
			w[file] = time.Duration(waited)
		}
	}
	return w
}

// since is how long the thread waited that waited longest, from before to w.
func (w waits) since(before waits) time.Duration {
	var longest time.Duration
	for thread, now := range w {
		longest = max(longest, now-before[thread])
	}
	return longest
}

// processWith returns the process that has text in its arguments; 0: none.
func processWith(root, text string) int {
	files, _ := filepath.Glob(filepath.Join(root, "[0-9]*/cmdline"))
	for _, file := range files {
		arguments, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(arguments), text) {
			continue // it has ended, or is another
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			return pid
		}
	}
	return 0
}
