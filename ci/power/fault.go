package power

import (
	"fmt"
	"strings"
	"time"
)

// The times of all cases. They are as short as the configuration allows plus what
// emulation on a busy machine needs.
const (
	stallInterval = 500 * time.Millisecond
	stallTimeout  = 5 * time.Second
	feedTimeout   = 4 * time.Second
	feedInterval  = time.Second
	feedPings     = 3
	// shutdownTimeout is how long a shutdown may take.
	shutdownTimeout = 8 * time.Second
	// settle is how long after its mark a fault strikes (command fault has the same).
	settle = 300 * time.Millisecond
)

// A Window is when the reset has to be seen, relative to the instant at which the
// countdown is due. It may come later by what the host kept the guest waiting.
type Window struct {
	Early, Late time.Duration
}

// daemonWindow: the last beat before the strike is up to one interval old, and more
// when emulation made it late.
var daemonWindow = Window{Early: 3 * stallInterval, Late: 2 * time.Second}

// keeperWindow: a keeper that is starved itself cannot hold the reset back until the
// last beat is too old. The engine counts from the last ping, with a timeout that is
// an interval shorter and rounded down to whole seconds.
var keeperWindow = Window{Early: 2*time.Second + stallInterval, Late: 2 * time.Second}

// feedWindow: the host hears of a ping a little after it was made.
var feedWindow = Window{Early: 500 * time.Millisecond, Late: 2 * time.Second}

// shutdownWindow: the way down is guarded once the daemon has taken the command.
var shutdownWindow = Window{Early: 500 * time.Millisecond, Late: 4 * time.Second}

// guardedShutdown has every shutdown guarded.
var guardedShutdown = fmt.Sprintf("[shutdown]\nwatch = \"always\"\ntimeout = %q\n", shutdownTimeout)

// A Fault is one way to break a guest, and what has to come of it.
type Fault struct {
	Name   string
	Issue  string // which case of the promise it is, for the report
	Quick  bool   // part of the quick set
	Feeder bool   // without the daemon: the engine's own proof

	Timeout   time.Duration // of the daemon's [stall]; 0: stallTimeout
	Stall     string        // added to the daemon's [stall]
	Config    string        // added at the end of the daemon's configuration
	Supervise bool          // the daemon is started again when it dies
	Before    [][]string    // commands that run on in the guest before the strike
	Strike    []string      // arguments of command fault
	Reset     bool          // exactly one reset, else none
	Due       time.Duration // from the strike (feeder: from the last ping) to the reset
	Window    Window
	Observe   time.Duration // without Reset: how long nothing must happen
	Causes    []string      // that `shisa why` may name; a guest that panicked: "kernel-panic" only

	// Except names combinations that cannot work, with the reason.
	Except func(kernel, engine string) string
}

// starvedTimer excepts what softdog cannot do: on PREEMPT_RT its timer runs in a thread
// at real-time priority 1 (kernel/time/hrtimer.c, hrtimer_init), which a hog starves.
func starvedTimer(kernel, engine string) string {
	if engine == "softdog" && strings.HasSuffix(kernel, "-rt") {
		return "on PREEMPT_RT softdog's timer runs in a thread that the hog starves"
	}
	return ""
}

