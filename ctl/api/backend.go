// Package api is the one door to the daemon: HTTP and JSON on a unix socket.
// The command line and the original's commands come through it, and so will
// whatever shows the server elsewhere. It holds the types on the wire, the
// interface that the daemon implements ([Backend]), the table of methods and paths
// ([Routes]), the server and the one place where callers are authorised
// ([Policy.Authorise]).
package api

import (
	"context"

	"shisa/ctl/event"
)

// A Backend answers what the API asks; the daemon is one. Methods are called
// by many goroutines at once, return when ctx is done at the latest, and give
// errors of type *[Error] where the caller can do something about it; any other
// error counts as internal. [CallerFrom](ctx) tells who asks.
type Backend interface {
	Operator

	// Status returns a snapshot. It never waits for a probe, a disk or the keeper.
	Status(ctx context.Context) (Status, error)
	// Events returns stored events, oldest first.
	Events(ctx context.Context, q EventQuery) ([]event.Event, error)
	// Follow gives the events that q selects, stored ones first, and then each
	// as it happens, to emit until ctx is done or emit returns an error.
	// [FollowBus] does the work.
	Follow(ctx context.Context, q EventQuery, emit func(FollowItem) error) error
	// Why explains a subject: "" or "boot": why the machine went down last;
	// "monitor/NAME", "group/NAME", "resource/NAME"; a bare name is looked up
	// in this order.
	Why(ctx context.Context, subject string) (Why, error)
	// Doctor looks at what the machine offers.
	Doctor(ctx context.Context) (Doctor, error)
	// Config returns the running configuration.
	Config(ctx context.Context) (ConfigText, error)

	// Monitor acts on one monitor.
	Monitor(ctx context.Context, c MonitorCommand) (Result, error)
	// Group starts or stops one group, or all of them.
	Group(ctx context.Context, c UnitCommand) (Result, error)
	// Resource starts or stops one resource.
	Resource(ctx context.Context, c UnitCommand) (Result, error)
	// Suspend and Resume act on all monitors.
	Suspend(ctx context.Context, c SuspendCommand) (Result, error)
	Resume(ctx context.Context, c SuspendCommand) (Result, error)
	// Shutdown starts an orderly shutdown and returns when it is under way.
	Shutdown(ctx context.Context, c ShutdownCommand) (Result, error)
	// Notify hands a message to the monitors that take it. None: NotFound.
	Notify(ctx context.Context, c NotifyCommand) (Result, error)
	// ResetLimiter sets the count of machine-level actions to zero.
	ResetLimiter(ctx context.Context) (Result, error)
	// PlanConfig checks a configuration and says what applying it would
	// change. Mistakes in it are no error: they stand in the plan.
	PlanConfig(ctx context.Context, s ConfigSource) (Plan, error)
	// ApplyConfig does what PlanConfig says; with mistakes it does nothing.
	ApplyConfig(ctx context.Context, s ConfigSource) (Plan, error)
}
