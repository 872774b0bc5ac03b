package stall

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// readProc makes samples from /proc/PID/task/TID: of each task its state, and
// the rest only of those that do not sleep.
func readProc(samples []Sample) ([]Sample, error) {
	err := numbered("/proc", func(pid int) {
		dir := "/proc/" + strconv.Itoa(pid) + "/task"
		// A process that ends meanwhile is no error.
		_ = numbered(dir, func(tid int) {
			if s, ok := readTask(dir + "/" + strconv.Itoa(tid)); ok {
				s.PID, s.TID = pid, tid
				samples = append(samples, s)
			}
		})
	})
	if err != nil {
		return samples, fmt.Errorf("walk /proc: %w", err)
	}
	return samples, nil
}

// numbered calls visit for each entry whose name is a number.
func numbered(path string, visit func(n int)) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			visit(n)
		}
	}
	return err
}

func readTask(dir string) (s Sample, ok bool) {
	line, err := readSmall(dir + "/stat")
	if err != nil || !parseStat(line, &s) {
		return s, false
	}
	if text, err := readSmall(dir + "/schedstat"); err == nil {
		parseSchedstat(text, &s)
	}
	s.At = monotonic() // next to the runtime, which is compared with it
	if text, err := readSmall(dir + "/status"); err == nil {
		s.Switches = switches(text)
	}
	if s.Blocked {
		if text, err := readSmall(dir + "/stack"); err == nil {
			s.StackText = stackText(string(text))
		}
	}
	return s, true
}

// readSmall reads a file of /proc without the poller. None of ours is larger
// than the buffer; what is beyond it is not looked at.
func readSmall(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	buffer := make([]byte, 4096)
	n, err := unix.Read(fd, buffer)
	return buffer[:max(n, 0)], err
}

// parseStat reads what we need from /proc/PID/stat, and reports whether the
// task is blocked or runnable. The name may hold any byte; the last ')' ends it.
func parseStat(line []byte, s *Sample) bool {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return false
	}
	const first = 3 // number of the first field after the name
	fields := strings.Fields(string(line[end+1:]))
	const start, priority, policy = 22, 18, 41
	if len(fields) <= policy-first {
		return false
	}
	switch fields[0] {
	case "D":
		s.Blocked = true
	case "R":
	default:
		return false
	}
	s.Comm = string(line[open+1 : end])
	s.Start, _ = strconv.ParseUint(fields[start-first], 10, 64)
	s.Policy, _ = strconv.Atoi(fields[policy-first])
	if p, err := strconv.Atoi(fields[priority-first]); err == nil {
		s.Priority = p + 100 // /proc subtracts MAX_RT_PRIO
	}
	return true
}

// parseSchedstat reads CPU time and delay, in nanoseconds.
func parseSchedstat(text []byte, s *Sample) {
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return
	}
	runtime, _ := strconv.ParseInt(fields[0], 10, 64)
	delay, _ := strconv.ParseInt(fields[1], 10, 64)
	s.Runtime, s.Delay = time.Duration(runtime), time.Duration(delay)
}

// switches sums the two counts at the end of /proc/PID/status.
func switches(status []byte) (total uint64) {
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		if strings.HasSuffix(name, "voluntary_ctxt_switches") {
			n, _ := strconv.ParseUint(strings.TrimSpace(value), 10, 64)
			total += n
		}
	}
	return total
}

// Stack returns where in the kernel a task waits now, in words: "io_schedule+0x46/0x80",
// innermost first; nothing if it has gone, or to who is not root. The kernel names
// its functions itself here, which is much cheaper than [Symbols] the first time.
func Stack(pid, tid int) []string {
	text, err := readSmall(fmt.Sprintf("/proc/%d/task/%d/stack", pid, tid))
	if err != nil {
		return nil
	}
	return stackText(string(text))
}

// stackText takes the names from lines such as "[<0>] io_schedule+0x46/0x80".
func stackText(text string) (names []string) {
	for line := range strings.Lines(text) {
		if _, name, ok := strings.Cut(strings.TrimSpace(line), "] "); ok {
			names = append(names, name)
		}
	}
	return names
}

func monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
