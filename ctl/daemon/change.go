package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/decide"
	"shisa/ctl/event"
	"shisa/ctl/monitor"
	"shisa/ctl/resource"
	"shisa/ctl/schedule"
)

// resources holds what can be started and stopped.
type resources struct {
	mu sync.RWMutex
	by map[string]resource.Resource
}

func (r *resources) get(name string) resource.Resource {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.by[name]
}

func (r *resources) replace(by map[string]resource.Resource) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.by = by
}

// A change is a configuration with everything built for it, so that putting it
// into force can no longer fail.
type change struct {
	model     *config.Model
	wanted    *config.Model // the same without the operator's brake
	resources map[string]resource.Resource
	probers   map[string]monitor.Prober // only those that are new or changed
	summary   string                    // of what it changes
	done      chan struct{}             // closed when it is in force
}

// build makes resources and probers for m. What stands unchanged in plan is
// taken over from what runs; a nil plan changes everything.
func (d *Daemon) build(m *config.Model, plan *config.Plan) (*change, error) {
	c := &change{model: m, resources: map[string]resource.Resource{}, probers: map[string]monitor.Prober{}, done: make(chan struct{})}
	var mistakes []error
	for _, r := range m.Resources {
		if old := d.resources.get(r.Name); old != nil && plan != nil && !touches(plan, config.ResourceKind, r.Name) {
			c.resources[r.Name] = old
			continue
		}
		built, err := d.resource(m, r)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("resource %s: %w", r.Name, err))
			continue
		}
		c.resources[r.Name] = built
	}
	for _, w := range m.Monitors {
		if plan != nil && !touches(plan, config.MonitorKind, w.Name) {
			continue
		}
		p, err := d.prober(m, w)
		if err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		c.probers[w.Name] = p
	}
	return c, errors.Join(mistakes...)
}

func (d *Daemon) resource(m *config.Model, r config.Resource) (resource.Resource, error) {
	t := d.parts.Types.Resources[r.Type]
	params, err := config.Reveal(t.Params(), r.Params, m.Dir)
	if err != nil {
		return nil, err
	}
	return t.New(params, d.env(m, r))
}

func touches(p *config.Plan, k config.Kind, name string) bool {
	_, ok := p.Step(k, name)
	return ok
}

// target lends a prober the view of a resource, whichever object it is at the
// moment. It returns nil, not a view of nothing, without a name.
func (d *Daemon) target(name string) monitor.Target {
	if name == "" {
		return nil
	}
	return target{d, name}
}

type target struct {
	d    *Daemon
	name string
}

// Process returns the main process of the resource.
func (t target) Process() (pid int, start uint64, ok bool) {
	if p, is := t.d.resources.get(t.name).(resource.Processer); is {
		return p.Process()
	}
	return 0, 0, false
}

// Look implements monitor.Looker.
func (t target) Look(ctx context.Context) (monitor.Verdict, string, error) {
	l, is := t.d.resources.get(t.name).(resource.Looker)
	if !is {
		return 0, "", fmt.Errorf("resource %s is of a type that cannot be asked what it is doing", t.name)
	}
	c, what, err := l.Look(ctx)
	return map[resource.Condition]monitor.Verdict{resource.Passing: monitor.Warning, resource.Down: monitor.Failed}[c], what, err
}

// watch begins or ends the probing of monitors, all that begin together.
func (d *Daemon) watch(commands []decide.Command) {
	var begin []schedule.Item
	flush := func() {
		d.log("monitor cannot be probed", d.sched.SetAll(begin))
		begin = nil
	}
	for _, c := range commands {
		switch w := c.(decide.Watch); {
		case w.On:
			begin = append(begin, d.toBegin(w.Monitor)...)
		default:
			flush()
			d.unwatch(w.Monitor)
		}
	}
	flush()
}

func (d *Daemon) unwatch(name string) {
	d.peers.tell(name)
	delete(d.watched, name)
	d.log("monitor is not probed any more", d.sched.Remove(name))
}

// toBegin is what the scheduler needs to probe a monitor; nothing when that is
// impossible. The monitor gets a new prober each time, so that nothing that an
// old one remembers of its target survives.
func (d *Daemon) toBegin(name string) []schedule.Item {
	d.peers.tell(name)
	d.watched[name] = true
	m := d.Model()
	w, ok := m.Monitor(name)
	if !ok {
		return nil
	}
	timing := w.Timing
	if d.past.probedBefore(name) {
		// The target was started again: it gets an interval to come up.
		timing.FirstWait = max(timing.FirstWait, timing.Interval)
	}
	p, err := d.prober(m, w)
	if err != nil {
		d.log("monitor cannot be probed", err)
		return nil
	}
	return []schedule.Item{{Name: name, Prober: p, Timing: timing}}
}

// prober makes the prober of a monitor.
func (d *Daemon) prober(m *config.Model, w config.Monitor) (monitor.Prober, error) {
	env := monitor.Env{Name: w.Name, Dir: m.Dir, Target: d.target(w.Target), Peers: d, Mail: address{&d.mail, w.Name}, Stall: d.stall}
	t := d.parts.Types.Monitors[w.Type]
	params, err := config.Reveal(t.Params(), w.Params, m.Dir)
	if err != nil {
		return nil, fmt.Errorf("monitor %s: %w", w.Name, err)
	}
	p, err := t.New(params, env)
	if err != nil {
		return nil, fmt.Errorf("monitor %s: %w", w.Name, err)
	}
	return p, nil
}

// swap puts the prepared configuration into force.
func (d *Daemon) swap(ctx context.Context) {
	d.mu.Lock()
	c := d.next
	d.next = nil
	d.model, d.wanted, d.applied, d.hash = c.model, c.wanted, time.Now(), digest(c.model)
	d.mu.Unlock()
	d.resources.replace(c.resources)
	d.past.keep(c.model)
	d.mail.keep(c.model, d.parts.Types)
	d.install(c)
	d.emit(event.ConfigApplied.New("", "summary", c.summary))
	d.wg.Go(func() { d.settleIn(ctx) })
	close(c.done)
}

// settleIn does what takes time once a configuration is in force: the countdowns
// follow it, and it is kept for a later start. Of two that come one after the
// other the later one stands, whichever is first here.
func (d *Daemon) settleIn(ctx context.Context) {
	d.settling.Lock()
	defer d.settling.Unlock()
	m := d.Model()
	d.parts.Guard.Configure(ctx, m, "")
	if d.parts.Applied != nil {
		d.parts.Applied(m)
	}
}

// install replaces the probers of changed monitors that are probed at present;
// the decision machine sees to the others.
func (d *Daemon) install(c *change) {
	var items []schedule.Item
	for _, w := range c.model.Monitors {
		if p := c.probers[w.Name]; p != nil && d.watched[w.Name] {
			items = append(items, schedule.Item{Name: w.Name, Prober: p, Timing: w.Timing})
		}
	}
	d.log("monitor cannot be probed", d.sched.SetAll(items))
	for name := range d.watched {
		if d.past.get(name) == nil {
			d.unwatch(name)
		}
	}
}
