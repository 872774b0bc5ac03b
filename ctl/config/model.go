// Package config reads, checks and compares the configuration: one TOML file
// with scripts beside it. Reading is strict and reports every mistake at once
// with file and line; what is read is a [Model], which is never changed
// afterwards but replaced as a whole.
//
// Everything begins with a [Registry] of the types of monitors and resources:
//
//	reg := config.NewRegistry(monitorTypes, resourceTypes)
//	model, problems := config.Load("/etc/shisa", reg) // check: print problems, fail on problems.Err()
//	model.WriteTOML(os.Stdout)                        // show: what holds, defaults filled in
//	plan := config.Diff(running, model)               // diff: plan.WriteText, or encode plan as JSON
//	err := config.Install("/tmp/new", "/etc/shisa")   // apply: after Load of the candidate found no error
//	config.WriteDefault(os.Stdout, reg)               // default
//
// A daemon that finds problems at boot uses the model all the same when there
// is one, because then only a script or a secret is missing ([Parse]), and
// [Default] when there is none. [Reveal] puts secrets in place of references
// just before a monitor or resource is built.
//
// The keys of the file are declared in sections.go and nowhere else; the types
// declare theirs. The JSON schema for editors ([Schema]), the manual's
// reference ([Reference]) and the default configuration derive from that.
package config

import (
	"slices"
	"time"

	"shisa/ctl/keepalive"
	"shisa/ctl/monitor"
	"shisa/ctl/recovery"
	"shisa/ctl/resource"
)

// Limits on what one configuration may hold. The original stopped at 128
// groups, 256 resources a group and 384 monitors.
const (
	MaxGroups    = 1024
	MaxResources = 4096
	MaxMonitors  = 16384
)

// A Mode says whether decisions are carried out.
type Mode string

// Modes.
const (
	Observe Mode = "observe" // decide, record and announce; no recovery, no countdown that acts
	Protect Mode = "protect" // act
)

// A Model is a complete, valid configuration.
type Model struct {
	Version   int // of the format
	Mode      Mode
	Server    Server
	Keepalive Keepalive
	Stall     Stall
	Witness   Witness
	Shutdown  Shutdown
	Limiter   Limiter
	Reboot    Reboot
	API       API
	Store     Store
	Log       Log
	Groups    []Group    // in order of the file
	Resources []Resource // in order of the file; within a group this is the order of start
	Monitors  []Monitor  // in order of the file

	Source string // file it was read from, "default" for the embedded one
	Dir    string // of the scripts; relative paths start here

	reg       Registry       // that it was read with
	monitorAt map[string]int // in Monitors; nil in a model that was not read
}

// Monitor returns the monitor of that name, and false when there is none.
func (m *Model) Monitor(name string) (Monitor, bool) {
	i, ok := m.monitorAt[name]
	if m.monitorAt == nil {
		i = slices.IndexFunc(m.Monitors, func(c Monitor) bool { return c.Name == name })
		ok = i >= 0
	}
	if !ok {
		return Monitor{}, false
	}
	return m.Monitors[i], true
}

// Server names the machine and what may be done to it by itself.
type Server struct {
	Name             string          // empty: the host name
	Autostart        string          // "always", "clean" (only after a clean stop) or "never"
	RecoverySuppress bool            // decide and announce, but recover nothing
	StartSuppress    bool            // no final action when a resource does not start
	StopSuppress     bool            // no final action when a resource does not stop
	OnTimeout        recovery.Action // when a start or stop is not done in time; NoAction: as when it fails
	Maintenance      []string        // windows in which nothing is recovered or announced; see package window
	RescueTargets    []string
}

// Keepalive selects the countdowns that guard the machine.
type Keepalive struct {
	Method         string // "auto", "clpka", "softdog", "wdt", "ipmi", "ipmiutil", "none"
	Device         string // empty: found by probing
	Action         keepalive.Action
	Backstop       string // "auto", "none", "wdt", "ipmi", "ipmiutil"
	BackstopDevice string
	BackstopAction keepalive.Action
	Margin         time.Duration // of the backstop's timeout beyond the primary's
	Pretimeout     keepalive.Pretimeout
	Before         time.Duration // of the pretimeout before the timeout
	LoadModule     bool          // load softdog or our own module when it is a loadable module and needed
}

// Stall says what counts as progress of user space.
type Stall struct {
	Enabled      bool
	Interval     time.Duration
	Timeout      time.Duration
	WarnPercent  int           // of the timeout, from which a delay is announced; 0 announces each, 100 none
	Absence      time.Duration // that the daemon may be away for a restart or an upgrade; 0: the timeout
	OpenFile     bool
	WriteFile    bool
	WriteSize    int64
	File         string
	CreateThread bool
}

