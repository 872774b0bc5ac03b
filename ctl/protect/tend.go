package protect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"shisa/ctl/beat"
	"shisa/ctl/config"
	"shisa/ctl/event"
	"shisa/ctl/keepalive"
	"shisa/ctl/keepalive/choose"
	"shisa/ctl/keeper"
	"shisa/ctl/store"
	"shisa/ctl/tick"
)

// Intervals of Run.
const (
	lookEvery = time.Second      // at the page
	askEvery  = 5 * time.Second  // the keeper
	seekEvery = 30 * time.Second // a countdown where none was found
)

// Run looks after the keeper and the beats until ctx is done. It leaves the
// countdown as it is: whoever comes next finds it armed.
func (p *Protect) Run(ctx context.Context) {
	timer := time.NewTimer(tick.Next(lookEvery))
	defer timer.Stop()
	defer func() {
		p.configuring.Lock()
		defer p.configuring.Unlock()
		p.endChecks()
	}()
	asked, sought := time.Time{}, time.Now()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		p.lookAtBeats()
		if time.Since(asked) >= askEvery {
			asked = time.Now()
			p.ask(ctx)
		}
		if time.Since(sought) >= seekEvery {
			sought = time.Now()
			p.seek(ctx)
		}
		timer.Reset(tick.Next(lookEvery))
	}
}

// lookAtBeats announces delays, and the beat for which the keeper withholds its
// pings.
func (p *Protect) lookAtBeats() {
	p.mu.Lock()
	m := p.model
	p.mu.Unlock()
	if m == nil || !m.Stall.Enabled {
		return
	}
	now := beat.Now()
	for _, d := range p.delays.Look(p.page, now, m.Stall.WarnPercent) {
		p.o.Emit(d.Event())
	}
	var r beat.Reading
	if i := int(p.page.Keeper().StaleSlot.Load()) - 1; i >= 0 && p.page.Read(i, &r) {
		name := r.Name()
		p.tell("missing", name, event.StallMissed.New("stall/"+name, "beat", name, "delay_ms", ms(now.Sub(r.Last)), "timeout_ms", ms(r.Limit)))
		return
	}
	p.tell("missing", "", event.Event{})
}

func ms(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// tell emits e when what is known of key changes to something to tell.
func (p *Protect) tell(key, state string, e event.Event) {
	p.mu.Lock()
	was := p.told[key]
	p.told[key] = state
	p.mu.Unlock()
	if state != was && state != "" {
		p.o.Emit(e)
	}
}

// ask refreshes what is known of the keeper. One that has come back empty is
// given its orders again.
func (p *Protect) ask(ctx context.Context) {
	if p.pageErr != nil {
		return
	}
	s, err := p.client.Status(ctx)
	p.mu.Lock()
	wasLost, last, m := p.lost, p.down || p.over, p.model
	again := err == nil && !last && p.orders != nil && (wasLost != nil || s.Page != p.orders.Page || s.PID != p.status.PID)
	if err == nil {
		p.status, p.heard, p.lost = s, time.Now(), nil
	}
	if again {
		p.orders = nil
	}
	p.mu.Unlock()
	gone := err != nil && !last && m != nil
	if gone {
		p.keeperLost(err, m)
	}
	if gone || again {
		p.configuring.Lock()
		p.arm(ctx)
		p.configuring.Unlock()
	}
	if err == nil && !last {
		p.compare(ctx, s)
	}
	if err == nil && wasLost != nil {
		p.o.Emit(event.KeeperBack.New("keeper"))
	}
}

// compare has the journal say what the keeper says is armed: an order that it did not
// answer in time may have been followed.
func (p *Protect) compare(ctx context.Context, s keeper.Status) {
	engines := armedEngines(s)
	p.mu.Lock()
	same := p.orders == nil || slices.Equal(engines, p.record)
	p.mu.Unlock()
	if !same {
		p.note(ctx, store.Armed{Reason: "the keeper says so", Engines: engines})
	}
}

// seek looks again for a countdown where none was found or one was refused: its driver
// came late, who held it has let go, or the machine was too busy to load a module.
func (p *Protect) seek(ctx context.Context) {
	p.configuring.Lock()
	defer p.configuring.Unlock()
	p.mu.Lock()
	m := p.model
	able := m != nil && m.Mode == config.Protect && m.Stall.Enabled && m.Keepalive.Method != "none" && p.never == "" &&
		p.pageErr == nil && p.lost == nil && !p.down && p.orders != nil
	refused := able && slices.ContainsFunc(p.status.Engines, func(e keeper.Engine) bool { return !e.Armed && e.Error != "" })
	lacking := able && len(p.orders.Guards) == 0
	if refused {
		p.orders = nil // the same ones are given again
	}
	p.mu.Unlock()
	if lacking || refused {
		p.arm(ctx)
	}
}

// keeperLost announces that nobody holds the countdown.
func (p *Protect) keeperLost(err error, m *config.Model) {
	p.mu.Lock()
	known := p.lost != nil
	p.lost = err
	p.mu.Unlock()
	if known {
		return
	}
	d := event.KeeperLost
	if m.Mode != config.Protect {
		d = event.KeeperMissing
	}
	p.o.Emit(d.New("keeper", "error", reason(err)))
}

// reason says what to do about a keeper that cannot be reached.
func reason(err error) string {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return "it does not run"
	}
	return err.Error()
}

func title(r keepalive.Role) string {
	if r == keepalive.Backstop {
		return "Backstop"
	}
	return "Primary"
}

func engineName(e keeper.Engine) string {
	return keepalive.Info{Driver: e.Driver, Device: e.Device, Identity: e.Identity}.String()
}

// why says of every candidate why it was not taken.
func why(r choose.Result) string {
	var parts []string
	for _, c := range r.Candidates {
		if !c.Chosen && c.Role == keepalive.Primary {
			parts = append(parts, fmt.Sprintf("%s: %s", c.Method, c.Why))
		}
	}
	if len(parts) == 0 {
		return "none is configured"
	}
	return strings.Join(parts, "; ")
}

// armedEngines are the countdowns that are armed against a stall of user space.
func armedEngines(s keeper.Status) (all []store.ArmedEngine) {
	for _, e := range s.Engines {
		if e.Armed && e.Driver != "none" {
			all = append(all, armedEngine(e, "user space"))
		}
	}
	return all
}

func armedEngine(e keeper.Engine, guards string) store.ArmedEngine {
	return store.ArmedEngine{Role: string(e.Role), Driver: e.Driver, Device: e.Device, Identity: e.Identity, Timeout: e.Granted.Timeout,
		Action: string(e.Granted.Action), Hardware: e.Hardware, NoWayOut: e.NoWayOut, Guards: guards}
}
