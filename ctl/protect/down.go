package protect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/event"
	"shisa/ctl/keepalive"
	"shisa/ctl/keeper"
	"shisa/ctl/recovery"
	"shisa/ctl/store"
)

// Shutdown turns the countdown into one that guards the shutdown: it is not
// pinged any more, and only the end of the machine ends it. Of several calls the
// first stands: the others tell of the same shutdown, later.
func (p *Protect) Shutdown(ctx context.Context, reason string) {
	p.mu.Lock()
	if p.down {
		p.mu.Unlock()
		return
	}
	m := p.model
	timeout := m.Shutdown.Timeout
	if timeout == 0 {
		timeout = m.Stall.Timeout
	}
	p.mu.Unlock()
	s, err := p.countDown(ctx, timeout, m.Shutdown.Action, m.Shutdown.ReleaseOnSIGTERM)
	if err != nil {
		p.o.Emit(event.KeepaliveRefused.New("keepalive", "role", "Shutdown", "engine", m.Keepalive.Method, "error", err.Error()))
	}
	record := store.Armed{Reason: reason}
	for _, e := range s.Engines {
		if e.Armed {
			p.o.Emit(event.ShutdownGuarded.New("keepalive/"+string(e.Role), "engine", engineName(e), "timeout", e.Granted.Timeout.String(), "action", string(e.Granted.Action)))
			record.Engines = append(record.Engines, armedEngine(e, "shutdown"))
		}
	}
	p.note(ctx, record)
}

// countDown has every chosen engine count down from timeout without pings.
func (p *Protect) countDown(ctx context.Context, timeout time.Duration, a keepalive.Action, release bool) (keeper.Status, error) {
	p.configuring.Lock()
	defer p.configuring.Unlock()
	p.mu.Lock()
	if p.model.Mode != config.Protect || p.never != "" {
		p.mu.Unlock()
		return keeper.Status{}, errors.New("observing only: nothing is armed")
	}
	o := keeper.Orders{}
	if p.orders != nil {
		o = *p.orders
	}
	o.ReleaseOnSIGTERM = release
	o.Guards = keeper.Guards(p.chosen)
	for i := range o.Guards {
		g := &o.Guards[i]
		g.Request = keepalive.Request{Timeout: timeout + g.Margin, Action: a}
		if g.Role == keepalive.Backstop {
			g.Request.Action = p.model.Keepalive.BackstopAction
		}
	}
	p.mu.Unlock()
	if len(o.Guards) == 0 {
		return keeper.Status{}, errors.New("no countdown works on this machine")
	}
	s, err := p.client.Shutdown(ctx, o)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.down, p.orders, p.status, p.heard = true, &o, s, time.Now()
	}
	return s, err
}

// Disarm stops every countdown: the service is stopped deliberately.
func (p *Protect) Disarm(ctx context.Context, reason string) error {
	p.configuring.Lock()
	defer p.configuring.Unlock()
	p.mu.Lock()
	p.orders, p.over = nil, true
	lost, alone := p.lost != nil, p.pageErr != nil
	p.mu.Unlock()
	if alone {
		return nil
	}
	// One that did not answer a moment ago may answer now: left alone, it would have
	// its countdown fire after a deliberate stop.
	s, err := p.client.Disarm(ctx, reason)
	if lost && errors.Is(err, keeper.ErrAbsent) {
		return nil
	}
	for _, e := range s.Engines {
		if e.Driver != "none" && !e.Armed {
			p.o.Emit(event.KeepaliveDisarmed.New("keepalive/"+string(e.Role), "role", title(e.Role), "engine", engineName(e), "reason", reason))
		}
	}
	if err == nil {
		p.note(ctx, store.Armed{Reason: reason})
		if p.o.Program != "" { // we started it
			_, err = p.client.Stop(ctx, reason)
		}
	}
	return err
}

// Fire makes the countdown act soon.
func (p *Protect) Fire(ctx context.Context, a recovery.Action) error {
	action := keepalive.Reset
	if a == recovery.KeepalivePan {
		action = keepalive.Panic
	}
	_, err := p.countDown(ctx, FireIn, action, false)
	if err != nil {
		return fmt.Errorf("%s: %w", a, err)
	}
	return nil
}
