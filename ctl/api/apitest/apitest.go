// Package apitest has a Backend of functions and the sample answers that tests
// of the API's surfaces share.
package apitest

import (
	"context"

	"shisa/ctl/api"
	"shisa/ctl/event"
)

// A Fake is a Backend. A function that is nil answers with the sample, or with
// what was asked for.
type Fake struct {
	StatusFunc   func(context.Context) (api.Status, error)
	EventsFunc   func(context.Context, api.EventQuery) ([]event.Event, error)
	FollowFunc   func(context.Context, api.EventQuery, func(api.FollowItem) error) error
	WhyFunc      func(context.Context, string) (api.Why, error)
	MonitorFunc  func(context.Context, api.MonitorCommand) (api.Result, error)
	GroupFunc    func(context.Context, api.UnitCommand) (api.Result, error)
	ResourceFunc func(context.Context, api.UnitCommand) (api.Result, error)
	ShutdownFunc func(context.Context, api.ShutdownCommand) (api.Result, error)
	PlanFunc     func(context.Context, api.ConfigSource) (api.Plan, error)
	ApplyFunc    func(context.Context, api.ConfigSource) (api.Plan, error)
}

var _ api.Backend = (*Fake)(nil)

// Status implements api.Backend.
func (f *Fake) Status(ctx context.Context) (api.Status, error) {
	if f.StatusFunc != nil {
		return f.StatusFunc(ctx)
	}
	return Status(), nil
}

// Events implements api.Backend.
func (f *Fake) Events(ctx context.Context, q api.EventQuery) ([]event.Event, error) {
	if f.EventsFunc != nil {
		return f.EventsFunc(ctx, q)
	}
	var found []event.Event
	for _, e := range Events() {
		if q.Matches(e) {
			found = append(found, e)
		}
	}
	return found[max(0, len(found)-q.Bound()):], nil
}

// Follow implements api.Backend; without function it ends after the sample.
func (f *Fake) Follow(ctx context.Context, q api.EventQuery, emit func(api.FollowItem) error) error {
	if f.FollowFunc != nil {
		return f.FollowFunc(ctx, q, emit)
	}
	events, err := f.Events(ctx, q)
	for _, e := range events {
		if err := emit(api.FollowItem{Event: &e}); err != nil {
			return err
		}
	}
	return err
}

// Why implements api.Backend.
func (f *Fake) Why(ctx context.Context, subject string) (api.Why, error) {
	if f.WhyFunc != nil {
		return f.WhyFunc(ctx, subject)
	}
	switch subject {
	case "", "boot":
		return WhyBoot(), nil
	case "web", "monitor/web":
		return WhyMonitor(), nil
	case "group/shop":
		g := Status().Groups[0]
		return api.Why{Subject: subject, Summary: "Group shop is started.", Group: &g, Events: []event.Event{}}, nil
	}
	return api.Why{}, api.Errorf(api.NotFound, "there is no monitor, group or resource %q", subject).Try("shisa status lists them")
}

// Doctor implements api.Backend.
func (f *Fake) Doctor(context.Context) (api.Doctor, error) { return Doctor(), nil }

// Config implements api.Backend.
func (f *Fake) Config(context.Context) (api.ConfigText, error) {
	return api.ConfigText{Source: "/etc/shisa/shisa.toml", Text: "mode = \"observe\"\n"}, nil
}

// Monitor implements api.Backend.
func (f *Fake) Monitor(ctx context.Context, c api.MonitorCommand) (api.Result, error) {
	if f.MonitorFunc != nil {
		return f.MonitorFunc(ctx, c)
	}
	if c.Name != "web" && c.Name != "db" {
		return api.Result{}, api.Errorf(api.NotFound, "there is no monitor %q", c.Name).Try("shisa monitor list")
	}
	r := api.Result{Text: "Monitor " + c.Name + ": " + string(c.Verb) + "."}
	if c.Verb == api.TestMonitor {
		r.Probe = &WhyMonitor().Monitor.Probes[0]
	}
	return r, nil
}

// Group implements api.Backend.
func (f *Fake) Group(ctx context.Context, c api.UnitCommand) (api.Result, error) {
	if f.GroupFunc != nil {
		return f.GroupFunc(ctx, c)
	}
	return api.Result{Text: "Group " + c.Name + ": " + string(c.Verb) + "."}, nil
}

// Resource implements api.Backend.
func (f *Fake) Resource(ctx context.Context, c api.UnitCommand) (api.Result, error) {
	if f.ResourceFunc != nil {
		return f.ResourceFunc(ctx, c)
	}
	return api.Result{Text: "Resource " + c.Name + ": " + string(c.Verb) + "."}, nil
}

// Suspend implements api.Backend.
func (f *Fake) Suspend(context.Context, api.SuspendCommand) (api.Result, error) {
	return api.Result{Text: "Everything is suspended."}, nil
}

// Resume implements api.Backend.
func (f *Fake) Resume(context.Context, api.SuspendCommand) (api.Result, error) {
	return api.Result{Text: "Everything is resumed."}, nil
}

// Shutdown implements api.Backend; without function it refuses.
func (f *Fake) Shutdown(ctx context.Context, c api.ShutdownCommand) (api.Result, error) {
	if f.ShutdownFunc != nil {
		return f.ShutdownFunc(ctx, c)
	}
	return api.Result{}, api.Errorf(api.Refused, "observing only: shisa does not take this machine down").Try(`set mode = "protect"`)
}

// ResetLimiter implements api.Backend.
func (f *Fake) ResetLimiter(context.Context) (api.Result, error) {
	return api.Result{Text: "The count of machine-level actions is zero."}, nil
}

// PlanConfig implements api.Backend.
func (f *Fake) PlanConfig(ctx context.Context, s api.ConfigSource) (api.Plan, error) {
	if f.PlanFunc != nil {
		return f.PlanFunc(ctx, s)
	}
	return Plan(), nil
}

// ApplyConfig implements api.Backend.
func (f *Fake) ApplyConfig(ctx context.Context, s api.ConfigSource) (api.Plan, error) {
	if f.ApplyFunc != nil {
		return f.ApplyFunc(ctx, s)
	}
	p := Plan()
	p.Applied = true
	return p, nil
}
