package daemon

import (
	"context"

	"shisa/ctl/config"
	"shisa/ctl/protect"
	"shisa/ctl/recovery"
)

// Beats of the daemon's loops.
const (
	BeatScheduler = "scheduler"
	BeatDecisions = "decisions"
	BeatAPI       = "api"
)

// A Guard keeps the countdowns that reset the machine when user space stalls.
type Guard interface {
	// Beat returns the function with which the loop of that name proves its
	// progress. It may be called from anywhere, costs nanoseconds and never
	// waits.
	Beat(name string) func()
	// Configure puts m into force: engines are chosen, armed or disarmed as
	// needed. What already is as wanted is not touched. never says why
	// nothing may be armed, and holds from then on; empty: it may.
	Configure(ctx context.Context, m *config.Model, never string)
	// Run looks after the keeper until ctx is done and leaves the countdown
	// as it is.
	Run(ctx context.Context)
	// Shutdown turns the countdown into one that guards the shutdown.
	Shutdown(ctx context.Context, reason string)
	// Disarm stops every countdown: the service is stopped deliberately.
	Disarm(ctx context.Context, reason string) error
	// Fire makes the countdown act soon.
	Fire(ctx context.Context, a recovery.Action) error
	// View returns what the operator sees. It never waits.
	View() protect.View
}