// Faults is the table of faults.
var Faults = []Fault{
	{
		Name: "unfed", Issue: "the engine fires by itself", Feeder: true,
		Strike: feedArgs(feedPings, false), Reset: true, Due: feedTimeout, Window: feedWindow,
	},
	{
		Name: "fed", Issue: "the engine does not fire when pinged", Feeder: true,
		Strike: feedArgs(3*feedPings, true), Observe: 3*feedPings*feedInterval + 2*feedTimeout,
	},
	{
		Name: "sigstop", Issue: "a: SIGSTOP of the daemon", Quick: true,
		Strike: []string{"signal", "STOP", "shisad"},
		Reset:  true, Due: stallTimeout, Window: daemonWindow, Causes: []string{"user-stall"},
	},
	{
		Name: "hog", Issue: "b: a real-time CPU hog on every CPU",
		Strike: []string{"hog"},
		Reset:  true, Due: stallTimeout, Window: daemonWindow, Causes: []string{"user-stall"},
		Except: starvedTimer,
	},
	{
		Name: "hog99", Issue: "b: a hog above the keeper's own priority",
		Strike: []string{"hog", "--priority", "99"},
		// Nobody could write anything down: to who looks later the kernel hung as well.
		Reset: true, Due: stallTimeout, Window: keeperWindow, Causes: []string{"user-stall", "kernel-hang"},
		Except: starvedTimer,
	},
	{
		Name: "freeze", Issue: "c: a frozen file system with the write check on",
		Stall:  "open_file = true\nwrite_file = true\n",
		Strike: []string{"freeze", stateDir},
		Reset:  true, Due: stallTimeout, Window: daemonWindow, Causes: []string{"user-stall"},
	},
	{
		Name: "memory", Issue: "d: memory exhaustion",
		Strike: []string{"memory"},
		// How long it takes until memory is gone is the kernel's affair.
		Reset: true, Due: stallTimeout, Window: Window{Early: stallTimeout, Late: 60 * time.Second},
		Causes: []string{"user-stall", "kernel-panic"},
	},
	{
		Name: "kill", Issue: "e: kill -9 of the daemon, nobody restarts it",
		Strike: []string{"signal", "KILL", "shisad"},
		Reset:  true, Due: stallTimeout, Window: daemonWindow, Causes: []string{"user-stall"},
	},
	{
		Name: "kill-restarted", Issue: "e: kill -9 of the daemon, restarted in time", Supervise: true,
		Strike: []string{"signal", "KILL", "shisad"}, Observe: 3 * stallTimeout,
	},
	{
		Name: "shutdown-service", Issue: "f: a shutdown that hangs in a service",
		Config: guardedShutdown + `
[[group]]
name = "hangs"
[[resource]]
name = "hangs"
type = "exec"
group = "hangs"
start = "/bin/true"
stop = "/bin/hang"
stop_timeout = "1h"
`,
		Strike: []string{"exec", "shisa", "shutdown", "--reboot"},
		Reset:  true, Due: shutdownTimeout, Window: shutdownWindow, Causes: []string{"shutdown-stall"},
	},
	{
		Name: "shutdown-ignored", Issue: "f: a shutdown that hangs in a process that ignores SIGTERM",
		Config: guardedShutdown, Before: [][]string{{"fault", "ignore-term"}},
		Strike: []string{"exec", "shisa", "shutdown", "--reboot"},
		Reset:  true, Due: shutdownTimeout, Window: shutdownWindow, Causes: []string{"shutdown-stall"},
	},
	{
		Name: "shutdown-stuck", Issue: "f: a shutdown that hangs in a process in D state",
		Config: guardedShutdown, Before: [][]string{{"fault", "stuck", spareDir}},
		Strike: []string{"exec", "shisa", "shutdown", "--reboot"},
		Reset:  true, Due: shutdownTimeout, Window: shutdownWindow, Causes: []string{"shutdown-stall"},
	},
	{
		Name: "clock-hours", Issue: "clock jumps: hours ahead and back",
		Strike: []string{"clock", "5h", "-10h"}, Observe: 4 * stallTimeout,
	},
	{
		Name: "clock-years", Issue: "clock jumps: years ahead and back",
		Strike: []string{"clock", "87600h", "-175200h"}, Observe: 4 * stallTimeout,
	},
	{
		Name: "load", Issue: "load within limits", Config: watchedServices,
		Strike: loadArgs(shortLoad), Observe: shortLoad + loadRest,
	},
	{
		// On one engine a kernel: the load is the guest's, and ten minutes are long. A
		// third of the default timeout is what a machine within its limits has to keep,
		// on a host that gives it a third of a processor, too: a countdown that runs
		// cannot be told of the time that a hypervisor takes away from then on.
		Name: longLoad, Issue: "minutes of load within limits", Config: watchedServices, Timeout: 30 * time.Second,
		Strike: loadArgs(DefaultLoad), Observe: DefaultLoad + loadRest,
	},
}

const (
	longLoad  = "load-long"
	shortLoad = 30 * time.Second
	loadRest  = 10 * time.Second // after the load
)

// lasting is the fault with another duration of the long load.
func (f Fault) lasting(d time.Duration) Fault {
	if f.Name == longLoad {
		f.Strike, f.Observe = loadArgs(d), d+loadRest
	}
	return f
}

func loadArgs(d time.Duration) []string {
	return []string{"load", "--for", d.String(), "--dir", stateDir}
}

// watchedServices has a service run and be probed in two ways while the machine is
// under load: whatever is called a failure is a false one.
const watchedServices = `
[[group]]
name = "service"
[[resource]]
name = "sleeper"
type = "exec"
group = "service"
start = "/bin/hang"
start_sync = false
[[monitor]]
name = "alive"
type = "pid"
target = "sleeper"
interval = "1s"
[[monitor]]
name = "script"
type = "custom"
script = "/bin/true"
target = "sleeper"
interval = "2s"
timeout = "30s"
`

func feedArgs(pings int, disarm bool) []string {
	return []string{
		"feed", "--timeout", feedTimeout.String(), "--interval", feedInterval.String(),
		fmt.Sprintf("--pings=%d", pings), fmt.Sprintf("--disarm=%t", disarm),
	}
}
