package guard

import (
	"os"
	"time"

	"shisa/ctl/beat"
	"shisa/ctl/keeper/wire"
)

// Status returns what the keeper knows at the instant now. It waits for nobody:
// an engine whose ping hangs shows as such.
func (k *Keeper) Status(now beat.Time) wire.Status {
	v, page := k.shown.Load(), k.scene.page.Load()
	s := wire.Status{
		Version:  k.Version,
		PID:      os.Getpid(),
		State:    v.state,
		Page:     v.orders.Page,
		Degraded: k.Degraded,
		Daemon:   v.daemon.pid,
		Absent:   k.scene.absent.Load(),
		Witness:  k.watch.witness(),
	}
	k.scene.survive(func() {
		cell := page.Keeper()
		s.Largest = time.Duration(cell.MaxDelay.Load())
		if i := int(cell.MaxSlot.Load()); i > 0 {
			s.LargestBeat = page.Name(i - 1)
		}
		if v.state == wire.Guarding || v.state == wire.Measuring {
			k.judgement(&s, now)
		}
	})
	s.Lateness = time.Duration(k.watch.late.Load())
	for i, p := range v.posts {
		s.Engines = append(s.Engines, p.status(page.Engine(i), now))
		s.Lateness = max(s.Lateness, time.Duration(p.late.Load()))
	}
	return s
}

// judgement adds what the beats say now.
func (k *Keeper) judgement(s *wire.Status, now beat.Time) {
	verdict := k.watch.latest()
	if verdict.limit == 0 || !k.watch.stale(verdict, now) {
		return
	}
	if s.State == wire.Guarding {
		s.State = wire.Withheld
	}
	s.Stale = k.watch.name(verdict.slot)
	s.StaleFor, s.StaleLimit = verdict.age, verdict.limit
}

// show keeps what does not change between two requests. The caller holds mu.
func (p *post) show() {
	p.shown.Store(&wire.Engine{
		Role:     p.guard.Role,
		Driver:   p.guard.Driver,
		Device:   p.guard.Device,
		Identity: p.info.Identity,
		Hardware: p.info.Hardware,
		NoWayOut: p.info.NoWayOut,
		Outlives: p.info.Outlives,
		Margin:   p.guard.Margin,
		Asked:    p.guard.Request,
		Granted:  p.granted,
	})
}

func (p *post) status(cell *beat.Engine, now beat.Time) wire.Engine {
	e := *p.shown.Load()
	e.Armed = p.armed.Load()
	e.LastPing = -1
	if last := cell.LastPing.Load(); last > 0 {
		e.LastPing = now.Sub(beat.Time(last))
	}
	if begun := cell.Begun.Load(); begun > 0 {
		e.Hung = max(now.Sub(beat.Time(begun)), 1)
	}
	e.Took, e.Longest = time.Duration(cell.Took.Load()), time.Duration(cell.MaxTook.Load())
	e.Pings, e.Errors = cell.Pings.Load(), cell.Errors.Load()
	if text := p.failure.Load(); text != nil {
		e.Error = *text
	}
	return e
}
