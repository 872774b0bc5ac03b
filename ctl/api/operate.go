package api

import (
	"context"
	"slices"
	"time"

	"shisa/ctl/event"
)

// An Operator is the part of a [Backend] that does for the operator what no
// monitor and no group does.
type Operator interface {
	// Stretch multiplies the timeouts of all probes for a while.
	Stretch(ctx context.Context, c StretchCommand) (Result, error)
	// Note writes an event in the operator's own words.
	Note(ctx context.Context, c NoteCommand) (Result, error)
	// Script runs one of the scripts in ScriptDir and returns when it has ended.
	Script(ctx context.Context, c ScriptCommand) (ScriptResult, error)
	// Speed says how fast the processors run, and sets it first if asked to.
	Speed(ctx context.Context, c SpeedCommand) (Result, error)
	// Trace measures for a while how long tasks wait for a CPU.
	Trace(ctx context.Context, c TraceCommand) (Trace, error)
	// Stop stops every group and then ends the daemon, which disarms the
	// countdown. It returns when that is under way.
	Stop(ctx context.Context, c StopCommand) (Result, error)
}

// A StopCommand ends the service. Where systemd runs it is better asked itself:
// it starts again what ends without it.
type StopCommand struct {
	Reason string `json:"reason,omitempty"`
}

// Bounds of a StretchCommand, which are those of the original.
const (
	MaxStretch    = 10000
	MaxStretchFor = 30 * 24 * time.Hour
)

// A StretchCommand gives every probe more time while the machine is expected to
// be slow, such as during a backup. It never touches the countdown: what resets
// a dead machine is not to be talked out of it.
type StretchCommand struct {
	Ratio  int    `json:"ratio"`            // 1 to MaxStretch; 1 is back to normal
	ForMS  Millis `json:"for_ms,omitempty"` // at most MaxStretchFor; needed unless Ratio is 1
	Reason string `json:"reason,omitempty"`
}

// Stretch says how much more time probes have.
type Stretch struct {
	Ratio int       `json:"ratio"` // 1: the configured timeouts hold
	Until time.Time `json:"until,omitzero"`
}

// NoteLimit bounds the text of a NoteCommand in bytes. The original took 511.
const NoteLimit = 2048

// A NoteCommand writes an event.
type NoteCommand struct {
	Text     string         `json:"text"` // 1 to NoteLimit bytes, one line
	Severity event.Severity `json:"severity"`
	ID       int            `json:"id,omitempty"` // the operator's own number for it
}

// ScriptDir is the folder, beside the configuration file, of the scripts that
// may be asked for by name.
const ScriptDir = "rexec"

// ScriptTime is how long a script may take when the command does not say.
const ScriptTime = 180 * time.Second

// A ScriptCommand runs a script.
type ScriptCommand struct {
	Name   string `json:"-"`                 // from the path: a file in ScriptDir
	TimeMS Millis `json:"time_ms,omitempty"` // 0: ScriptTime; at most an hour
	Reason string `json:"reason,omitempty"`
}

// A ScriptResult is how a script ended.
type ScriptResult struct {
	Text   string `json:"text"`   // one sentence
	OK     bool   `json:"ok"`     // it ended with exit status 0
	Status int    `json:"status"` // exit status, 0 to 255; -1: it was killed, or not done in time
	Output string `json:"output"` // the end of what it printed
}

// A SpeedMode is how processors choose their clock.
type SpeedMode string

// Speed modes.
const (
	SpeedHigh SpeedMode = "high" // as fast as they can
	SpeedLow  SpeedMode = "low"  // as slow as they can
	SpeedAuto SpeedMode = "auto" // as the kernel finds right for the load
)

// A SpeedCommand sets the clock of all processors; an empty mode only tells.
type SpeedCommand struct {
	Mode   SpeedMode `json:"mode,omitempty"`
	Reason string    `json:"reason,omitempty"`
}

// Bounds of a TraceCommand.
const (
	TraceTime    = 10 * time.Second // when the command does not say
	MaxTraceTime = time.Minute
)

// A TraceCommand measures how long tasks wait for a CPU. Every switch between tasks
// is traced meanwhile and becomes up to a quarter dearer: it is for an operator who
// looks for something. One at a time; another one is a Conflict.
type TraceCommand struct {
	ForMS  Millis `json:"for_ms,omitempty"` // 0: TraceTime; at most MaxTraceTime
	Reason string `json:"reason,omitempty"`
}

// A Trace is what was measured.
type Trace struct {
	ForMS Millis      `json:"for_ms"`
	Waits []TraceWait `json:"waits"` // by powers of two of nanoseconds, the shortest first; none are left out between
	Lost  uint64      `json:"lost,omitempty"`
}

// A TraceWait counts the waits below a bound, and not below that of the one before.
type TraceWait struct {
	BelowNS int64  `json:"below_ns"`
	Count   uint64 `json:"count"`
}

// Trimmed leaves out what nothing was in at both ends.
func (t Trace) Trimmed() Trace {
	some := func(w TraceWait) bool { return w.Count > 0 }
	first := slices.IndexFunc(t.Waits, some)
	if first < 0 {
		t.Waits = []TraceWait{}
		return t
	}
	last := len(t.Waits)
	for !some(t.Waits[last-1]) {
		last--
	}
	t.Waits = t.Waits[first:last]
	return t
}

// Total is the number of waits.
func (t Trace) Total() (total uint64) {
	for _, w := range t.Waits {
		total += w.Count
	}
	return total
}

// Quantile returns a bound below which the part q (0 to 1) of all waits is; zero when
// there were none.
func (t Trace) Quantile(q float64) time.Duration {
	need, seen := q*float64(t.Total()), uint64(0)
	for _, w := range t.Waits {
		if seen += w.Count; seen > 0 && float64(seen) >= need {
			return time.Duration(w.BelowNS)
		}
	}
	return 0
}

func operateRoutes() []Route {
	return []Route{
		post("/v1/stretch", "Give all probes more time for a while.", QuickTime, Backend.Stretch),
		post("/v1/notes", "Write an event in the operator's own words.", QuickTime, Backend.Note),
		post("/v1/stop", "Stop every group and the daemon.", QuickTime, Backend.Stop),
		post("/v1/speed", "Set the clock of the processors, or tell it.", QuickTime, Backend.Speed),
		post("/v1/trace", "Measure for some seconds how long tasks wait for a CPU, which makes every switch between tasks dearer meanwhile.", ProbeTime, Backend.Trace),
		{Method: "POST", Path: "/v1/scripts/{name}/run", Right: Control, Limit: ChangeTime, Body: ScriptCommand{}, Answer: ScriptResult{},
			Doc: "Run a script of the folder " + ScriptDir + " beside the configuration.",
			call: func(ctx context.Context, b Backend, r *request) (any, error) {
				c, err := body[ScriptCommand](r)
				if err != nil {
					return nil, err
				}
				c.Name = r.name
				return b.Script(ctx, c)
			}},
	}
}
