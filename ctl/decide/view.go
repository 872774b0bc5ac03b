package decide

import (
	"time"

	"shisa/ctl/recovery"
)

// A View is what can be seen of the machine at one moment. It shares nothing
// with it.
type View struct {
	Service   ServiceState
	Held      bool // everything is suspended
	Rescue    bool
	Actions   int // machine-level actions that count against the limit
	Groups    []GroupView
	Resources []ResourceView
	Monitors  []MonitorView
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
	Health             Health
	Detail             string
	Since              time.Duration // of the health, on the clock of Step
	Recovery           recovery.State
	Decision           recovery.Decision // last
	RestartAt          time.Duration     // delayed restart, on the clock of Step; 0: none
}

// View returns what can be seen now.
func (m *Machine) View() View {
	v := View{Service: m.service.state, Held: m.allHeld, Rescue: m.rescue, Actions: m.limiter.count}
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
		Probing: w.on, Held: w.held, Dummy: w.dummy, Health: health, Detail: w.detail, Since: w.since,
		Recovery: w.recovery, Decision: w.last, RestartAt: w.restartAt}
}
