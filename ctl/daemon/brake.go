package daemon

import (
	"context"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/config"
	"shisa/ctl/decide"
	"shisa/ctl/event"
	"shisa/ctl/tick"
)

// brakeEvery is how often the operator's brake is looked for.
const brakeEvery = 2 * time.Second

// braked returns m, or with a brake a copy of it that only observes.
func braked(m *config.Model, brake string) *config.Model {
	if brake == "" || m.Mode != config.Protect {
		return m
	}
	c := *m
	c.Mode = config.Observe
	return &c
}

// tendBrake follows the operator's brake until ctx is done.
func (d *Daemon) tendBrake(ctx context.Context) {
	found := make(chan string, 1)
	for tick.Wait(ctx, brakeEvery) {
		go func() { found <- d.parts.Actor.Brake() }() // a file system may hang
		select {
		case brake := <-found:
			d.follow(ctx, brake)
		case <-ctx.Done():
			return
		}
	}
}

// follow puts the configuration into force that is wanted with this brake. When
// another one is just being applied, the next look does it.
func (d *Daemon) follow(ctx context.Context, brake string) {
	d.mu.Lock()
	was, wanted := d.brake, d.wanted
	d.brake = brake
	d.mu.Unlock()
	if was == brake {
		return
	}
	p := d.propose(wanted)
	c, err := d.build(p.next, &p.plan)
	if err == nil {
		c.wanted, c.summary = wanted, api.Summary(&p.plan)
		err = d.reserve(c, p.running)
	}
	if err != nil {
		d.mu.Lock()
		d.brake = was
		d.mu.Unlock()
		return
	}
	if brake != "" {
		d.emit(event.BrakeSet.New("", "reason", brake))
	} else {
		d.emit(event.BrakeReleased.New("", "mode", string(wanted.Mode)))
	}
	d.input(ctx, decide.Reload{Model: p.next})
}
