package api

import (
	"time"

	"shisa/ctl/why"
)

// A Level is the health of something in one word, from best to worst.
type Level string

// Levels.
const (
	LevelOK       Level = "ok"
	LevelInfo     Level = "info"     // of a Check only: neither good nor bad
	LevelWarning  Level = "warning"  // look at it during working hours
	LevelError    Level = "error"    // something does not work
	LevelCritical Level = "critical" // the machine is unprotected, or about to be acted upon
)

// Status is a snapshot of everything that the daemon knows. Lists are never
// null; in the order of the configuration.
type Status struct {
	Version  string    `json:"version"`
	Server   string    `json:"server"`    // name of this machine
	Mode     string    `json:"mode"`      // "observe" or "protect"
	Level    Level     `json:"level"`     // worst of Problems; ok without any
	At       time.Time `json:"at"`        // of the snapshot
	Since    time.Time `json:"since"`     // start of the daemon
	UptimeMS Millis    `json:"uptime_ms"` // of the daemon
	Boot     Boot      `json:"boot"`
	Config   Config    `json:"config"`

	Protection  Protection  `json:"protection"`
	Stall       Stall       `json:"stall"`
	Shutdown    Shutdown    `json:"shutdown"`
	Limiter     Limiter     `json:"limiter"`
	Stretch     Stretch     `json:"stretch"`
	Suppression Suppression `json:"suppression"`
	Store       Store       `json:"store"`

	Groups   []Group     `json:"groups"`
	Monitors []Monitor   `json:"monitors"`
	LastBoot why.Verdict `json:"last_boot"` // why the machine went down last
	Problems []Problem   `json:"problems"`  // worst first
}

// Boot identifies the running kernel.
type Boot struct {
	ID       string    `json:"id"`
	Time     time.Time `json:"time"`
	UptimeMS Millis    `json:"uptime_ms"` // of the machine, suspended time included
	Kernel   string    `json:"kernel"`    // release
}

// Config says which configuration runs.
type Config struct {
	Source  string    `json:"source"` // file, or "default"
	Applied time.Time `json:"applied"`
	Hash    string    `json:"hash"` // of its text, to see whether the file was changed since
}

// A Problem is something that the operator should know at once.
type Problem struct {
	Level   Level  `json:"level"`
	Subject string `json:"subject"` // "monitor/web"; empty: the server
	Text    string `json:"text"`    // one sentence
	Mend    string `json:"mend,omitempty"`
}

// Protection says what resets the machine when it stalls.
type Protection struct {
	State    ProtectionState `json:"state"`
	Summary  string          `json:"summary"` // one sentence
	Primary  *Engine         `json:"primary"` // null: none
	Backstop *Engine         `json:"backstop"`
	Keeper   Keeper          `json:"keeper"`
	Passed   []Passed        `json:"passed_over"` // engines that were not chosen
}

// A ProtectionState says in one word whether a stall would be ended.
type ProtectionState string

// Protection states.
const (
	Protected   ProtectionState = "protected"   // what was asked for is armed
	Lesser      ProtectionState = "lesser"      // armed, with less than was asked for
	Observing   ProtectionState = "observing"   // mode observe: measured, not armed
	Unprotected ProtectionState = "unprotected" // nothing is armed though it should be
	Disarmed    ProtectionState = "disarmed"    // deliberately: stall.enabled = false, keepalive.method = "none", a rescue target, a container
)

// An Engine is one countdown.
type Engine struct {
	Role        string `json:"role"`     // "primary" or "backstop"
	Driver      string `json:"driver"`   // "wdt", "ipmi", "clpka", …
	Device      string `json:"device"`   // "/dev/watchdog0"; empty: none
	Identity    string `json:"identity"` // what the device calls itself
	Hardware    bool   `json:"hardware"` // goes on counting when the kernel is dead
	Armed       bool   `json:"armed"`
	TimeoutMS   Millis `json:"timeout_ms"`       // granted, read back
	AskedMS     Millis `json:"asked_ms"`         // asked for
	Action      string `json:"action"`           // granted
	Pretimeout  string `json:"pretimeout"`       // "none", "nmi", …
	BeforeMS    Millis `json:"before_ms"`        // of the pretimeout before the timeout
	LastPingMS  Millis `json:"last_ping_age_ms"` // 0: not pinged yet
	Pings       uint64 `json:"pings"`
	NoWayOut    bool   `json:"no_way_out"` // cannot be stopped once armed
	Outlives    string `json:"outlives"`   // what stalls it survives
	Why         string `json:"why"`        // why it was chosen
	Error       string `json:"error,omitempty"`
	LastFiredBy string `json:"last_fired,omitempty"` // what the device says about the last boot
}

// Passed is an engine that was looked at and not chosen.
type Passed struct {
	Engine string `json:"engine"`
	Reason string `json:"reason"`
}

// Keeper is the process that holds the countdowns.
type Keeper struct {
	State   string `json:"state"` // "running", "absent", "not answering"
	PID     int    `json:"pid"`   // 0: none
	Version string `json:"version"`
	Holding string `json:"holding,omitempty"` // why it does not ping; empty: it does
}

// Stall says how fresh the proofs of progress are.
type Stall struct {
	Enabled     bool   `json:"enabled"`
	IntervalMS  Millis `json:"interval_ms"`
	TimeoutMS   Millis `json:"timeout_ms"`
	WarnPercent int    `json:"warn_percent"` // of the timeout
	Beats       []Beat `json:"beats"`
}

// A Beat is the proof of progress of one loop.
type Beat struct {
	Name       string    `json:"name"`
	AgeMS      Millis    `json:"age_ms"`
	LimitMS    Millis    `json:"limit_ms"`     // older than this and the countdown is not pinged
	MaxDelayMS Millis    `json:"max_delay_ms"` // largest age ever seen in this boot
	MaxDelayAt time.Time `json:"max_delay_at,omitzero"`
	Fresh      bool      `json:"fresh"`
}

// Shutdown says how the way down is guarded.
type Shutdown struct {
	Watch     string `json:"watch"` // "always", "on_failure", "never"
	TimeoutMS Millis `json:"timeout_ms"`
	Action    string `json:"action"`
	Armed     bool   `json:"armed"`
	Phase     string `json:"phase,omitempty"` // of a shutdown under way
}

// Limiter bounds machine-level actions.
type Limiter struct {
	Enabled   bool   `json:"enabled"`
	Count     int    `json:"count"` // actions since the last calm
	Max       int    `json:"max"`
	CalmMS    Millis `json:"calm_ms"` // running time that resets the count; 0: only the operator does
	Exhausted bool   `json:"exhausted"`
}

// Suppression says why decisions are not carried out; all false: they are.
type Suppression struct {
	Observe   bool     `json:"observe"`   // mode = "observe"
	Config    bool     `json:"config"`    // suppress_recovery
	Rescue    bool     `json:"rescue"`    // rescue or emergency target
	Limiter   bool     `json:"limiter"`   // limit reached
	Store     bool     `json:"store"`     // reasons cannot be recorded
	Suspended bool     `json:"suspended"` // everything is suspended
	Reasons   []string `json:"reasons"`   // sentences; empty: nothing is suppressed
}

// Active reports whether machine-level actions are withheld.
func (s Suppression) Active() bool {
	return s.Observe || s.Config || s.Rescue || s.Limiter || s.Store || s.Suspended
}

// Store says whether state can be kept.
type Store struct {
	Dir          string `json:"dir"`
	JournalError string `json:"journal_error,omitempty"` // safety state is kept in memory only
	HistoryError string `json:"history_error,omitempty"` // history is not kept
	JournalBytes int64  `json:"journal_bytes"`
	HistoryBytes int64  `json:"history_bytes"`
	Events       uint64 `json:"last_seq"`       // sequence number of the last event
	Dropped      uint64 `json:"events_dropped"` // not written to the history
}

