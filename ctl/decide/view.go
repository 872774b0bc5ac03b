package decide

import (
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/recovery"
)

// A View is what can be seen of the machine at one moment. It shares nothing
// with it.
type View struct {
	Service ServiceState
	Held    bool // everything is suspended
	Rescue  bool
	Actions int // machine-level actions that count against the limit

	Maintenance  string        // window of the whole server that is open; empty: none
	Stretch      int           // by which timeouts are multiplied; 0 or 1: as configured
	StretchUntil time.Duration // on the clock of Step
	Waiting      []WaitingView // actions on the machine that must not be taken yet

	Groups    []GroupView
	Resources []ResourceView
	Monitors  []MonitorView
}

// A WaitingView is an action on the machine that waits.
type WaitingView struct {
	Subject string
	Action  recovery.Action
	Reason  string // why it waits
}

// A GroupView is what can be seen of a group.
type GroupView struct {
	Name  string
	State GroupState
	Since time.Duration // of the state, on the clock of Step
}

// A ResourceView is what can be seen of a resource.
type ResourceView struct {
	Name, Group, Type, Comment string
	State                      ResourceState
	Since                      time.Duration // of the state, on the clock of Step
	Failure                    string        // of the last operation; empty: it succeeded
}

// A MonitorView is what can be seen of a monitor.
type MonitorView struct {
	Name, Type, Target string
	Probing            bool
	Held, Dummy        bool
	Idle               bool // its target is not active
	Health             Health
	Detail             string
	Since              time.Duration // of the health, on the clock of Step
	Recovery           recovery.State
	Decision           recovery.Decision // last
	RestartAt          time.Duration     // delayed restart, on the clock of Step; 0: none
}

// View returns what can be seen now.
func (m *Machine) View() View {
	v := View{Service: m.service.state, Held: m.allHeld, Rescue: m.rescue, Actions: m.limiter.count,
		Maintenance: m.maintaining, Stretch: m.stretch, StretchUntil: m.stretchUntil}
	v.Groups, v.Resources = make([]GroupView, 0, len(m.groups)), make([]ResourceView, 0, len(m.units))
	v.Monitors = make([]MonitorView, 0, len(m.watches))
	for _, f := range m.gated {
		v.Waiting = append(v.Waiting, WaitingView{f.subject, f.action, f.waitsFor()})
	}
	for _, g := range m.groups {
		v.Groups = append(v.Groups, GroupView{g.cfg.Name, g.state, g.since})
		for _, u := range g.units {
			v.Resources = append(v.Resources, ResourceView{u.cfg.Name, g.cfg.Name, u.cfg.Type, u.cfg.Comment, u.state, u.since, u.last})
		}
	}
	for _, w := range m.watches {
		v.Monitors = append(v.Monitors, w.view())
	}
	return v
}

// Service returns the state of the whole service.
func (m *Machine) Service() ServiceState { return m.service.state }

// Monitor returns what can be seen of one monitor, and false when there is none
// of that name.
func (m *Machine) Monitor(name string) (MonitorView, bool) {
	w := m.watchNamed[name]
	if w == nil {
		return MonitorView{}, false
	}
	return w.view(), true
}

func (w *watch) view() MonitorView {
	health := w.health
	if health == "" {
		health = Unknown
	}
	return MonitorView{Name: w.cfg.Name, Type: w.cfg.Type, Target: w.cfg.Target,
		Probing: w.on, Held: w.held, Dummy: w.dummy, Idle: w.cfg.When == monitor.WhileActive && (w.target == nil || !w.target.active()),
		Health: w.health, Detail: w.detail, Since: w.since,
		Recovery: w.recovery, Decision: w.last, RestartAt: w.restartAt}
}
