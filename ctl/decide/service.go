package decide

import (
	"slices"

	"shisa/ctl/config"
	"shisa/ctl/event"
	"shisa/ctl/recovery"
	"shisa/ctl/resource"
)

// A ServiceState is the state of the whole service.
type ServiceState string

// Service states. The zero ServiceState is running.
const (
	Running     ServiceState = ""
	ServiceStop ServiceState = "stopping"
	Stopped     ServiceState = "stopped"
)

type service struct {
	state      ServiceState
	act        *finalAct // what follows; nil: just the end
	by         *finalAct // that made it stop; nil: the operator
	server     bool      // the operating system goes down anyway
	guarded    bool
	stopFailed bool     // stopping a group failed
	again      []string // groups that were up before
}

// down reports whether the machine goes down, too: then nothing is left
// running for the sake of another group's stop.
func (s *service) down() bool { return s.state != Running && (s.act != nil || s.server) }

func (in StopService) apply(m *Machine) {
	order := in.Then != recovery.NoAction && in.Then != ""
	if m.service.state != Running {
		if order && !m.service.down() { // it ends with the service
			m.do(Stay{})
		}
		return
	}
	var f *finalAct
	if order {
		if m.observing() { // the configuration has changed since it was asked for
			m.emit(event.WouldHave, "", "action", string(in.Then), "reason", in.Reason)
			m.do(Stay{})
			return
		}
		f = &finalAct{action: in.Then, reason: in.Reason}
	}
	m.stopService(in, f)
	m.service.by = nil
}

// stopService begins to stop everything; f follows, or is what asked for it.
func (m *Machine) stopService(in StopService, f *finalAct) {
	m.service.state, m.service.by = ServiceStop, f
	if in.Then == recovery.NoAction {
		f = nil
	}
	m.service.act, m.service.server = f, in.Server
	m.reload, m.allWatches, m.changed = nil, true, true
	m.emit(event.ServiceStopping, "", "reason", in.Reason)
	r := resource.Request{Event: resource.Start, Factor: resource.ServiceStop, LastAction: "NONE"}
	switch {
	case in.Then == recovery.Reboot:
		r.Factor, r.LastAction = resource.ServerStop, "REBOOT"
	case in.Then == recovery.Shutdown:
		r.Factor, r.LastAction = resource.ServerStop, "HALT"
	case in.Server:
		r.Factor = resource.ServerStop
	}
	if (f != nil || in.Server) && m.model.Shutdown.Watch == "always" {
		m.guard(in.Reason)
	}
	m.service.again = nil
	for _, g := range m.groups {
		if g.active() || g.state == GroupStarting || g.state == GroupStopping && g.restart {
			m.service.again = append(m.service.again, g.cfg.Name)
		}
		if g.state == GroupStopping {
			g.restart = false
		} else {
			m.stopGroup(g, r, in.Reason)
		}
	}
}

func (m *Machine) guard(reason string) {
	if !m.service.guarded && !m.observing() {
		m.service.guarded = true
		m.do(Guard{reason})
	}
}

// advanceService concludes the stop of the service once every group is down.
func (m *Machine) advanceService() bool {
	s := &m.service
	if s.state != ServiceStop || slices.ContainsFunc(m.groups, func(g *group) bool { return g.busy() }) {
		return false
	}
	s.state = Stopped
	if s.stopFailed && (s.act != nil || s.server) && m.model.Shutdown.Watch == "on_failure" {
		m.guard("stopping a group failed")
	}
	if s.act == nil {
		m.do(Exit{Guarded: s.guarded})
		return true
	}
	m.act(s.act)
	return true
}

// resume takes the service up again when neither an action nor a harder one took the
// machine down: a server that stays up is to serve. A countdown that guards the way
// down will still end it.
func (m *Machine) resume(subject string) {
	s := m.service
	if s.state != Stopped || s.server || s.guarded {
		return
	}
	m.service, m.allWatches, m.changed = service{}, true, true
	m.emit(event.ServiceResumed, subject)
	for _, g := range m.groups {
		if g.state == GroupOffline && slices.Contains(s.again, g.cfg.Name) {
			m.startGroup(g, resource.Request{Event: resource.Start}, "the machine stays up")
		}
	}
}

// reload is a change of configuration that waits for resources to stop.
type reload struct {
	model   *config.Model
	stopped []*unit
	again   []string // groups that were online and are started again
}

func (in Reload) apply(m *Machine) {
	if m.service.state != Running {
		return // what is in force stays so until the end
	}
	r := &reload{model: in.Model}
	for _, name := range in.Restart {
		u := m.units[name]
		if u == nil || u.down() && u.op == 0 {
			continue
		}
		g := u.group
		if g.active() || g.state == GroupStarting {
			r.again = append(r.again, g.cfg.Name)
			m.stopGroup(g, resource.Request{Event: resource.Start, Factor: resource.GroupStop}, "its configuration changes")
		}
		r.stopped = append(r.stopped, u)
	}
	m.reload = r
}

// advanceReload swaps the configuration when nothing that it changes runs.
func (m *Machine) advanceReload() bool {
	r := m.reload
	if r == nil || slices.ContainsFunc(r.stopped, func(u *unit) bool { return u.group.busy() }) {
		return false
	}
	m.reload, m.allWatches = nil, true
	was := m.groups
	m.install(r.model)
	m.do(Swap{})
	for _, g := range m.groups {
		fresh := !slices.Contains(was, g)
		if slices.Contains(r.again, g.cfg.Name) || fresh && g.cfg.Auto && m.model.Server.Autostart == "always" {
			m.startGroup(g, resource.Request{Event: resource.Start}, "the configuration changed")
		}
	}
	return true
}