// A State is where a group or resource is.
type State string

// States of groups and resources.
const (
	Stopped     State = "stopped"
	Starting    State = "starting"
	Started     State = "started"
	Stopping    State = "stopping"
	StartFailed State = "start-failed"
	StopFailed  State = "stop-failed"
)

// A Group is an ordered set of resources.
type Group struct {
	Name      string     `json:"name"`
	Comment   string     `json:"comment,omitempty"`
	State     State      `json:"state"`
	Since     time.Time  `json:"since"`
	Auto      bool       `json:"auto_start"`
	Detail    string     `json:"detail,omitempty"` // of a failure
	Resources []Resource `json:"resources"`
}

// A Resource is something that is started and stopped.
type Resource struct {
	Name    string    `json:"name"`
	Type    string    `json:"type"`
	Comment string    `json:"comment,omitempty"`
	Group   string    `json:"group"`
	State   State     `json:"state"`
	Since   time.Time `json:"since"`
	PID     int       `json:"pid"`              // main process; 0: none
	Detail  string    `json:"detail,omitempty"` // of a failure
}

// A MonitorState says whether a monitor probes.
type MonitorState string

// States of monitors.
const (
	MonitorWaiting   MonitorState = "waiting"   // for its first probe
	MonitorProbing   MonitorState = "probing"   //
	MonitorInactive  MonitorState = "inactive"  // its target is not active
	MonitorSuspended MonitorState = "suspended" //
	MonitorBroken    MonitorState = "broken"    // could not be built
)

// A Verdict is the outcome of a probe, or of the last one of a monitor.
type Verdict string

// Verdicts.
const (
	NotYet       Verdict = "not-yet" // no probe has come back
	OK           Verdict = "ok"
	Warning      Verdict = "warning"
	Failed       Verdict = "failed"
	CouldNotLook Verdict = "could-not-look"
	TimedOut     Verdict = "timed-out"
)

// A Monitor is one monitor.
type Monitor struct {
	Name       string       `json:"name"`
	Type       string       `json:"type"`
	Alias      string       `json:"alias,omitempty"` // of the type, as the original called it
	Comment    string       `json:"comment,omitempty"`
	Target     string       `json:"target,omitempty"` // resource
	Recovers   string       `json:"recovers"`         // "resource/web", "group/db", "groups" or "server"
	When       string       `json:"when"`             // "always" or "active"
	State      MonitorState `json:"state"`
	Verdict    Verdict      `json:"verdict"`
	Since      time.Time    `json:"since"`            // of this verdict
	Detail     string       `json:"detail,omitempty"` // of the last probe
	LastProbe  time.Time    `json:"last_probe,omitzero"`
	NextProbe  time.Time    `json:"next_probe,omitzero"`
	TookMS     Millis       `json:"took_ms"` // of the last probe
	MaxTookMS  Millis       `json:"max_took_ms"`
	IntervalMS Millis       `json:"interval_ms"`
	TimeoutMS  Millis       `json:"timeout_ms"`
	Dummy      bool         `json:"dummy_failure"` // a failure is simulated
	Counters   Counters     `json:"counters"`
}

// Counters is what a monitor has counted.
type Counters struct {
	Probes     uint64 `json:"probes"`
	Failed     uint64 `json:"failed"`
	TimedOut   uint64 `json:"timed_out"`
	Blind      uint64 `json:"could_not_look"`
	Failures   int    `json:"failures"`    // consecutive, since the last success or action
	Retry      int    `json:"retry"`       // of these that are tolerated
	Scripts    int    `json:"scripts"`     // recovery scripts run since the last success
	MaxScript  int    `json:"max_script"`  // of these that are allowed before restarts begin
	Restarts   int    `json:"restarts"`    // since the last success
	MaxRestart int    `json:"max_restart"` // of these that are allowed before the final action
	Final      string `json:"final_action"`
	Exhausted  bool   `json:"exhausted"` // the final action was taken
}
