package daemon

import (
	"context"
	"fmt"
	"strings"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/decide"
	"shisa/ctl/event"
	"shisa/ctl/recovery"
)

// whyEvents bounds the events that Why returns.
const whyEvents = 20

var _ api.Backend = (*Daemon)(nil)

// Events returns stored events, oldest first.
func (d *Daemon) Events(ctx context.Context, q api.EventQuery) ([]event.Event, error) {
	return d.parts.Store.Query(ctx, q)
}

// Follow gives stored events and then new ones.
func (d *Daemon) Follow(ctx context.Context, q api.EventQuery, emit func(api.FollowItem) error) error {
	return api.FollowBus(ctx, q, d.parts.Bus, d.Events, emit)
}

// Doctor looks at what the machine offers.
func (d *Daemon) Doctor(ctx context.Context) (api.Doctor, error) {
	if d.parts.Doctor == nil {
		return api.Doctor{}, api.Errorf(api.NotReady, "this daemon has no doctor")
	}
	return d.parts.Doctor(ctx)
}

// Why explains a subject.
func (d *Daemon) Why(ctx context.Context, subject string) (api.Why, error) {
	if subject == "" || subject == "boot" {
		r := d.parts.Reason
		return d.withEvents(ctx, api.Why{Subject: "boot", Summary: r.Summary, Boot: &r}, "")
	}
	s, err := d.Status(ctx)
	if err != nil {
		return api.Why{}, err
	}
	kind, name, full := strings.Cut(subject, "/")
	if !full {
		kind, name = "", subject
	}
	if w, ok := d.whyMonitor(s, kind, name); ok {
		return d.withEvents(ctx, w, w.Subject)
	}
	for _, g := range s.Groups {
		if g.Name == name && (kind == "" || kind == "group") {
			return d.withEvents(ctx, api.Why{Subject: "group/" + name, Summary: sentence("Group", name, g.State, g.Detail), Group: &g}, "group/"+name)
		}
		for _, r := range g.Resources {
			if r.Name == name && (kind == "" || kind == "resource") {
				return d.withEvents(ctx, api.Why{Subject: "resource/" + name, Summary: sentence("Resource", name, r.State, r.Detail), Resource: &r}, "resource/"+name)
			}
		}
	}
	return api.Why{}, api.Errorf(api.NotFound, "there is no monitor, group or resource %q", subject).Try("shisa status lists them")
}

