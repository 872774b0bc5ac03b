// Package vm declares the monitor of a virtual machine.
package vm

import (
	"context"
	"fmt"
	"sync"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/param"
)

type params struct{ absence time.Duration }

// Type asks the host of a virtual machine what the machine does.
var Type = monitor.Define(monitor.Spec[params]{
	Name:  "vm",
	Alias: "vmw",
	Title: "Virtual machine",
	Doc: "Asks the host of its target, a resource of type `vm`, whether the virtual machine runs. One that is just starting or stopping is a warning. " +
		"One that does not run is a failure, but for the time of `absence` only a warning, since it may be on its way from one host to another. " +
		"A host that does not answer says nothing about the machine.\n\n" +
		"The monitor sees that the machine has power. Whether the guest does its work is for a monitor of what the guest offers.",
	Timing: monitor.Timing{Interval: 10 * time.Second, Timeout: 30 * time.Second},
	When:   monitor.WhileActive,
	Target: true,
	Params: func(p *params, s *param.Set) {
		s.Duration(&p.absence, "absence", 15*time.Second, 0, 9999*time.Second, "How long the machine may be away without a failure.").As("parameters/waittime")
	},
	Example: map[string]any{},
	New: func(p params, env monitor.Env) (monitor.Prober, error) {
		looker, ok := env.Target.(monitor.Looker)
		if !ok {
			return nil, fmt.Errorf("monitor %s: it needs a target of type vm", env.Name)
		}
		return &prober{params: p, target: looker}, nil
	},
})

type prober struct {
	params
	target monitor.Looker

	mu   sync.Mutex
	gone time.Time // since when it does not run; zero: it does
}

// Probe implements monitor.Prober.
func (p *prober) Probe(ctx context.Context) (monitor.Finding, error) {
	begin := time.Now()
	verdict, what, err := p.target.Look(ctx)
	if err != nil {
		return monitor.Finding{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if verdict != monitor.Failed {
		p.gone = time.Time{}
		return monitor.Finding{Verdict: verdict, Detail: "the virtual machine is " + what}, nil
	}
	if p.gone.IsZero() {
		p.gone = begin
	}
	f := monitor.Finding{Verdict: monitor.Failed, Detail: "the virtual machine is " + what}
	if away := begin.Sub(p.gone); away < p.absence {
		f.Verdict = monitor.Warning
		f.Detail += fmt.Sprintf(", for %v of %v", away.Round(time.Second), p.absence)
	}
	return f, nil
}
