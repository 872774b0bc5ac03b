// Package monitor is the contract between the control plane and the monitor
// types in ctl/monitor/types. A type of monitor is declared once with [Define];
// decoding, defaults, schema, reference page and tests derive from that
// declaration.
package monitor

import (
	"context"
	"fmt"
	"io"
	"time"

	"shisa/ctl/param"
)

// A Verdict is what one probe concluded about its target.
type Verdict int

// Verdicts, from best to worst.
const (
	OK      Verdict = iota // the target works
	Warning                // the target works, but a warning threshold is crossed
	Failed                 // the target does not work
)

var verdictNames = [...]string{"ok", "warning", "failed"}

// String returns the lower-case name.
func (v Verdict) String() string {
	if v < 0 || int(v) >= len(verdictNames) {
		return fmt.Sprintf("verdict(%d)", int(v))
	}
	return verdictNames[v]
}

// A Finding is the outcome of one probe that could be carried out.
type Finding struct {
	Verdict Verdict
	Detail  string // one line for the operator, at most DetailLimit bytes
	Certain bool   // nothing is gained by looking again (a process has exited): retries are skipped
	Known   bool   // an earlier probe has told of this very failure: recovery takes no further step for it
}

// DetailLimit bounds Finding.Detail in bytes; the scheduler cuts what is longer.
const DetailLimit = 1024

// A Prober looks at one target.
type Prober interface {
	// Probe looks at the target once and returns before ctx is done. It
	// starts nothing that it does not stop, and never acts on the target.
	//
	// An error means that the probe could not look (missing tool, no
	// permission); it is no statement about the target and starts no
	// recovery by itself. One that wraps context.DeadlineExceeded, or comes
	// after the deadline, counts as a probe that timed out.
	Probe(ctx context.Context) (Finding, error)
}

// A Watcher is a Prober that learns of changes at once. It only says when to
// look; what is the case is still for Probe to find out.
type Watcher interface {
	Prober
	// Watch calls changed whenever the target may have changed, until ctx is
	// done or watching is impossible. It is called again after each Probe
	// that follows a return with a nil error.
	Watch(ctx context.Context, changed func()) error
}

// A Closer is a Prober that holds something open between probes.
type Closer interface{ Close() error }

// A Report is the outcome of one scheduled probe.
type Report struct {
	At       time.Time     // start of the probe
	Took     time.Duration // until the probe returned or its timeout passed
	Finding  Finding
	Err      error    // the probe could not look
	TimedOut bool     // the probe had not returned when its timeout passed
	Log      []string // what the probe noted with Logf
}

// Timing is when and how patiently a monitor probes.
type Timing struct {
	Interval  time.Duration // from the start of one probe to the start of the next
	Timeout   time.Duration // of one probe
	Retry     int           // consecutive failures tolerated before the monitor counts as failed
	FirstWait time.Duration // from activation to the first probe
}

// When says at which times a monitor probes.
type When string

// Values of When.
const (
	Always      When = "always" // from start to stop of shisa
	WhileActive When = "active" // while its target resource is active
)

// Env is what the daemon lends to a prober.
type Env struct {
	Name   string // of the monitor
	Dir    string // holds the monitor's scripts; empty in tests without any
	Target Target // what the monitor is attached to; nil for none

	// What a prober that judges the server itself looks at; nil in tests
	// that need none.
	Peers Peers
	Mail  Mailbox // nil: messages are not for this type
	Stall func() Stall
}

// A Target is the view that a prober has of the resource it is attached to.
type Target interface {
	// Process returns the main process of the resource: its pid and the
	// kernel's start time of it in clock ticks since boot (proc(5),
	// /proc/PID/stat field 22), which together are never reused. ok is false
	// while there is none.
	Process() (pid int, start uint64, ok bool)
}

// A Looker is a [Target] that can be asked what it is doing, as far as others
// than shisa know.
type Looker interface {
	// Look returns what the target is doing in a word or two, and the
	// verdict on it. An error says nothing about the target.
	Look(ctx context.Context) (v Verdict, what string, err error)
}

// A Spec declares a monitor type whose parameters are a P.
type Spec[P any] struct {
	Name    string   // lower-case word, the value of "type" in the configuration
	Alias   string   // the original's name, "psw"; empty: it has none
	Title   string   // as the web manager shows it
	Doc     string   // Markdown; the first sentence is the summary
	Timing  Timing   // defaults
	When    When     // default
	Target  bool     // a target resource is required
	Needs   []string // kernel features, capabilities and programs, as hwcompat names them
	Params  func(*P, *param.Set)
	New     func(P, Env) (Prober, error)
	Takes   func(P, Message) bool // whether a message from outside is for such a monitor; nil: none is
	Example map[string]any        // must decode; shown in the documentation
}

// A Type is a declared monitor type.
type Type struct {
	Name, Alias, Title, Doc string
	Timing                  Timing
	When                    When
	NeedsTarget             bool
	Needs                   []string
	Example                 map[string]any
	params                  func() *param.Set
	decode                  func(map[string]any, []string) []param.Mistake
	build                   func(map[string]any, Env) (Prober, error)
	takes                   func(map[string]any) func(Message) bool
}

// Define turns a declaration into a Type.
func Define[P any](s Spec[P]) Type {
	parse := func(raw map[string]any, known []string) (P, []param.Mistake) {
		var p P
		var set param.Set
		s.Params(&p, &set)
		return p, set.Decode(raw, known...)
	}
	when := s.When
	if when == "" {
		when = Always
	}
	t := Type{
		Name: s.Name, Alias: s.Alias, Title: s.Title, Doc: s.Doc, Timing: s.Timing, When: when,
		NeedsTarget: s.Target, Needs: s.Needs, Example: s.Example,
		params: func() *param.Set {
			var p P
			var set param.Set
			s.Params(&p, &set)
			return &set
		},
		decode: func(raw map[string]any, known []string) []param.Mistake {
			_, mistakes := parse(raw, known)
			return mistakes
		},
		build: func(raw map[string]any, env Env) (Prober, error) {
			p, mistakes := parse(raw, nil)
			if len(mistakes) > 0 {
				return nil, mistakes[0]
			}
			return s.New(p, env)
		},
	}
	if s.Takes != nil {
		t.takes = func(raw map[string]any) func(Message) bool {
			p, _ := parse(raw, nil)
			return func(m Message) bool { return s.Takes(p, m) }
		}
	}
	return t
}

// Params returns a fresh set of the declared parameters.
func (t Type) Params() *param.Set { return t.params() }

// Check returns every mistake in raw; known lists keys that belong to the
// monitor itself rather than to its type.
func (t Type) Check(raw map[string]any, known ...string) []param.Mistake { return t.decode(raw, known) }

// New decodes raw, which holds the parameters of the type only, and returns a
// prober for it.
func (t Type) New(raw map[string]any, env Env) (Prober, error) { return t.build(raw, env) }

// Takes returns whether a message is for a monitor with the parameters raw, as a
// function; nil when messages are not for this type.
func (t Type) Takes(raw map[string]any) func(Message) bool {
	if t.takes == nil {
		return nil
	}
	return t.takes(raw)
}

// Markdown writes the reference page of the type.
func (t Type) Markdown(w io.Writer) {
	fmt.Fprintf(w, "# %s (`%s`)\n\n%s\n\n", t.Title, t.Name, t.Doc)
	t.Params().Markdown(w)
}
