package guard

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"shisa/ctl/beat"
	"shisa/ctl/keepalive"
	"shisa/ctl/keeper/wire"
)

// A Keeper holds the countdowns. Its methods may be called by any goroutine.
type Keeper struct {
	Version  string
	Degraded []string // what the process could not set up for itself
	Open     func(driver, device string) (keepalive.Engine, error)
	Tell     func(line string) // tells the operator; never blocks for long

	scene scene
	watch watch

	mu sync.Mutex // serialises requests that change something
	view
	shown atomic.Pointer[view] // for whoever only looks
}

// A view is what was ordered and what became of it.
type view struct {
	state  wire.State // Idle, Measuring, Guarding or Down
	orders wire.Orders
	posts  []*post
	daemon peer
}

// New returns a keeper that holds nothing yet.
func New(version string, open func(driver, device string) (keepalive.Engine, error), tell func(string)) *Keeper {
	k := &Keeper{Version: version, Open: open, Tell: tell}
	k.scene.page.Store(beat.New(nil))
	k.watch.scene = &k.scene
	k.shown.Store(new(view))
	return k
}

// Do carries out one request of the process pid and returns the status after
// it. A request that only looks never waits for one that is under way.
func (k *Keeper) Do(r wire.Request, pid int) wire.Reply {
	err := k.carryOut(r, pid)
	reply := wire.Reply{Status: k.Status(beat.Now())}
	if err != nil {
		reply.Error = err.Error()
	}
	return reply
}

func (k *Keeper) carryOut(r wire.Request, pid int) error {
	if r.Verb == wire.Hello && !r.Attach {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.show()
	if r.Attach {
		k.attach(pid)
	}
	switch r.Verb {
	case wire.Hello:
		return nil
	case wire.Arm:
		return k.arm(r.Orders)
	case wire.Shutdown:
		return k.shutdown(r.Orders)
	case wire.Disarm:
		return k.disarm(r.Reason)
	case wire.Stop:
		if k.counting() {
			return errors.New("stop: a countdown is armed; disarm it first")
		}
		return nil
	}
	return fmt.Errorf("request %d is not known", int(r.Verb))
}

// show publishes what was done, and lets the way down last as long as its countdown.
func (k *Keeper) show() {
	v := k.view
	k.shown.Store(&v)
	spare(k.state == wire.Down && !k.orders.ReleaseOnSIGTERM)
}

// arm guards as ordered. An engine that is armed already is re-armed in place,
// so that a new configuration leaves no gap; one that is no longer wanted is
// disarmed after the new ones are armed. What could not be armed is in the error
// and in the status; the rest stands.
func (k *Keeper) arm(o wire.Orders) error {
	if err := k.prepare(o); err != nil {
		return err
	}
	k.scene.fresh.Store(int64(o.Fresh))
	k.scene.absence.Store(int64(o.Absence))
	k.scene.mode.Store(judged)
	err := k.deploy(o)
	k.state = wire.Measuring
	if k.counting() {
		k.state = wire.Guarding
	}
	k.watch.begin(o)
	return err
}

// shutdown re-arms what is ordered and lets it count down. If nothing can be
// armed, everything stays as it was.
func (k *Keeper) shutdown(o wire.Orders) error {
	if o.Page == "" {
		o.Page = k.orders.Page
	}
	if len(o.Guards) == 0 {
		return errors.New("guard the shutdown: no engine was ordered")
	}
	if err := k.prepare(o); err != nil {
		return err
	}
	err := k.deploy(o)
	if !k.counting() {
		return err
	}
	k.scene.mode.Store(never)
	k.state = wire.Down
	k.Tell("shutdown is guarded: counting down without pings")
	return err
}

// disarm stops all countdowns on purpose. One that cannot be stopped is pinged
// from then on whatever the beats say: nobody wants it to fire.
func (k *Keeper) disarm(reason string) error {
	var errs []error
	var kept []*post
	for _, p := range k.posts {
		if err := p.disarm(); err != nil {
			errs = append(errs, err)
			kept = append(kept, p)
		}
	}
	k.posts = kept
	k.state = wire.Measuring
	k.scene.mode.Store(judged)
	if len(kept) > 0 {
		k.scene.mode.Store(always)
	}
	k.Tell("disarmed on purpose: " + reason)
	return errors.Join(errs...)
}

// prepare checks orders and maps their page.
func (k *Keeper) prepare(o wire.Orders) error {
	if len(o.Guards) > maxEngines {
		return fmt.Errorf("%d engines ordered; two are the most", len(o.Guards))
	}
	if len(o.Guards) == 2 && o.Guards[0].Device != "" && o.Guards[0].Device == o.Guards[1].Device {
		return fmt.Errorf("%s was ordered twice", o.Guards[0].Device)
	}
	if o.Page == "" {
		return errors.New("no page of beats was ordered")
	}
	page, err := beat.Open(o.Page)
	if err != nil {
		return err
	}
	// The page mapped before stays mapped for the life of the process: a
	// thread may be reading it, and it is one page of memory for each time that
	// somebody removed the file.
	if old := k.scene.page.Load(); old.Same(page) {
		page.Close()
	} else {
		k.scene.page.Store(page)
	}
	return nil
}

// deploy brings the posts in line with orders.
func (k *Keeper) deploy(o wire.Orders) error {
	var errs []error
	var posts []*post
	for i, g := range o.Guards {
		p := k.find(g)
		if p == nil {
			engine, err := k.Open(g.Driver, g.Device)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			p = &post{scene: &k.scene, engine: engine}
		}
		if err := p.arm(i, g); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", g.Role, err))
		}
		posts = append(posts, p)
	}
	for _, old := range k.posts {
		if !slices.Contains(posts, old) {
			errs = append(errs, old.disarm())
		}
	}
	k.orders, k.posts = o, posts
	return errors.Join(errs...)
}

