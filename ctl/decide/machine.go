// Package decide is the decision maker of the whole server: it is told what
// happened and answers with what is to be done. It is pure: no clock, no
// goroutine, no I/O; time arrives with every input. The daemon, `shisa
// simulate` and the tests run the very same machine.
//
//	inputs  ──► Machine.Step(now, input) ──► commands
//	probes, ended operations,                start and stop resources, run scripts,
//	operator, timers                         act on the machine, events
//
// Every operation that a command starts is answered by exactly one later
// input that carries its [Op].
package decide

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/event"
	"shisa/ctl/recovery"
	"shisa/ctl/window"
)

// RetryPause is the wait before a further attempt to start or stop a resource.
// There is none after the last attempt.
const RetryPause = 5 * time.Second

// maxRounds bounds the rounds of one step: each takes at least one unit or
// group one state further, and there are never so many.
const maxRounds = 16 * (config.MaxResources + config.MaxGroups)

// An Op identifies an operation from the command that starts it to the input
// that ends it. Zero is never used.
type Op uint64

// A Machine is the state of the decisions. It is used by one goroutine.
type Machine struct {
	model *config.Model
	now   time.Duration // since an arbitrary start, monotonic

	groups     []*group // in order of the configuration
	groupNamed map[string]*group
	units      map[string]*unit
	watches    []*watch
	watchNamed map[string]*watch
	delayed    map[*watch]bool // those with a restart to come
	allWatches bool            // whether each is probed must be looked at anew

	service   service
	limiter   limiter
	storeDown bool   // intents cannot be recorded: no machine-level action
	rescue    bool   // booted into a rescue target: nothing is recovered
	unable    string // why nothing can be done to the machine itself; empty: it can
	allHeld   bool   // everything is suspended by the operator

	wall          time.Time     // by the calendar, when wallAt was now; zero: unknown
	wallAt        time.Duration //
	maintenance   window.Set    // of the whole server
	maintaining   string        // window that was announced as open
	calendarAt    time.Duration // when that may change
	rebootWindows window.Set
	gated         []*finalAct // that wait until the machine may go down
	stretch       int         // of timeouts; 0 or 1: as configured
	stretchUntil  time.Duration
	seed          uint64 // of jitter

	ops    map[Op]pending
	lastOp Op
	reload *reload
	out    []Command

	// changed says that something may be able to move. Most probes change
	// nothing, and there may be thousands of them a second.
	changed bool
}

// pending is what an outstanding operation belongs to; one field is set.
type pending struct {
	unit  *unit
	watch *watch
	act   *finalAct
	ask   *finalAct            // whose blockers are asked
	then  func(failure string) // what follows the script of a unit
}

// New returns a machine for model in which nothing is started yet.
func New(model *config.Model) *Machine {
	m := &Machine{ops: map[Op]pending{}, delayed: map[*watch]bool{}}
	m.install(model)
	return m
}

// Step takes what happened at now and returns what is to be done, in order.
// now never goes back.
func (m *Machine) Step(now time.Duration, in Input) []Command {
	m.now = max(m.now, now)
	m.out = nil
	if _, probe := in.(Probed); !probe {
		m.changed = true
	}
	in.apply(m)
	m.settle()
	return m.out
}

// Wake returns the time at which a [Tick] is due, and false when none is.
func (m *Machine) Wake() (time.Duration, bool) {
	var at []time.Duration
	for _, g := range m.groups {
		at = append(at, g.deadlines(m)...)
	}
	for w := range m.delayed {
		at = append(at, w.restartAt)
	}
	at = append(at, m.limiter.deadlines(m)...)
	at = append(at, m.gateDeadlines()...)
	if m.stretch > 1 {
		at = append(at, m.stretchUntil)
	}
	if m.calendarAt < always {
		at = append(at, m.calendarAt)
	}
	if len(at) == 0 {
		return 0, false
	}
	return slices.Min(at), true
}

