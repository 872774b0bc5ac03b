// Package resource is the contract between the control plane and the resource
// types in ctl/resource/types: something that is started and stopped as part
// of a group. A type is declared once with [Define].
package resource

import (
	"context"
	"fmt"
	"io"
	"time"

	"shisa/ctl/param"
)

// An Event says why a resource is started or stopped. Its text is what scripts
// find in CLP_EVENT.
type Event string

// Events.
const (
	Start   Event = "START"   // ordinary start or stop
	Recover Event = "RECOVER" // started again by recovery, or after an unclean stop
)

// A Factor says what made a resource stop, or start again. Its text is what
// scripts find in CLP_FACTOR.
type Factor string

// Factors. The zero Factor is a plain start.
const (
	ServiceStop     Factor = "CLUSTERSTOP"
	ServerStop      Factor = "SERVERSTOP"
	GroupStop       Factor = "GROUPSTOP"
	GroupRestart    Factor = "GROUPRESTART"
	ResourceRestart Factor = "RESOURCERESTART"
)

// A Request describes one start or stop. The deadline arrives with the context.
type Request struct {
	Event  Event
	Factor Factor
	// LastAction is what follows the stop of the service: "REBOOT", "HALT" or
	// "NONE" (CLP_LASTACTION); empty counts as NONE.
	LastAction string
}

// A Resource is started and stopped by the daemon, never both at once.
type Resource interface {
	// Start returns when the resource works, or with the reason why not.
	// After an error the resource counts as failed and Stop is called
	// before the next Start.
	Start(ctx context.Context, r Request) error
	// Stop returns when the resource has ended. Stopping what is not
	// running succeeds.
	Stop(ctx context.Context, r Request) error
}

// A Processer is a Resource with a main process that monitors can watch.
type Processer interface {
	// Process returns pid and start time of the main process, as
	// monitor.Target describes; ok is false while there is none.
	Process() (pid int, start uint64, ok bool)
}

// A Condition is what a resource is found in.
type Condition int

// Conditions.
const (
	Works   Condition = iota // as after a start
	Passing                  // on its way from one to the other
	Down                     // as after a stop, or worse
)

// A Looker is a Resource of which others than shisa know what it is doing.
type Looker interface {
	// Look returns the condition, and what the resource is doing in a word or
	// two. An error says nothing about the resource. It may be called while
	// the resource is started or stopped.
	Look(ctx context.Context) (c Condition, what string, err error)
}

// Env is what the daemon lends to a resource.
type Env struct {
	Name   string // of the resource
	Group  string // that it belongs to
	Server string // name of this server
	Dir    string // holds the configuration's scripts; relative paths start here
	LogDir string // for output of scripts
	RunDir string // for what outlives a restart of the daemon but not of the machine; empty: nothing does
}

// Timing bounds how long starting and stopping may take.
type Timing struct {
	Start time.Duration
	Stop  time.Duration
}

// A Spec declares a resource type whose parameters are a P.
type Spec[P any] struct {
	Name    string // lower-case word, the value of "type" in the configuration
	Alias   string // the original's name; empty: it has none
	Title   string
	Doc     string // Markdown; the first sentence is the summary
	Timing  Timing // defaults
	Needs   []string
	Params  func(*P, *param.Set)
	New     func(P, Env) (Resource, error)
	Example map[string]any
}

// A Type is a declared resource type.
type Type struct {
	Name, Alias, Title, Doc string
	Timing                  Timing
	Needs                   []string
	Example                 map[string]any
	params                  func() *param.Set
	decode                  func(map[string]any, []string) []param.Mistake
	build                   func(map[string]any, Env) (Resource, error)
}

// Define turns a declaration into a Type.
func Define[P any](s Spec[P]) Type {
	parse := func(raw map[string]any, known []string) (P, []param.Mistake) {
		var p P
		var set param.Set
		s.Params(&p, &set)
		return p, set.Decode(raw, known...)
	}
	return Type{
		Name: s.Name, Alias: s.Alias, Title: s.Title, Doc: s.Doc, Timing: s.Timing,
		Needs: s.Needs, Example: s.Example,
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
		build: func(raw map[string]any, env Env) (Resource, error) {
			p, mistakes := parse(raw, nil)
			if len(mistakes) > 0 {
				return nil, mistakes[0]
			}
			return s.New(p, env)
		},
	}
}

// Params returns a fresh set of the declared parameters.
func (t Type) Params() *param.Set { return t.params() }

// Check returns every mistake in raw; known lists keys that belong to the
// resource itself rather than to its type.
func (t Type) Check(raw map[string]any, known ...string) []param.Mistake { return t.decode(raw, known) }

// New decodes raw, which holds the parameters of the type only, and returns
// the resource.
func (t Type) New(raw map[string]any, env Env) (Resource, error) { return t.build(raw, env) }

// Markdown writes the reference page of the type.
func (t Type) Markdown(w io.Writer) {
	fmt.Fprintf(w, "# %s (`%s`)\n\n%s\n\n", t.Title, t.Name, t.Doc)
	t.Params().Markdown(w)
}