func (d *Daemon) whyMonitor(s api.Status, kind, name string) (api.Why, bool) {
	if kind != "" && kind != "monitor" {
		return api.Why{}, false
	}
	for _, m := range s.Monitors {
		h := d.past.get(name)
		if m.Name != name || h == nil {
			continue
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		w := &api.MonitorWhy{Status: m, Probes: h.probes.all(), Decisions: h.decisions.all()}
		text := fmt.Sprintf("Monitor %s (%s) is %s", name, m.Type, m.Verdict)
		if m.Detail != "" {
			text += ": " + m.Detail
		}
		if n := len(w.Decisions); n > 0 && w.Decisions[n-1].Action != string(recovery.NoAction) {
			text += fmt.Sprintf(". Last decision: %s, because %s", w.Decisions[n-1].Action, w.Decisions[n-1].Reason)
		}
		return api.Why{Subject: "monitor/" + name, Summary: text + ".", Monitor: w}, true
	}
	return api.Why{}, false
}

func sentence(kind, name string, s api.State, detail string) string {
	text := fmt.Sprintf("%s %s is %s", kind, name, s)
	if detail != "" {
		text += ": " + detail
	}
	return text + "."
}

// withEvents adds the latest events about subject. A history that cannot be
// read takes nothing away from the answer.
func (d *Daemon) withEvents(ctx context.Context, w api.Why, subject string) (api.Why, error) {
	q := api.EventQuery{Limit: whyEvents}
	if subject == "" {
		q.Codes = []string{event.BootReason.Code, event.BootUnclean.Code, event.ActionIntent.Code, event.ServiceStarted.Code, event.ServiceStopping.Code}
	} else {
		q.Subjects = []string{subject}
	}
	w.Events = []event.Event{}
	if found, err := d.Events(ctx, q); err == nil && found != nil {
		w.Events = found
	}
	return w, nil
}

// Monitor acts on one monitor.
func (d *Daemon) Monitor(ctx context.Context, c api.MonitorCommand) (api.Result, error) {
	if c.Name == "*" {
		return d.allMonitors(ctx, c)
	}
	h := d.past.get(c.Name)
	if h == nil {
		return api.Result{}, api.Errorf(api.NotFound, "there is no monitor %q", c.Name).Try("shisa monitor list")
	}
	by := api.CallerFrom(ctx).Name
	d.record(ctx, fmt.Sprintf("monitor %s %s", c.Verb, c.Name), c.Reason)
	switch c.Verb {
	case api.SuspendMonitor, api.ResumeMonitor:
		d.input(ctx, decide.Hold{Monitor: c.Name, On: c.Verb == api.SuspendMonitor, By: by})
	case api.ResetMonitor:
		d.input(ctx, decide.ResetMonitor{Monitor: c.Name})
	case api.FailMonitor, api.UnfailMonitor:
		d.input(ctx, decide.Dummy{Monitor: c.Name, On: c.Verb == api.FailMonitor, By: by})
	case api.TestMonitor:
		return d.testMonitor(ctx, c.Name, h)
	default:
		return api.Result{}, api.Errorf(api.BadRequest, "a monitor cannot be told to %q", c.Verb)
	}
	return api.Result{Text: fmt.Sprintf("Monitor %s: %s.", c.Name, done[c.Verb])}, nil
}

// allMonitors acts on all monitors at once.
func (d *Daemon) allMonitors(ctx context.Context, c api.MonitorCommand) (api.Result, error) {
	var in decide.Input
	switch c.Verb {
	case api.ResetMonitor:
		in = decide.ResetMonitor{}
	case api.FailMonitor, api.UnfailMonitor:
		in = decide.Dummy{On: c.Verb == api.FailMonitor, By: api.CallerFrom(ctx).Name}
	default:
		return api.Result{}, api.Errorf(api.BadRequest, "not all monitors can be told to %q at once", c.Verb).Try("shisa suspend and shisa resume are for everything")
	}
	d.record(ctx, fmt.Sprintf("monitor %s of all", c.Verb), c.Reason)
	d.input(ctx, in)
	return api.Result{Text: fmt.Sprintf("All monitors: %s.", done[c.Verb])}, nil
}

var done = map[api.MonitorVerb]string{
	api.SuspendMonitor: "suspended", api.ResumeMonitor: "resumed", api.ResetMonitor: "recovery counters cleared",
	api.FailMonitor: "simulates a failure from now on", api.UnfailMonitor: "simulates no failure any more",
}

// testMonitor probes now and waits for the answer.
func (d *Daemon) testMonitor(ctx context.Context, name string, h *history) (api.Result, error) {
	changed, before := h.next()
	if err := d.sched.Trigger(name); err != nil {
		return api.Result{}, api.Errorf(api.Conflict, "monitor %s does not probe at present", name).Try("shisa monitor resume, or start its target")
	}
	for {
		select {
		case <-changed:
		case <-ctx.Done():
			return api.Result{}, api.Errorf(api.OutOfTime, "monitor %s has not answered yet", name).Try("shisa why " + name)
		}
		var now uint64
		if changed, now = h.next(); now > before {
			break
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p := *h.probes.last()
	return api.Result{Text: fmt.Sprintf("Monitor %s: %s: %s", name, p.Verdict, p.Detail), Probe: &p}, nil
}

// Group starts or stops one group, or all of them.
func (d *Daemon) Group(ctx context.Context, c api.UnitCommand) (api.Result, error) {
	name := c.Name
	if name == "*" {
		name = ""
	} else if !d.has(name, true) {
		return api.Result{}, api.Errorf(api.NotFound, "there is no group %q", name).Try("shisa group list")
	}
	if err := d.mayStart(c); err != nil {
		return api.Result{}, err
	}
	d.record(ctx, fmt.Sprintf("group %s %s", c.Verb, c.Name), c.Reason)
	d.input(ctx, decide.GroupWanted{Name: name, Up: c.Verb == api.StartUnit, By: api.CallerFrom(ctx).Name})
	return d.await(ctx, c, func(g decide.GroupView, _ []decide.ResourceView) bool { return name == "" || g.Name == name })
}

// Resource starts or stops one resource.
func (d *Daemon) Resource(ctx context.Context, c api.UnitCommand) (api.Result, error) {
	if !d.has(c.Name, false) {
		return api.Result{}, api.Errorf(api.NotFound, "there is no resource %q", c.Name).Try("shisa status lists them")
	}
	if err := d.mayStart(c); err != nil {
		return api.Result{}, err
	}
	d.record(ctx, fmt.Sprintf("resource %s %s", c.Verb, c.Name), c.Reason)
	d.input(ctx, decide.ResourceWanted{Name: c.Name, Up: c.Verb == api.StartUnit, By: api.CallerFrom(ctx).Name})
	return d.awaitResource(ctx, c)
}

func (d *Daemon) has(name string, group bool) bool {
	m := d.Model()
	if group {
		for _, g := range m.Groups {
			if g.Name == name {
				return true
			}
		}
		return false
	}
	return d.resources.get(name) != nil
}

// Suspend suspends all monitors and recovery.
func (d *Daemon) Suspend(ctx context.Context, c api.SuspendCommand) (api.Result, error) {
	d.record(ctx, "suspend", c.Reason)
	d.input(ctx, decide.Hold{On: true, By: api.CallerFrom(ctx).Name})
	return api.Result{Text: "Everything is suspended: no probe, no recovery. The countdown stays armed."}, nil
}

// Resume ends Suspend.
func (d *Daemon) Resume(ctx context.Context, c api.SuspendCommand) (api.Result, error) {
	d.record(ctx, "resume", c.Reason)
	d.input(ctx, decide.Hold{By: api.CallerFrom(ctx).Name})
	return api.Result{Text: "Everything is resumed."}, nil
}

// ResetLimiter sets the count of machine-level actions to zero.
func (d *Daemon) ResetLimiter(ctx context.Context) (api.Result, error) {
	d.record(ctx, "limiter reset", "")
	d.input(ctx, decide.ResetLimiter{})
	return api.Result{Text: "The count of machine-level actions is zero."}, nil
}

// record announces what an operator asked for.
func (d *Daemon) record(ctx context.Context, command, reason string) {
	who := api.CallerFrom(ctx).String()
	if reason != "" {
		command += " (" + reason + ")"
	}
	d.emit(event.OperatorCommand.New("", "who", who, "command", command))
}

// pollEvery is how often a waiting command looks whether it is done.
const pollEvery = 20 * time.Millisecond
