package decide

import (
	"slices"
	"strings"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/event"
	"shisa/ctl/resource"
)

// A GroupState is the state of a group.
type GroupState string

// Group states.
const (
	GroupOffline     GroupState = "offline"
	GroupStarting    GroupState = "starting"
	GroupOnline      GroupState = "online"
	GroupStopping    GroupState = "stopping"
	GroupStartFailed GroupState = "start_failed"
	GroupStopFailed  GroupState = "stop_failed"
)

type groupEvent string

const (
	startAsked  groupEvent = "start asked"
	stopAsked   groupEvent = "stop asked"
	allStarted  groupEvent = "all started"
	startFailed groupEvent = "start failed"
	allStopped  groupEvent = "all stopped"
	stopFailed  groupEvent = "stop failed"
	repaired    groupEvent = "resource restarted"
)

// transitions is the whole life of a group, drawn in the manual (chapter "groups"). What does not
// stand here does not happen: such an event leaves the group as it is.
var transitions = map[GroupState]map[groupEvent]GroupState{
	GroupOffline:     {startAsked: GroupStarting},
	GroupStarting:    {allStarted: GroupOnline, startFailed: GroupStartFailed, stopAsked: GroupStopping},
	GroupOnline:      {stopAsked: GroupStopping, startFailed: GroupStartFailed},
	GroupStopping:    {allStopped: GroupOffline, stopFailed: GroupStopFailed},
	GroupStartFailed: {startAsked: GroupStarting, stopAsked: GroupStopping, repaired: GroupOnline},
	GroupStopFailed:  {startAsked: GroupStarting, stopAsked: GroupStopping},
}

type group struct {
	cfg       config.Group
	units     []*unit // in order of start
	state     GroupState
	request   resource.Request // of the running transition
	reason    string           // of the running transition
	waitUntil time.Duration    // for other groups; 0: not waiting
	restart   bool             // start again once stopped
	asked     bool             // was ever started or stopped
	shown     GroupState       // state of the last step, and since when
	since     time.Duration
	stopCause string // one of config.Group.StopWhen
	givenUp   bool   // stopped by the final action of a resource, and left alone since
	bouncing  bool   // some units are being restarted while the group stays online
}

func (g *group) subject() string { return "group/" + g.cfg.Name }

// move applies ev and reports whether the table knows it.
func (g *group) move(ev groupEvent) bool {
	next, ok := transitions[g.state][ev]
	if ok {
		g.state = next
	}
	return ok
}

// busy reports whether the group is between two states; recovery keeps away.
func (g *group) busy() bool {
	return g.state == GroupStarting || g.state == GroupStopping || g.bouncing
}

func (g *group) active() bool { return g.state == GroupOnline || g.state == GroupStartFailed }

func (g *group) deadlines(m *Machine) []time.Duration {
	if !g.busy() {
		return nil
	}
	var at []time.Duration
	if g.waitUntil > 0 {
		at = append(at, g.waitUntil)
	}
	for _, u := range g.units {
		if u.retryAt > m.now {
			at = append(at, u.retryAt)
		}
	}
	return at
}

// startGroup begins to start g; it reports whether there was anything to do.
// Nothing is started any more once the service stops.
func (m *Machine) startGroup(g *group, r resource.Request, reason string) bool {
	if m.service.state != Running {
		return false
	}
	g.givenUp = false
	if g.state == GroupStopping {
		g.restart, g.reason = true, reason
		return true
	}
	if !g.move(startAsked) {
		return false
	}
	g.request, g.reason, g.restart, g.asked = r, reason, false, true
	g.waitUntil = m.now + m.stretched(g.cfg.StartWait)
	for _, u := range g.units {
		u.want(Online)
	}
	m.emit(event.GroupStarting, g.subject(), "reason", reason)
	return true
}

// stopGroup begins to stop g; it reports whether there was anything to do.
func (m *Machine) stopGroup(g *group, r resource.Request, reason string) bool {
	g.restart, g.asked, g.givenUp = false, true, false
	if !g.move(stopAsked) {
		return false
	}
	g.request, g.reason, g.bouncing = r, reason, false
	m.clearBounce(g)
	g.waitUntil = m.now + m.stretched(g.cfg.StopWait)
	switch r.Factor {
	case resource.ServiceStop:
		g.stopCause = "service"
	case resource.ServerStop:
		g.stopCause = "shutdown"
	default:
		g.stopCause = "group"
	}
	for _, u := range g.units {
		u.want(Offline)
	}
	m.emit(event.GroupStopping, g.subject(), "reason", reason)
	return true
}

