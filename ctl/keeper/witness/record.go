package witness

import "time"

// A Record is what the witness saw at one moment. Records of one episode follow
// each other: a first one in the instant, a complete one when the tasks were
// looked at, and Recovered if the beat came after all.
type Record struct {
	Number   uint64    `json:"-"`
	Boot     string    `json:"boot"` // id of the kernel's run that it was written in
	Time     time.Time `json:"time"` // wall clock
	Uptime   int64     `json:"uptime_ms"`
	Phase    string    `json:"phase"`    // "warning", "final", "recovered", "keeper_starved"
	Complete bool      `json:"complete"` // tasks were looked at
	Cause    string    `json:"cause"`    // a Cause
	Text     string    `json:"text"`     // the cause in a sentence
	Beat     string    `json:"beat"`     // that is stale
	Age      int64     `json:"age_ms"`
	Limit    int64     `json:"limit_ms"`
	Beats    []Beat    `json:"beats"`

	Daemon   Task       `json:"daemon"`
	CPUs     int        `json:"cpus"`
	Load     string     `json:"load"` // of /proc/loadavg
	Pressure []Pressure `json:"pressure"`
	Memory   Memory     `json:"memory"`
	Realtime []Task     `json:"realtime"` // runnable real-time tasks, highest priority first
	Blocked  []Task     `json:"blocked"`  // tasks in uninterruptible sleep
	Tasks    int        `json:"tasks"`    // that were looked at
	Cut      bool       `json:"cut"`      // time was up before all tasks were looked at
}

// A Beat is one slot of the page.
type Beat struct {
	Name  string `json:"name"`
	Age   int64  `json:"age_ms"`
	Limit int64  `json:"limit_ms"`
	Count int64  `json:"count"`
}

// A Task is one thread.
type Task struct {
	PID      int      `json:"pid"`
	TID      int      `json:"tid,omitempty"`
	Name     string   `json:"name"`
	State    string   `json:"state"` // a letter of proc(5); "absent"
	Policy   string   `json:"policy,omitempty"`
	Priority int      `json:"priority,omitempty"`
	CPU      int64    `json:"cpu_ticks,omitempty"` // used in its life, of 10 ms
	Wait     string   `json:"wait,omitempty"`      // kernel function that it sleeps in
	Stack    []string `json:"stack,omitempty"`
}

// Pressure is a line of /proc/pressure: percent of the last ten seconds in which
// some or all tasks waited.
type Pressure struct {
	Of   string  `json:"of"` // "cpu", "memory", "io"
	Some float64 `json:"some"`
	Full float64 `json:"full"`
}

// Memory is what is left, in KiB.
type Memory struct {
	Total     int64 `json:"total_kib"`
	Available int64 `json:"available_kib"`
	SwapTotal int64 `json:"swap_total_kib"`
	SwapFree  int64 `json:"swap_free_kib"`
}

// Causes of a stall, as far as a witness can tell.
const (
	DaemonStopped = "daemon_stopped" // by SIGSTOP, or by a debugger
	DaemonAbsent  = "daemon_absent"  // it has ended and nobody started it again
	DaemonBlocked = "daemon_blocked" // in uninterruptible sleep
	DaemonHung    = "daemon_hung"    // alive, and one of its loops does not go on
	RealtimeHog   = "realtime_hog"   // real-time tasks leave no processor to others
	OutOfMemory   = "out_of_memory"
	FileSystem    = "file_system" // the file check hangs
	NoThreads     = "no_threads"  // the thread check hangs
	Overload      = "overload"    // ordinary tasks leave too little processor time
	Unknown       = "unknown"
)