func (k *Keeper) find(g wire.Guard) *post {
	for _, p := range k.posts {
		if p.guard.Driver == g.Driver && p.guard.Device == g.Device {
			return p
		}
	}
	return nil
}

// counting reports whether a countdown that acts on the machine is armed.
func (k *Keeper) counting() bool {
	for _, p := range k.posts {
		if p.armed.Load() && p.granted.Action != keepalive.None {
			return true
		}
	}
	return false
}

// arm starts or changes the countdown, and the thread that serves it.
func (p *post) arm(index int, g wire.Guard) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.info = p.engine.Info()
	ask := g.Request
	if p.info.MaxTimeout > 0 {
		ask.Timeout = min(ask.Timeout, p.info.MaxTimeout)
	}
	now := beat.Now()
	granted, err := p.engine.Arm(ask)
	p.scene.fires[p.index].Store(0) // another may have that place from now on
	p.index, p.guard = index, g
	p.failed(err)
	defer p.show()
	if err != nil {
		return err // what was armed before stays as it was
	}
	p.info = p.engine.Info()
	p.granted = granted
	p.pinged(now)
	p.hold = now.Add(max(g.Request.Timeout-granted.Timeout, 0))
	cell := p.scene.page.Load().Engine(index)
	cell.Timeout.Store(int64(granted.Timeout))
	cell.LastPing.Store(int64(beat.Now()))
	cell.State.Store(cellPinged)
	if !p.armed.Swap(true) {
		p.start()
	}
	return nil
}

// disarm stops the countdown and ends the thread. On an error the thread goes on.
func (p *post) disarm() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.armed.Load() {
		return p.engine.Close()
	}
	if err := p.engine.Disarm(); err != nil {
		p.failed(err)
		return err
	}
	p.armed.Store(false)
	p.stop()
	p.scene.page.Load().Engine(p.index).State.Store(cellNone)
	p.scene.fires[p.index].Store(0)
	return p.engine.Close()
}
