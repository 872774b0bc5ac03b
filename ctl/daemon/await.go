package daemon

import (
	"context"
	"fmt"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/decide"
)

// mayStart refuses to start something while everything is stopped for good.
func (d *Daemon) mayStart(c api.UnitCommand) error {
	if c.Verb == api.StartUnit && d.ending() {
		return api.Errorf(api.Conflict, "the service is stopping: nothing is started any more")
	}
	return nil
}

// ending reports whether everything is being stopped for good.
func (d *Daemon) ending() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.machine.Service() != decide.Running
}

// whose names the groups that c is about.
func whose(c api.UnitCommand) string {
	if c.Name == "*" {
		return "All groups"
	}
	return "Group " + c.Name
}

// await waits until the groups that want selects have come to rest.
func (d *Daemon) await(ctx context.Context, c api.UnitCommand, want func(decide.GroupView, []decide.ResourceView) bool) (api.Result, error) {
	if c.NoWait {
		return api.Result{Text: fmt.Sprintf("%s: %s asked for.", whose(c), c.Verb)}, nil
	}
	goal := decide.GroupOnline
	if c.Verb == api.StopUnit {
		goal = decide.GroupOffline
	}
	return d.until(ctx, func(v decide.View) (string, bool, error) {
		var failed []string
		for _, g := range v.Groups {
			if !want(g, v.Resources) {
				continue
			}
			switch g.State {
			case goal:
			case decide.GroupStarting, decide.GroupStopping:
				return "", false, nil
			case decide.GroupOffline, decide.GroupOnline, decide.GroupStartFailed, decide.GroupStopFailed:
				failed = append(failed, fmt.Sprintf("group %s is %s", g.Name, groupStates[g.State]))
			}
		}
		if len(failed) > 0 {
			return "", true, api.Errorf(api.Conflict, "%v", failed).Try("shisa status; shisa events")
		}
		return fmt.Sprintf("%s: %s done.", whose(c), c.Verb), true, nil
	})
}

func (d *Daemon) awaitResource(ctx context.Context, c api.UnitCommand) (api.Result, error) {
	if c.NoWait {
		return api.Result{Text: fmt.Sprintf("Resource %s: %s asked for.", c.Name, c.Verb)}, nil
	}
	goal := decide.Online
	if c.Verb == api.StopUnit {
		goal = decide.Offline
	}
	return d.until(ctx, func(v decide.View) (string, bool, error) {
		for _, r := range v.Resources {
			if r.Name != c.Name {
				continue
			}
			switch r.State {
			case goal:
				return fmt.Sprintf("Resource %s: %s done.", c.Name, c.Verb), true, nil
			case decide.StartFailed, decide.StopFailed:
				return "", true, api.Errorf(api.Conflict, "resource %s is %s: %s", r.Name, resourceStates[r.State], r.Failure).Try("shisa why " + r.Name)
			case decide.Starting, decide.Stopping, decide.Online, decide.Offline:
			}
		}
		return "", false, nil
	})
}

// until looks at the decision machine until done says so. The input that was
// sent before is worked off first.
func (d *Daemon) until(ctx context.Context, done func(decide.View) (string, bool, error)) (api.Result, error) {
	if err := d.barrier(ctx); err != nil {
		return api.Result{}, err
	}
	for {
		d.mu.Lock()
		v := d.machine.View()
		d.mu.Unlock()
		if text, is, err := done(v); is || err != nil {
			return api.Result{Text: text}, err
		}
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
			return api.Result{}, api.Errorf(api.OutOfTime, "not done yet; it goes on").Try("shisa status --watch")
		}
	}
}

// barrier returns when the loop has taken every input that was sent before.
func (d *Daemon) barrier(ctx context.Context) error {
	passed := make(chan struct{})
	d.input(ctx, decide.Barrier(func() { close(passed) }))
	select {
	case <-passed:
		return nil
	case <-ctx.Done():
		return api.Errorf(api.NotReady, "the decision loop does not answer")
	}
}