// install builds the state for model, keeping what exists under the same name.
func (m *Machine) install(model *config.Model) {
	m.model = model
	oldGroups, oldUnits, oldWatches := m.groupNamed, m.units, m.watchNamed
	m.groups, m.watches = nil, nil
	m.groupNamed, m.units, m.watchNamed = map[string]*group{}, map[string]*unit{}, map[string]*watch{}
	m.calendarAt = m.now
	m.maintenance, m.rebootWindows = mustParse(model.Server.Maintenance), mustParse(model.Reboot.Windows)
	for _, c := range model.Groups {
		g := oldGroups[c.Name]
		if g == nil {
			g = &group{state: GroupOffline}
		}
		g.cfg, g.units = c, nil
		m.groups = append(m.groups, g)
		m.groupNamed[c.Name] = g
	}
	for _, c := range model.Resources {
		u := oldUnits[c.Name]
		if u == nil {
			u = &unit{state: Offline, startedAt: never}
		}
		g := m.groupNamed[c.Group]
		u.cfg, u.group, u.needs, u.neededBy, u.watches = c, g, nil, nil, nil
		g.units = append(g.units, u)
		m.units[c.Name] = u
	}
	for _, g := range m.groups {
		g.link()
	}
	for _, c := range model.Monitors {
		w := oldWatches[c.Name]
		if w == nil {
			w = &watch{health: Unknown, announced: Unknown}
		} else if m.observing() || w.cfg.Recovery != c.Recovery {
			m.void(w)
		}
		delete(oldWatches, c.Name)
		w.cfg, w.index, w.target, w.maintenance = c, len(m.watches), m.units[c.Target], mustParse(c.Maintenance)
		m.watches = append(m.watches, w)
		m.watchNamed[c.Name] = w
		if w.target != nil {
			w.target.watches = append(w.target.watches, w)
		}
	}
	for _, w := range m.watches {
		w.parents = nil
		for _, name := range w.cfg.Parents {
			w.parents = append(w.parents, m.watchNamed[name])
		}
	}
	for _, w := range oldWatches { // those that are gone
		m.forget(w)
		w.then = nil
	}
	m.voidOfUnits()
	m.allWatches = true
}

func (m *Machine) do(c Command) { m.out = append(m.out, c) }

func (m *Machine) emit(d *event.Def, subject string, pairs ...string) {
	m.do(Emit{d.New(subject, pairs...)})
}

func (m *Machine) begin(p pending) Op {
	m.lastOp++
	m.ops[m.lastOp] = p
	return m.lastOp
}

// end returns what op belonged to and forgets it. An unknown op (an answer
// that comes twice, or for something that a reload removed) yields nothing.
func (m *Machine) end(op Op) pending {
	p := m.ops[op]
	delete(m.ops, op)
	return p
}

// settle moves everything that can move until nothing does.
func (m *Machine) settle() {
	changed := m.changed
	for round := 0; m.changed; round++ {
		if round > maxRounds {
			panic("decide: the state does not settle")
		}
		m.changed = false
		m.watchActive() // before what they watch is stopped
		for _, g := range m.groups {
			m.changed = m.advance(g) || m.changed
		}
		m.changed = m.advanceService() || m.changed
		m.changed = m.advanceReload() || m.changed
		m.watchActive()
		m.restartDelayed()
		m.advanceGates()
	}
	m.calm()
	if m.stretch > 1 && m.now >= m.stretchUntil {
		m.endStretch()
	}
	m.announceMaintenance()
	m.stampStates(changed)
}

// restartDelayed begins the restarts whose time has come, in order of the
// monitors, for the same result each time.
func (m *Machine) restartDelayed() {
	due := slices.SortedFunc(maps.Keys(m.delayed), func(a, b *watch) int { return a.index - b.index })
	for _, w := range due {
		if !m.delayed[w] || m.now < w.restartAt {
			continue
		}
		m.changed = true
		if why, held := m.heldBack(w); held {
			w.recovery.Restarts-- // it was not made, and stays due
			m.forget(w)
			m.withhold(w, why)
			continue
		}
		m.restart(w, w.last)
	}
}

// stampStates notes since when groups and resources are in their state, and
// has changes saved.
func (m *Machine) stampStates(changed bool) {
	if !changed {
		return
	}
	moved := false
	for _, g := range m.groups {
		if g.state != g.shown {
			g.shown, g.since, moved = g.state, m.now, true
		}
		for _, u := range g.units {
			if u.state != u.shown {
				u.shown, u.since, moved = u.state, m.now, true
			}
		}
	}
	if moved {
		m.do(Save{})
	}
}

// withheld reports whether decisions are not carried out at present, and why.
func (m *Machine) withheld(suppressed bool) (string, bool) {
	switch {
	case m.rescue:
		return "the machine is in a rescue target", true
	case m.allHeld:
		return "everything is suspended", true
	case m.model.Server.RecoverySuppress:
		return "recovery is suppressed for the whole server", true
	case suppressed:
		return "it is suppressed by the configuration", true
	case m.service.state != Running:
		return "the service is stopping", true
	}
	return m.maintained(nil)
}

// observing reports whether decisions are only announced.
func (m *Machine) observing() bool { return m.model.Mode != config.Protect }

func itoa(n int) string { return strconv.Itoa(n) }

// never is a time before any other that can be told from now without overflow,
// always one after any other.
const (
	never  = time.Duration(math.MinInt64 / 2)
	always = time.Duration(math.MaxInt64 / 2)
)

// severity orders final actions, mildest first.
func severity(a recovery.Action) int { return slices.Index(recovery.FinalActions(), a) }
