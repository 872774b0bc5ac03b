package decide

import (
	"time"

	"shisa/ctl/config"
	"shisa/ctl/event"
	"shisa/ctl/recovery"
	"shisa/ctl/resource"
)

// An Input is something that happened.
type Input interface{ apply(*Machine) }

// Boot begins the life of the machine: groups are started as configured.
type Boot struct {
	Clean   bool    // the machine went down cleanly last time, or did not go down
	Adopt   bool    // it did not go down: what Durable says is running still runs
	Rescue  bool    // it is in a rescue target now
	Unable  string  // why nothing can be done to the machine itself: a container, no rights; empty: it can
	Durable Durable // what was saved last
	Seed    uint64  // of what is left to chance, so that servers with one configuration differ
}

// Probed is the outcome of a probe.
type Probed struct {
	Monitor string
	Outcome recovery.Input
	Warning bool   // the target works, but a warning threshold is crossed
	Known   bool   // a failure that an earlier probe has told of, and nothing new: recovery takes no further step for it
	Detail  string // one line: the finding, the reason for not looking, or the timeout
}

// Ended is the outcome of an operation.
type Ended struct {
	Op       Op
	Failure  string // empty: it succeeded
	TimedOut bool   // it failed because it was not done in time
}

// Tick lets time pass.
type Tick struct{}

// Store tells whether intents can be recorded.
type Store struct{ Down bool }

// Reload asks to put another configuration into force. Resources that it
// removes or changes are stopped first; then comes [Swap].
type Reload struct {
	Model   *config.Model
	Restart []string // resources that must be stopped before the change
}

// GroupWanted is an operator's request to start or stop a group; an empty name
// means all.
type GroupWanted struct {
	Name string
	Up   bool
	By   string
}

// ResourceWanted is an operator's request to start or stop a single resource.
type ResourceWanted struct {
	Name string
	Up   bool
	By   string
}

// Hold suspends (On) or resumes monitors; an empty name means all recovery.
type Hold struct {
	Monitor string
	On      bool
	By      string
}

// Dummy makes a monitor find a failure whatever it sees, or ends that; an
// empty name means all.
type Dummy struct {
	Monitor string
	On      bool
	By      string
}

// ResetMonitor clears the recovery counters; an empty name means all.
type ResetMonitor struct{ Monitor string }

// ResetLimiter forgets the machine-level actions that count against the limit.
type ResetLimiter struct{}

// StopService asks to stop every group and then to do Then: NoAction just
// ends the service, Shutdown and Reboot take the machine down.
type StopService struct {
	Then   recovery.Action
	By     string
	Reason string
	Server bool // the operating system goes down anyway
}

func (in Boot) apply(m *Machine) {
	m.rescue, m.unable, m.seed = in.Rescue, in.Unable, in.Seed
	m.restore(in.Durable)
	if in.Adopt {
		m.adopt(in.Durable)
		return
	}
	auto := m.model.Server.Autostart
	if in.Rescue || auto == "never" {
		return
	}
	r := resource.Request{Event: resource.Start}
	if !in.Clean {
		r.Event = resource.Recover
		if auto == "clean" {
			m.emit(event.AutostartHeld, "")
			return
		}
	}
	for _, g := range m.groups {
		if g.cfg.Auto {
			m.startGroup(g, r, "the service started")
		}
	}
}

// adopt takes over resources that ran through a restart of the daemon. Groups
// that were wanted up are completed, others stay as the operator left them.
func (m *Machine) adopt(d Durable) {
	for _, name := range d.Online {
		if u := m.units[name]; u != nil {
			u.state, u.goal = Online, Online
		}
	}
	for name, s := range d.Recovery {
		if w := m.watchNamed[name]; w != nil {
			w.recovery = s
		}
	}
	for _, g := range m.groups {
		up, known := d.Groups[g.cfg.Name]
		if up || !known && g.cfg.Auto && m.model.Server.Autostart != "never" && !m.rescue {
			m.startGroup(g, resource.Request{Event: resource.Recover}, "the service was restarted")
		}
	}
}

func (in Probed) apply(m *Machine) {
	if w := m.watchNamed[in.Monitor]; w != nil {
		m.probed(w, in)
	}
}

func (in Ended) apply(m *Machine) {
	switch p := m.end(in.Op); {
	case p.unit != nil:
		p.unit.late = in.TimedOut || p.unit.cleanup && p.unit.late
		m.unitEnded(p.unit, in.Failure)
	case p.watch != nil:
		m.scriptEnded(p.watch, in.Failure)
	case p.act != nil:
		m.actEnded(p.act, in.Failure)
	case p.ask != nil:
		m.asked(p.ask, in.Failure)
	case p.then != nil:
		p.then(in.Failure)
	}
}

func (Tick) apply(*Machine) {}

func (in Store) apply(m *Machine) { m.storeDown = in.Down }