// advance moves the units of g and concludes a transition that has come to its
// end. It reports whether anything changed.
func (m *Machine) advance(g *group) bool {
	if !g.busy() || m.awaitsOthers(g) {
		return false
	}
	changed := false
	for _, u := range g.units {
		changed = m.advanceUnit(u) || changed
	}
	for _, u := range slices.Backward(g.units) {
		changed = m.advanceUnit(u) || changed
	}
	if changed || slices.ContainsFunc(g.units, func(u *unit) bool { return u.moving(m.now) }) {
		return changed
	}
	switch {
	case g.bouncing:
		return m.bounced(g)
	case g.state == GroupStarting:
		m.started(g)
	default:
		m.stopped(g)
	}
	return true
}

// awaitsOthers holds g back until the groups that it waits for are there.
func (m *Machine) awaitsOthers(g *group) bool {
	if g.waitUntil == 0 {
		return false
	}
	names, goOn, ready := g.cfg.StartAfter, g.cfg.StartGoOn, GroupOnline
	if g.state == GroupStopping {
		names, goOn, ready = g.cfg.StopAfter, g.cfg.StopGoOn || m.service.down(), GroupOffline
		if !slices.Contains(g.cfg.StopWhen, g.stopCause) {
			names = nil
		}
	}
	var missing []string
	hope := false // that one of them will get there
	for _, n := range names {
		if other := m.groupNamed[n]; other != nil && other.state != ready {
			missing = append(missing, n)
			hope = hope || m.service.state == Running || other.busy()
		}
	}
	if hope && m.now < g.waitUntil {
		return true
	}
	g.waitUntil = 0
	if len(missing) == 0 || goOn {
		return false
	}
	why := "it waited in vain for " + strings.Join(missing, ", ")
	if g.state == GroupStarting {
		g.move(startFailed)
		m.emit(event.GroupStartFailed, g.subject(), "error", why)
	} else {
		g.move(stopFailed)
		m.emit(event.GroupStopFailed, g.subject(), "error", why)
	}
	return true
}

func (m *Machine) started(g *group) {
	if failed := g.inState(StartFailed, StopFailed); len(failed) > 0 {
		g.move(startFailed)
		m.emit(event.GroupStartFailed, g.subject(), "error", "resources that did not start: "+names(failed))
		m.startFailures(failed)
		return
	}
	g.move(allStarted)
	m.emit(event.GroupStarted, g.subject())
}

func (m *Machine) stopped(g *group) {
	if failed := g.inState(StopFailed); len(failed) > 0 {
		g.move(stopFailed)
		m.emit(event.GroupStopFailed, g.subject(), "error", "resources that did not stop: "+names(failed))
		m.service.stopFailed = true
		m.stopFailures(failed)
		return
	}
	g.move(allStopped)
	m.emit(event.GroupStopped, g.subject())
	if g.restart {
		m.startGroup(g, resource.Request{Event: resource.Recover, Factor: resource.GroupRestart}, g.reason)
	}
}

// bounced ends one half of the restart of single resources: all down, then all
// up again.
func (m *Machine) bounced(g *group) bool {
	down := slices.ContainsFunc(g.units, func(u *unit) bool { return u.bounce })
	if failed := g.inState(StopFailed); len(failed) > 0 {
		g.bouncing = false
		m.clearBounce(g)
		g.move(startFailed)
		m.stopFailures(failed)
		return true
	}
	if down {
		for _, u := range g.units {
			if u.bounce {
				u.bounce = false
				u.want(Online)
			}
		}
		return true
	}
	g.bouncing = false
	if failed := g.inState(StartFailed); len(failed) > 0 {
		g.move(startFailed)
		m.emit(event.GroupStartFailed, g.subject(), "error", "resources that did not start: "+names(failed))
		m.startFailures(failed)
	} else if len(g.inState(Online)) == len(g.units) {
		g.move(repaired)
	}
	return true
}

func (m *Machine) clearBounce(g *group) {
	for _, u := range g.units {
		u.bounce = false
	}
}

func (g *group) inState(states ...ResourceState) []*unit {
	var found []*unit
	for _, u := range g.units {
		if slices.Contains(states, u.state) {
			found = append(found, u)
		}
	}
	return found
}

func names(units []*unit) string {
	s := make([]string, len(units))
	for i, u := range units {
		s[i] = u.cfg.Name
	}
	return strings.Join(s, ", ")
}
