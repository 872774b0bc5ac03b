package decide

import (
	"slices"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/event"
	"shisa/ctl/resource"
)

// A ResourceState is the state of a resource.
type ResourceState string

// Resource states.
const (
	Offline     ResourceState = "offline"
	Starting    ResourceState = "starting"
	Online      ResourceState = "online"
	Stopping    ResourceState = "stopping"
	StartFailed ResourceState = "start_failed" // every attempt failed; it was stopped again
	StopFailed  ResourceState = "stop_failed"  // every attempt failed; what is left of it is unknown
)

// A unit is a resource with what is going on about it.
type unit struct {
	cfg      config.Resource
	group    *group
	needs    []*unit // that must be online before it starts
	neededBy []*unit // that must be offline before it stops

	state    ResourceState
	goal     ResourceState // Online or Offline
	op       Op            // outstanding; 0: none
	attempts int           // of the running start or stop
	retryAt  time.Duration // before which no further attempt is made
	cleanup  bool          // the running stop clears up after a failed start
	bounce   bool          // to be started again once all that bounce are down
	shown    ResourceState // state of the last step, and since when
	since    time.Duration
	last     string // why the last operation failed
	late     bool   // because it was not done in time

	startedAt time.Duration // last start that succeeded; never: none
	watches   []*watch      // whose probing may depend on it
	watched   bool          // those were told last that it is active
}

func (u *unit) subject() string { return "resource/" + u.cfg.Name }

// link connects the units of g with those that they need: the named ones, or
// all that stand before. Of all, only those are kept that nothing else before
// needs: the others come first anyway, and links stay few in a long group.
func (g *group) link() {
	at := map[string]*unit{}
	for _, u := range g.units {
		at[u.cfg.Name] = u
	}
	needed := map[*unit]bool{} // by one that stands before
	var ends []*unit           // that stand before and are not needed there
	for _, u := range g.units {
		needs := ends
		if u.cfg.DependsOn != nil {
			needs = nil
			for _, name := range u.cfg.DependsOn {
				if n := at[name]; n != nil && n != u && !slices.Contains(needs, n) {
					needs = append(needs, n)
				}
			}
		}
		for _, n := range needs {
			u.needs = append(u.needs, n)
			n.neededBy = append(n.neededBy, u)
			needed[n] = true
		}
		ends = append(ends, u)
		ends = slices.DeleteFunc(slices.Clone(ends), func(e *unit) bool { return needed[e] })
	}
}

// want sets the goal and forgives earlier failures.
func (u *unit) want(goal ResourceState) {
	u.goal, u.attempts, u.retryAt = goal, 0, 0
	if goal == Online && u.state == StartFailed && u.op == 0 {
		u.state = Offline
	}
}

// moving reports whether the unit will go on by itself: an operation is under
// way or a further attempt is due later.
func (u *unit) moving(now time.Duration) bool { return u.op != 0 || u.retryAt > now }

func (u *unit) down() bool { return u.state == Offline || u.state == StartFailed }

// advanceUnit starts the next operation of u if one is possible.
func (m *Machine) advanceUnit(u *unit) bool {
	if u.op != 0 || m.now < u.retryAt {
		return false
	}
	switch {
	case u.goal == Online && u.state == StopFailed && u.attempts == 0 && u.mayStop():
		// What is left of it is unknown: starting it could run it twice.
		u.cleanup = true
		m.stopUnit(u)
	case u.goal == Online && u.state == Offline && u.mayStart():
		u.state = Starting
		u.op = m.begin(pending{unit: u})
		m.do(StartResource{u.op, u.cfg.Name, u.request(), m.stretched(u.cfg.Timing.Start)})
	case u.goal == Offline && (u.state == Online || u.state == StopFailed && u.attempts <= u.cfg.StopRetry) && u.mayStop():
		m.stopUnit(u)
	case u.goal == Offline && u.state == StartFailed:
		u.state = Offline
	default:
		return false
	}
	return true
}

func (m *Machine) stopUnit(u *unit) {
	u.state = Stopping
	u.op = m.begin(pending{unit: u})
	m.do(StopResource{u.op, u.cfg.Name, u.request(), m.stretched(u.cfg.Timing.Stop)})
}

func (u *unit) request() resource.Request {
	if u.group.bouncing {
		return resource.Request{Event: resource.Recover, Factor: resource.ResourceRestart}
	}
	return u.group.request
}

func (u *unit) mayStart() bool {
	return !slices.ContainsFunc(u.needs, func(n *unit) bool {
		return n.state != Online && !(n.state == StartFailed && n.cfg.StartGoOn)
	})
}

// mayStop reports whether nothing that needs u runs any more. What could not
// be stopped is not waited for, but what needs that in turn is.
func (u *unit) mayStop() bool {
	return !slices.ContainsFunc(u.neededBy, func(n *unit) bool {
		return !n.down() && !(n.state == StopFailed && n.mayStop())
	})
}

// unitEnded takes the outcome of the operation of u.
func (m *Machine) unitEnded(u *unit, failure string) {
	u.op = 0
	if failure != "" || !u.cleanup {
		u.last = failure // what clears up does not hide what went wrong before
	}
	switch {
	case u.state == Starting && failure == "":
		u.state, u.attempts, u.startedAt = Online, 0, m.now
		m.emit(event.ResourceStarted, u.subject())
	case u.state == Starting:
		u.attempts++
		m.emit(event.ResourceFailed, u.subject(), "error", failure)
		u.cleanup = true
		m.stopUnit(u)
	case u.cleanup:
		m.cleanedUp(u, failure)
	case failure == "":
		u.state, u.attempts = Offline, 0
		m.emit(event.ResourceStopped, u.subject())
	default:
		u.attempts++
		u.state = StopFailed
		m.emit(event.ResourceStuck, u.subject(), "error", failure)
		if u.attempts <= u.cfg.StopRetry {
			u.retryAt = m.now + RetryPause
		}
	}
}

// cleanedUp goes on after the stop that follows a failed start.
func (m *Machine) cleanedUp(u *unit, failure string) {
	u.cleanup = false
	switch {
	case failure != "":
		u.state = StopFailed
		u.attempts = max(u.attempts, 1)
		m.emit(event.ResourceStuck, u.subject(), "error", failure)
	case u.goal == Offline || u.attempts == 0:
		u.state = Offline
	case u.attempts <= u.cfg.StartRetry:
		u.state = Offline
		u.retryAt = m.now + RetryPause
	default:
		u.state = StartFailed
	}
}

// restartUnit restarts u and what needs it, while its group stays online.
func (m *Machine) restartUnit(u *unit) {
	u.group.bouncing = true
	u.group.waitUntil = 0
	m.bounceDown(u)
}

func (m *Machine) bounceDown(u *unit) {
	if u.bounce {
		return
	}
	u.bounce = true
	u.want(Offline)
	for _, n := range u.neededBy {
		m.bounceDown(n)
	}
}