// Witness says what the witnesses in the kernel look for.
type Witness struct {
	Enabled  bool
	Off      []string      // witnesses that do not work: "exits", "stall", "blockio", "beats", "blame"
	Without  []string      // patterns of programs that are not tried
	Interval time.Duration // from one look at tasks and disks to the next
	Blocked  time.Duration // in the kernel, after which a task is stalled; 0: derived from the stall timeout
	Starved  time.Duration // without a CPU; 0: derived from the stall timeout
	Hog      time.Duration // with a CPU for itself; 0: derived from the stall timeout
	Disk     time.Duration // with a disk, after which a request is late; 0: as Blocked
}

// Shutdown guards the way down of the operating system.
type Shutdown struct {
	Watch            string // "always", "on_failure" (stopping a group failed) or "never"
	Timeout          time.Duration
	Action           keepalive.Action
	ReleaseOnSIGTERM bool // stop guarding when the operating system terminates every process
}

// Limiter bounds machine-level actions, counted across boots.
type Limiter struct {
	Enabled bool
	Max     int           // actions without calm between
	Calm    time.Duration // without such an action, after which the count starts anew; 0: never
}

// Reboot says when recovery may take the machine down. What may not happen now
// is not forgotten: it waits, and its condition is checked again.
type Reboot struct {
	Windows      []string      // outside of which it waits; empty: at any time
	Blocker      string        // program that forbids it by any exit state but 0; empty: none
	BlockerFiles []string      // that forbid it while they exist
	AskTimeout   time.Duration // longest time that the blocker may take
	BlockLimit   time.Duration // longest time that blockers are heeded, from the first time on
}

// API is where commands and the web manager reach the daemon.
type API struct {
	Socket string
	Group  string // whose members may read; empty: root only
}

// Store is where state is kept.
type Store struct {
	Dir         string
	HistorySize int64 // bytes of history kept
	JournalSize int64 // bytes of safety journal kept
}

// Log is how much is logged, and where.
type Log struct {
	Level  string // "debug", "info", "warning", "error"
	Format string // "text" or "json"
}

// A Group is an ordered set of resources that are started and stopped together.
type Group struct {
	Name       string
	Comment    string
	Auto       bool          // started with the service
	StartAfter []string      // groups that must be started first
	StartWait  time.Duration // for those groups
	StartGoOn  bool          // start all the same when the wait times out
	StopAfter  []string      // groups that must be stopped first
	StopWait   time.Duration
	StopGoOn   bool
	StopWhen   []string // causes of a stop that honour StopAfter: "service", "shutdown", "group"
	Line       int      // in the source
}

// A Resource is one configured resource.
type Resource struct {
	Name           string
	Type           string
	Group          string
	Comment        string
	DependsOn      []string // resources of the same group; nil: all that stand before it
	Timing         resource.Timing
	StartRetry     int
	StopRetry      int
	OnStartFailure recovery.Action // a final action; NoAction stops going on
	StartGoOn      bool            // with NoAction: start the following resources all the same
	OnStopFailure  recovery.Action
	BeforeFinal    string // script run before either of these; empty: none
	ScriptTimeout  time.Duration
	Params         map[string]any // of the type, without those that are defaults; see Reveal
	Line           int
}

// Needs lists what the resource at a place of Resources depends on itself: what
// it names, or else all before it in its group.
func (m *Model) Needs(at int) []string {
	r := m.Resources[at]
	if r.DependsOn != nil {
		return r.DependsOn
	}
	var names []string
	for _, b := range m.Resources[:at] {
		if b.Group == r.Group {
			names = append(names, b.Name)
		}
	}
	return names
}

// A Monitor is one configured monitor.
type Monitor struct {
	Name     string
	Type     string
	Comment  string
	When     monitor.When
	Target   string   // resource; empty: none
	Parents  []string // monitors of what the target needs: while one fails, this one waits
	Timing   monitor.Timing
	Recovery Recovery

	Maintenance []string // windows, as Server.Maintenance, for this monitor

	Params map[string]any // of the type, without those that are defaults; see Reveal
	Line   int
}

// Recovery is what follows when a monitor fails.
type Recovery struct {
	Target        Ref
	Policy        recovery.Policy
	Script        string // run for the recovery action Script
	Command       string // run for the final action Command
	BeforeRestart string // script run before a restart; empty: none
	BeforeFinal   string // script run before the final action; empty: none
	ScriptTimeout time.Duration
	Backoff       time.Duration // least distance between two restarts, doubled each time
	BackoffMax    time.Duration
	BackoffJitter int           // percent by which the distance grows at random
	Grace         time.Duration // after a start of the target, in which failures do not count
	Suppress      bool          // decide and announce, but recover nothing
}

// A Ref names the target of recovery.
type Ref struct {
	Kind string // "resource", "group", "groups" (all of them), "server"
	Name string // of the resource or group
}

// String returns "resource/web", "group/db", "groups" or "server".
func (r Ref) String() string {
	if r.Name == "" {
		return r.Kind
	}
	return r.Kind + "/" + r.Name
}
