package protect

import (
	"cmp"
	"fmt"
	"strings"

	"shisa/ctl/api"
	"shisa/ctl/beat"
	"shisa/ctl/config"
	"shisa/ctl/keepalive"
	"shisa/ctl/keeper"
)

// A View is what the operator sees of the countdowns.
type View struct {
	Protection api.Protection
	Stall      api.Stall
	Shutdown   api.Shutdown
}

// View returns what is known now. It never waits.
func (p *Protect) View() View {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.model == nil {
		return View{Protection: api.Protection{State: api.Unprotected, Summary: "Starting.", Passed: []api.Passed{}}, Stall: api.Stall{Beats: []api.Beat{}}}
	}
	return View{Protection: p.protection(), Stall: p.stall(), Shutdown: p.shutdown()}
}

func (p *Protect) protection() api.Protection {
	v := api.Protection{Passed: []api.Passed{}, Keeper: p.keeper()}
	for i, e := range p.status.Engines {
		if i > 1 || p.lost != nil {
			break
		}
		one := p.engine(i, e)
		if e.Role == keepalive.Backstop {
			v.Backstop = one
		} else {
			v.Primary = one
		}
	}
	for _, c := range p.chosen.Candidates {
		if !c.Chosen {
			v.Passed = append(v.Passed, api.Passed{Engine: strings.TrimSpace(string(c.Role) + " " + c.Method + " " + c.Device), Reason: c.Why})
		}
	}
	v.State, v.Summary = p.judge(v)
	return v
}

// judge says in one sentence whether a stall would be ended.
func (p *Protect) judge(v api.Protection) (api.ProtectionState, string) {
	armed := func(e *api.Engine) bool { return e != nil && e.Armed && e.Driver != "none" }
	switch m := p.model; {
	case m.Mode != config.Protect:
		return api.Observing, "Observing: nothing is armed. In mode protect " + p.would() + "."
	case !m.Stall.Enabled:
		return api.Disarmed, "Nothing is armed: stall.enabled is false."
	case p.never != "":
		return api.Disarmed, "Nothing is armed: " + p.never + "."
	case p.lost != nil:
		return api.Unprotected, "No countdown guards this machine: shisa-keeper: " + reason(p.lost) + "."
	case armed(v.Primary) && v.Primary.Error == "":
		text := fmt.Sprintf("A stall of user space is ended by %s: %s %v after the last sign of progress", name(v.Primary), v.Primary.Action, m.Stall.Timeout)
		if armed(v.Backstop) {
			return api.Protected, text + fmt.Sprintf("; a stall of the kernel by %s, %v later.", name(v.Backstop), m.Keepalive.Margin)
		}
		if m.Keepalive.Backstop != "none" && !v.Primary.Hardware {
			return api.Lesser, text + "; nothing ends a stall of the kernel: there is no hardware countdown."
		}
		return api.Protected, text + "."
	case armed(v.Backstop):
		return api.Lesser, "Only the backstop " + name(v.Backstop) + " is armed."
	case m.Keepalive.Method == "none":
		return api.Disarmed, `Nothing is armed: keepalive.method is "none".`
	}
	return api.Unprotected, "No countdown guards this machine: " + why(p.chosen) + "."
}

func name(e *api.Engine) string { return strings.TrimSpace(e.Driver + " " + e.Device) }

// would says what mode protect would arm.
func (p *Protect) would() string {
	var names []string
	for _, c := range p.chosen.Choices() {
		names = append(names, fmt.Sprintf("%s as %s", c.Info, c.Role))
	}
	if len(names) == 0 {
		return "there would be no countdown, either: shisa doctor says what is missing"
	}
	return "it would be " + strings.Join(names, " and ")
}

// engine joins what the keeper said last with what stands on the page now.
func (p *Protect) engine(i int, e keeper.Engine) *api.Engine {
	page := p.page.Engine(i)
	v := &api.Engine{
		Role: string(e.Role), Driver: e.Driver, Device: e.Device, Identity: e.Identity, Hardware: e.Hardware,
		Armed: e.Armed, TimeoutMS: api.Millis(e.Granted.Timeout), AskedMS: api.Millis(e.Asked.Timeout),
		Action: string(e.Granted.Action), Pretimeout: cmp.Or(string(e.Granted.Pretimeout), "none"), BeforeMS: api.Millis(e.Granted.Before),
		Pings: uint64(max(0, page.Pings.Load())), NoWayOut: e.NoWayOut, Outlives: e.Outlives, Error: e.Error,
	}
	if at := beat.Time(page.LastPing.Load()); at > 0 {
		v.LastPingMS = api.Millis(beat.Now().Sub(at))
	}
	for _, c := range p.chosen.Candidates {
		if c.Chosen && c.Role == e.Role {
			v.Why = c.Why
		}
	}
	return v
}

func (p *Protect) keeper() api.Keeper {
	switch {
	case p.pageErr != nil:
		return api.Keeper{State: "absent", Holding: "progress is measured in memory only: " + p.pageErr.Error()}
	case p.lost != nil:
		return api.Keeper{State: "not answering", Holding: reason(p.lost)}
	}
	k := api.Keeper{State: "running", PID: p.status.PID, Version: p.status.Version}
	if i := int(p.page.Keeper().StaleSlot.Load()) - 1; i >= 0 {
		k.Holding = "beat " + p.page.Name(i) + " is missing: no ping"
	}
	return k
}

func (p *Protect) stall() api.Stall {
	s := p.model.Stall
	v := api.Stall{Enabled: s.Enabled, IntervalMS: api.Millis(s.Interval), TimeoutMS: api.Millis(s.Timeout), WarnPercent: s.WarnPercent, Beats: []api.Beat{}}
	var r beat.Reading
	for i := range beat.MaxSlots {
		if !p.page.Read(i, &r) {
			continue
		}
		age := max(0, beat.Now().Sub(r.Last))
		v.Beats = append(v.Beats, api.Beat{Name: r.Name(), AgeMS: api.Millis(age), LimitMS: api.Millis(r.Limit),
			MaxDelayMS: api.Millis(max(age, r.MaxDelay)), Fresh: age <= r.Limit})
	}
	return v
}

func (p *Protect) shutdown() api.Shutdown {
	s := p.model.Shutdown
	timeout := s.Timeout
	if timeout == 0 {
		timeout = p.model.Stall.Timeout
	}
	v := api.Shutdown{Watch: s.Watch, TimeoutMS: api.Millis(timeout), Action: string(s.Action), Armed: p.down}
	if p.down {
		v.Phase = "going down"
	}
	return v
}
