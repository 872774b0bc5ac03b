package witness

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds on what is collected.
const (
	taskTime    = 400 * time.Millisecond // for looking at all tasks
	maxRealtime = 8
	maxBlocked  = 6
	maxStack    = 4
)

// A source reads files below a root into one buffer, without Go's own file
// layer: no timers, no poller, little garbage.
type source struct {
	root string
	buf  [8192]byte
}

// read returns the beginning of a file, valid until the next read; nil: none.
func (s *source) read(name string) []byte {
	fd, err := unix.Open(filepath.Join(s.root, name), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, s.buf[:])
	if err != nil || n <= 0 {
		return nil
	}
	return s.buf[:n]
}

func (s *source) line(name string) string {
	b, _, _ := bytes.Cut(s.read(name), []byte("\n"))
	return string(b)
}

// quick collects what a handful of files tell.
func (s *source) quick(r *Record, daemon int) {
	r.Daemon = s.task(daemon, 0)
	if r.Daemon.State == "D" {
		s.where(&r.Daemon)
	}
	r.Load = s.line("proc/loadavg")
	r.Pressure = nil
	for _, of := range []string{"cpu", "memory", "io"} {
		if b := s.read("proc/pressure/" + of); b != nil {
			r.Pressure = append(r.Pressure, pressure(of, string(b)))
		}
	}
	r.Memory = memory(string(s.read("proc/meminfo")))
	if online := s.line("sys/devices/system/cpu/online"); online != "" {
		r.CPUs = countCPUs(online)
	}
}

// tasks looks at every task until time is up, for those that run at real-time
// priority and those that are blocked. Skip names processes that are ours.
func (s *source) tasks(r *Record, skip []int, enough func() bool) {
	proc, err := os.Open(filepath.Join(s.root, "proc"))
	if err != nil {
		return
	}
	defer proc.Close()
	for !r.Cut {
		names, err := proc.Readdirnames(256)
		for _, name := range names {
			if enough() {
				r.Cut = true
				break
			}
			if pid, err := strconv.Atoi(name); err == nil && !slices.Contains(skip, pid) {
				s.threads(r, pid)
			}
		}
		if err != nil || len(names) == 0 {
			break
		}
	}
	slices.SortStableFunc(r.Realtime, func(a, b Task) int { return b.Priority - a.Priority })
	r.Realtime = r.Realtime[:min(len(r.Realtime), maxRealtime)]
}

// threads looks at the threads of one process.
func (s *source) threads(r *Record, pid int) {
	t, n := s.stat("proc/"+strconv.Itoa(pid)+"/stat", pid)
	if n <= 1 {
		s.note(r, t)
		return
	}
	dir, err := os.Open(filepath.Join(s.root, "proc", strconv.Itoa(pid), "task"))
	if err != nil {
		return
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(256) // more threads than that tell nothing more
	for _, name := range names {
		tid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		t := s.task(pid, tid)
		s.note(r, t)
	}
}

func (s *source) note(r *Record, t Task) {
	r.Tasks++
	switch {
	case t.State == "R" && t.Policy != "" && len(r.Realtime) < 4*maxRealtime:
		r.Realtime = append(r.Realtime, t)
	case t.State == "D" && len(r.Blocked) < maxBlocked:
		s.where(&t)
		r.Blocked = append(r.Blocked, t)
	}
}

// task reads one thread; tid 0 is the process.
func (s *source) task(pid, tid int) Task {
	name := "proc/" + strconv.Itoa(pid) + "/stat"
	if tid != 0 {
		name = "proc/" + strconv.Itoa(pid) + "/task/" + strconv.Itoa(tid) + "/stat"
	}
	t, _ := s.stat(name, pid)
	if tid != pid {
		t.TID = tid
	}
	return t
}

// policies are the real-time ones of sched(7).
var policies = map[string]string{"1": "fifo", "2": "rr", "6": "deadline"}

// stat parses a stat file, proc(5), and returns the number of threads, too.
func (s *source) stat(name string, pid int) (Task, int) {
	t := Task{PID: pid, State: "absent"}
	text := string(s.read(name))
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return t, 0
	}
	t.Name = text[open+1 : end]
	f := strings.Fields(text[end+1:]) // f[0] is field 3, the state
	if len(f) < 39 {
		return t, 0
	}
	t.State, t.Policy = f[0], policies[f[38]]
	if t.Policy != "" {
		t.Priority = atoi(f[37])
	}
	t.CPU = int64(atoi(f[11]) + atoi(f[12]))
	return t, atoi(f[17])
}

// where adds what a task waits for in the kernel.
func (s *source) where(t *Task) {
	dir := "proc/" + strconv.Itoa(t.PID)
	if t.TID != 0 {
		dir += "/task/" + strconv.Itoa(t.TID)
	}
	if w := s.line(dir + "/wchan"); w != "0" {
		t.Wait = w
	}
	for l := range strings.Lines(string(s.read(dir + "/stack"))) {
		if len(t.Stack) == maxStack {
			break
		}
		_, fn, _ := strings.Cut(strings.TrimSpace(l), " ") // "[<0>] io_schedule+0x46/0x70"
		fn, _, _ = strings.Cut(fn, "+")
		t.Stack = append(t.Stack, fn)
	}
	if t.Wait == "" && len(t.Stack) > 0 {
		t.Wait = t.Stack[0]
	}
}

// pressure parses a file of /proc/pressure (Documentation/accounting/psi.rst).
func pressure(of, text string) Pressure {
	p := Pressure{Of: of}
	for l := range strings.Lines(text) {
		f := strings.Fields(l)
		if len(f) < 2 {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimPrefix(f[1], "avg10="), 64)
		if err != nil {
			continue
		}
		switch f[0] {
		case "some":
			p.Some = v
		case "full":
			p.Full = v
		}
	}
	return p
}

func memory(text string) Memory {
	var m Memory
	for l := range strings.Lines(text) {
		key, value, _ := strings.Cut(l, ":")
		n := int64(atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB")))
		switch key {
		case "MemTotal":
			m.Total = n
		case "MemAvailable":
			m.Available = n
		case "SwapTotal":
			m.SwapTotal = n
		case "SwapFree":
			m.SwapFree = n
		}
	}
	return m
}

// countCPUs counts a list such as "0-3,8".
func countCPUs(list string) int {
	n := 0
	for part := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		first, last, ranged := strings.Cut(part, "-")
		n++
		if ranged {
			n += max(atoi(last)-atoi(first), 0)
		}
	}
	return n
}

// atoi returns 0 for what is not a number: the kernel wrote it.
func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