func (in GroupWanted) apply(m *Machine) {
	for _, g := range m.groups {
		if in.Name != "" && in.Name != g.cfg.Name {
			continue
		}
		if in.Up {
			m.renewAll(g)
			m.startGroup(g, resource.Request{Event: resource.Start}, "requested by "+in.By)
		} else {
			m.stopGroup(g, resource.Request{Event: resource.Start, Factor: resource.GroupStop}, "requested by "+in.By)
		}
	}
}

// renewAll begins recovery anew for all that watches over g: the operator has
// mended what there was.
func (m *Machine) renewAll(g *group) {
	if g.state != GroupOffline && g.state != GroupStartFailed && g.state != GroupStopFailed {
		return // it is up already
	}
	for _, u := range g.units {
		for _, w := range u.watches {
			m.renew(w)
		}
	}
}

func (in ResourceWanted) apply(m *Machine) {
	u := m.units[in.Name]
	if u == nil || u.group.state == GroupStarting || u.group.state == GroupStopping || in.Up && m.service.state != Running {
		return
	}
	if !in.Up {
		m.stopUnits(u)
		return
	}
	for _, w := range u.watches {
		if u.down() {
			m.renew(w)
		}
	}
	if u.group.state == GroupOffline {
		u.group.request = resource.Request{Event: resource.Start}
		u.group.move(startAsked)
	} else {
		u.group.bouncing = true
	}
	m.raise(u)
}

// raise wants u and all that it needs online.
func (m *Machine) raise(u *unit) {
	for _, n := range u.needs {
		m.raise(n)
	}
	if u.goal != Online || u.state != Online {
		u.want(Online)
	}
}

// stopUnits stops u and what needs it, and leaves them down.
func (m *Machine) stopUnits(u *unit) {
	m.restartUnit(u)
	m.clearBounce(u.group)
}

func (in Hold) apply(m *Machine) {
	d, all := event.MonitorResumed, event.AllResumed
	if in.On {
		d, all = event.MonitorSuspended, event.AllSuspended
	}
	m.allWatches = true
	if in.Monitor == "" {
		m.allHeld = in.On
		m.emit(all, "", "reason", "requested by "+in.By)
	} else if w := m.watchNamed[in.Monitor]; w != nil && w.held != in.On {
		w.held = in.On
		m.emit(d, w.subject(), "reason", "requested by "+in.By)
	}
	m.do(Save{})
}

func (in Dummy) apply(m *Machine) {
	for _, w := range m.watches {
		if in.Monitor != "" && in.Monitor != w.cfg.Name || w.dummy == in.On {
			continue
		}
		state := "ended"
		if w.dummy = in.On; in.On {
			state = "begun"
		}
		m.emit(event.DummyFailure, w.subject(), "state", state+" by "+in.By)
		if w.on {
			m.do(Probe{w.cfg.Name})
		}
	}
}

func (in ResetMonitor) apply(m *Machine) {
	for _, w := range m.watches {
		if in.Monitor == "" || in.Monitor == w.cfg.Name {
			w.recovery, w.backoff = recovery.State{}, 0
			m.forget(w)
		}
	}
	m.do(Save{})
}

func (ResetLimiter) apply(m *Machine) {
	m.limiter = limiter{}
	m.do(Save{})
}

// Durable is what must survive the daemon.
type Durable struct {
	Actions int             `json:"actions"`            // machine-level actions that count against the limit
	Held    []string        `json:"held,omitempty"`     // suspended monitors
	Online  []string        `json:"online,omitempty"`   // resources
	Groups  map[string]bool `json:"groups,omitempty"`   // those ever started or stopped: wanted up
	AllHeld bool            `json:"all_held,omitempty"` // everything is suspended

	Recovery map[string]recovery.State `json:"recovery,omitempty"` // of monitors with steps taken
}

// Durable returns what must survive the daemon.
func (m *Machine) Durable() Durable {
	d := Durable{Actions: m.limiter.count, AllHeld: m.allHeld, Groups: map[string]bool{}}
	for _, g := range m.groups {
		if g.asked {
			d.Groups[g.cfg.Name] = g.state != GroupOffline && g.state != GroupStopping
		}
		for _, u := range g.units {
			if u.state == Online {
				d.Online = append(d.Online, u.cfg.Name)
			}
		}
	}
	for _, w := range m.watches {
		if w.held {
			d.Held = append(d.Held, w.cfg.Name)
		}
		s := w.recovery
		s.Exhausted = s.Exhausted && w.final == nil // which is still due
		if s.Scripts+s.Restarts > 0 || s.Exhausted {
			if d.Recovery == nil {
				d.Recovery = map[string]recovery.State{}
			}
			d.Recovery[w.cfg.Name] = s
		}
	}
	return d
}

func (m *Machine) restore(d Durable) {
	m.limiter = limiter{count: d.Actions, calmSince: m.now}
	m.allHeld, m.allWatches = d.AllHeld, true
	for _, name := range d.Held {
		if w := m.watchNamed[name]; w != nil {
			w.held = true
		}
	}
}

// since is how long ago at was.
func (m *Machine) since(at time.Duration) time.Duration { return m.now - at }

// Barrier is called when every input before it has been taken. It changes
// nothing.
type Barrier func()

func (in Barrier) apply(*Machine) { in() }
