package schedule

import (
	"context"

	"shisa/ctl/monitor"
)

// A guest is a prober with all that uses it: at most one probe and one watch.
type guest struct {
	monitor.Prober
	users     int
	retired   bool               // to be closed by its last user
	cancel    context.CancelFunc // of the watch; nil before the first
	watching  bool
	announced bool  // the present watch has called changed
	again     bool  // a probe has ended since, so that the watch may be taken up at once
	watchErr  error // watching is impossible for good
}

// watch begins to watch, at the start and after a probe, if the prober can and
// does not yet.
func (s *Scheduler) watch(e *entry) {
	g := e.prober
	w, ok := g.Prober.(monitor.Watcher)
	g.again = g.watching && g.announced
	if !ok || g.retired || g.watching || g.watchErr != nil || e.removed || s.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	g.cancel, g.watching, g.announced = cancel, true, false
	g.users++
	s.wg.Go(func() {
		defer cancel()
		err := watchGuarded(ctx, w, func() { s.changed(e, g) })
		s.mu.Lock()
		g.watching = false
		if ctx.Err() == nil {
			g.watchErr = err
		}
		if g.again && e.prober == g {
			s.watch(e)
		}
		s.mu.Unlock()
		s.leave(g)
	})
}

func watchGuarded(ctx context.Context, w monitor.Watcher, changed func()) (err error) {
	defer guard("watch", &err, func(string) {})
	return w.Watch(ctx, changed)
}

// changed looks at a target that may have changed, unless the prober that says
// so has been replaced.
func (s *Scheduler) changed(e *entry, g *guest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.prober == g && !g.retired {
		g.announced = true
		s.trigger(e)
	}
}

// retire takes the prober of a monitor out of use.
func (s *Scheduler) retire(e *entry) {
	g := e.prober
	if g == nil || g.retired {
		return
	}
	g.retired = true
	if g.cancel != nil {
		g.cancel()
	}
	g.users++
	s.wg.Go(func() { s.leave(g) }) // not here: the prober may take its time to close
}

// leave ends one use of a prober; the last one closes it.
func (s *Scheduler) leave(g *guest) {
	s.mu.Lock()
	g.users--
	last := g.users == 0 && g.retired
	s.mu.Unlock()
	if c, ok := g.Prober.(monitor.Closer); ok && last {
		closeGuarded(c)
	}
}

// closeGuarded closes a prober. There is nobody left to tell that it failed.
func closeGuarded(c monitor.Closer) {
	var err error
	defer guard("close", &err, func(string) {})
	err = c.Close()
}
