package daemon

import (
	"context"
	"slices"
	"sync"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/decide"
	"shisa/ctl/monitor"
)

// peers lends probers the view of other monitors.
type peers struct {
	mu sync.Mutex
	by map[string]watchers // who wants to know of which monitor
}

// Peer implements monitor.Peers.
func (d *Daemon) Peer(name string) (monitor.Peer, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, ok := d.machine.Monitor(name)
	return monitor.Peer{Health: monitor.Health(v.Health), Probing: v.Probing}, ok
}

// WatchPeers implements monitor.Peers.
func (d *Daemon) WatchPeers(ctx context.Context, names []string, changed func()) {
	wake := d.peers.join(names)
	defer d.peers.leave(names, wake)
	wait(ctx, wake, changed)
}

func (p *peers) join(names []string) chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by == nil {
		p.by = map[string]watchers{}
	}
	wake := awake()
	for _, name := range names {
		if p.by[name] == nil {
			p.by[name] = watchers{}
		}
		p.by[name][wake] = true
	}
	return wake
}

func (p *peers) leave(names []string, wake chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range names {
		delete(p.by[name], wake)
		if len(p.by[name]) == 0 {
			delete(p.by, name)
		}
	}
}

// tell wakes whoever watches name.
func (p *peers) tell(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.by[name].tell()
}

// judged takes in to the decision machine. When that changes the health of a
// monitor, those that watch it are told. The caller holds d.mu.
func (d *Daemon) judged(in decide.Input) []decide.Command {
	probed, ok := in.(decide.Probed)
	if !ok {
		return d.machine.Step(time.Since(d.since), in)
	}
	before, _ := d.machine.Monitor(probed.Monitor)
	commands := d.machine.Step(time.Since(d.since), in)
	if after, _ := d.machine.Monitor(probed.Monitor); after.Health != before.Health {
		d.peers.tell(probed.Monitor)
	}
	return commands
}

// stall is the stall protection as probers see it.
func (d *Daemon) stall() monitor.Stall {
	v := d.parts.Guard.View()
	s := monitor.Stall{Enabled: v.Stall.Enabled, Interval: v.Stall.IntervalMS.D(), Timeout: v.Stall.TimeoutMS.D(), WarnPercent: v.Stall.WarnPercent}
	if v.Protection.State == api.Unprotected {
		s.Unprotected = v.Protection.Summary
	}
	for _, b := range v.Stall.Beats {
		s.Beats = append(s.Beats, monitor.Beat{Name: b.Name, Age: b.AgeMS.D(), Limit: b.LimitMS.D(), MaxDelay: b.MaxDelayMS.D()})
	}
	return s
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }
