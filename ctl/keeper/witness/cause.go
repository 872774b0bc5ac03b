package witness

import (
	"fmt"
	"strings"

	"shisa/ctl/beat"
)

const (
	memoryLow   = 2  // percent of memory available, from which on it counts as exhausted
	memoryStall = 30 // percent of time that all tasks wait for memory
	cpuStall    = 60 // percent of time that some task waits for a processor
)

// judge names the cause that r's evidence speaks for, the most specific first.
func (r *Record) judge() {
	d := r.Daemon
	switch {
	case r.Phase == phases[Recovered]:
		r.Cause, r.Text = "", fmt.Sprintf("beat %s has come back after %d ms", r.Beat, r.Age)
	case d.State == "T" || d.State == "t":
		r.Cause, r.Text = DaemonStopped, fmt.Sprintf("shisad (process %d) is stopped by a signal or a debugger", d.PID)
	case d.State == "absent" || d.State == "Z" || d.State == "X":
		r.Cause, r.Text = DaemonAbsent, "shisad has ended and was not started again"
	case r.hogged():
		r.Cause, r.Text = RealtimeHog, fmt.Sprintf("%d real-time tasks keep %d processors from everybody else: %s", len(r.Realtime), r.CPUs, names(r.Realtime))
	case r.starvedOfMemory():
		r.Cause, r.Text = OutOfMemory, fmt.Sprintf("memory is exhausted: %d of %d MiB available, swap %d of %d MiB free",
			r.Memory.Available>>10, r.Memory.Total>>10, r.Memory.SwapFree>>10, r.Memory.SwapTotal>>10)
	case r.Beat == beat.FileCheck:
		r.Cause, r.Text = FileSystem, "the file system of the state directory does not answer"+blockedIn(r.Blocked)
	case r.Beat == beat.ThreadCheck:
		r.Cause, r.Text = NoThreads, "no thread can be made"
	case d.State == "D":
		r.Cause, r.Text = DaemonBlocked, fmt.Sprintf("shisad (process %d) is blocked in the kernel, in %s", d.PID, or(d.Wait, "an unknown place"))
	case r.Phase == phases[Starved]:
		r.Cause, r.Text = RealtimeHog, "shisa-keeper, which runs at real-time priority, gets no processor"
	case r.pressure("cpu").Some >= cpuStall:
		r.Cause, r.Text = Overload, fmt.Sprintf("processors are overloaded: some task waited in %.0f %% of the last ten seconds, load %s", r.pressure("cpu").Some, r.Load)
	case d.PID != 0:
		r.Cause, r.Text = DaemonHung, fmt.Sprintf("shisad (process %d) lives, and its loop %s does not go on", d.PID, r.Beat)
	default:
		r.Cause, r.Text = Unknown, "no cause found"
	}
}

// hogged reports whether real-time tasks occupy every processor.
func (r *Record) hogged() bool { return r.CPUs > 0 && len(r.Realtime) >= r.CPUs }

func (r *Record) starvedOfMemory() bool {
	m := r.Memory
	low := m.Total > 0 && m.Available*100 < m.Total*memoryLow && m.SwapFree*100 <= m.SwapTotal*memoryLow
	return low || r.pressure("memory").Full >= memoryStall
}

func (r *Record) pressure(of string) Pressure {
	for _, p := range r.Pressure {
		if p.Of == of {
			return p
		}
	}
	return Pressure{}
}

func names(tasks []Task) string {
	var s []string
	for _, t := range tasks {
		s = append(s, fmt.Sprintf("%s (%d, %s %d)", t.Name, t.PID, t.Policy, t.Priority))
	}
	return strings.Join(s, ", ")
}

func blockedIn(tasks []Task) string {
	if len(tasks) == 0 {
		return ""
	}
	return fmt.Sprintf("; %s (%d) waits in %s", tasks[0].Name, tasks[0].PID, or(tasks[0].Wait, "the kernel"))
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
