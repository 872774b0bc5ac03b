// Package protect keeps the countdowns as the configuration wants them: it
// chooses engines, has shisa-keeper arm them, makes the beats on which the
// keeper judges, tells of delays before they become stalls, and turns the
// countdown into a guard of the shutdown.
//
// It never pings: that is the keeper's, who does so only on proof of progress.
package protect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"sync"
	"time"

	"shisa/ctl/beat"
	"shisa/ctl/config"
	"shisa/ctl/event"
	"shisa/ctl/keepalive"
	"shisa/ctl/keepalive/choose"
	"shisa/ctl/keeper"
	"shisa/ctl/stall"
	"shisa/ctl/store"
)

// FireIn is how soon a countdown acts that is made to fire: the least that the
// Linux watchdog API can express.
const FireIn = time.Second

// Options say with what a Protect works.
type Options struct {
	Page      string                                   // path of the page of beats, on a tmpfs
	Kernel    string                                   // path of the page in a BPF file system, where one is mounted; empty: none
	Socket    string                                   // of the keeper
	Program   string                                   // of the keeper, started when none answers; empty: it is not ours to start
	Version   string                                   // that the keeper is to have; empty: any
	LastWords string                                   // file for the keeper's last words
	Machine   choose.Machine                           // where countdowns are looked for
	Emit      func(event.Event)                        // never nil
	Armed     func(context.Context, store.Armed) error // records what is armed; never nil
	Checks    stall.Checks
}

// A Protect keeps the countdowns. Its methods may be called by any goroutine.
type Protect struct {
	o       Options
	client  keeper.Client
	page    *beat.Page
	pageErr error // why the page is in memory only

	configuring sync.Mutex   // one change at a time
	delays      stall.Delays // belongs to Run

	mu     sync.Mutex
	slots  map[string]*beat.Slot
	model  *config.Model
	never  string // why nothing may be armed; empty: it may
	chosen choose.Result
	orders *keeper.Orders // given last; nil: none
	status keeper.Status
	heard  time.Time // of status
	lost   error     // why the keeper does not answer; nil: it does
	told   map[string]string
	record []store.ArmedEngine // what the journal says is armed
	stale  string              // version of a keeper that did not become ours
	down   bool                // the shutdown is guarded
	over   bool                // the service was stopped on purpose
	stop   context.CancelFunc  // of the checks
	checks sync.WaitGroup
}

// New makes the page of beats. Where it cannot be shared with a keeper,
// progress is measured in memory only, and View says so.
func New(o Options) *Protect {
	p := &Protect{o: o, client: keeper.Client{Socket: o.Socket}, slots: map[string]*beat.Slot{}, told: map[string]string{}}
	if p.page = inKernel(o.Kernel); p.page != nil {
		p.o.Page = o.Kernel
		return p
	}
	if p.page, p.pageErr = beat.Create(o.Page); p.pageErr != nil {
		p.page = beat.New(nil)
	}
	return p
}

// inKernel makes the page an array in the kernel, which can then judge the beats,
// too; nil: it cannot be one here.
func inKernel(path string) *beat.Page {
	if path == "" {
		return nil
	}
	page, err := beat.Create(path)
	switch {
	case err != nil:
		return nil
	case !page.Kernel(): // no BPF file system is mounted there
		_ = page.Close() // nobody knows of it
		return nil
	}
	return page
}

// Page returns the page of beats.
func (p *Protect) Page() *beat.Page { return p.page }

// HandOver says from which age on a missed beat may be handed over, for the
// countdown to act at once, and which process pings it. The age is never less
// than the keeper itself allows; it is zero when nothing is armed, or when the
// countdown guards the shutdown, which no beat prolongs.
func (p *Protect) HandOver() (age time.Duration, pinger int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.model == nil || p.down || p.lost != nil || p.orders == nil {
		return 0, 0
	}
	for _, e := range p.status.Engines {
		if e.Armed && e.Driver != "none" {
			return max(p.model.Stall.Timeout, p.model.Stall.Absence), p.status.PID
		}
	}
	return 0, 0
}

// Beat returns the function with which the loop of that name proves its progress,
// from now on at least once in stall.timeout. It panics when there are more loops
// than the page has slots.
func (p *Protect) Beat(name string) func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.slots[name]; s != nil {
		return s.Beat
	}
	limit := 90 * time.Second // until Configure says otherwise
	if p.model != nil {
		limit = p.model.Stall.Timeout
	}
	s, err := p.page.Slot(name, limit)
	if err != nil {
		// Only a defect of ours makes more loops than slots.
		panic(fmt.Sprintf("protect: beat %s: %v", name, err))
	}
	p.slots[name] = s
	return s.Beat
}

// Configure puts m into force; never says why nothing may be armed, and holds
// from then on. What is armed as wanted already is not touched.
func (p *Protect) Configure(ctx context.Context, m *config.Model, never string) {
	p.configuring.Lock()
	defer p.configuring.Unlock()
	p.mu.Lock()
	changed := p.model == nil || !reflect.DeepEqual(p.model.Stall, m.Stall)
	p.model = m
	p.never = cmp.Or(p.never, never)
	maps.DeleteFunc(p.told, func(key, _ string) bool { return strings.HasPrefix(key, "refused") || key == "absent" }) // who asks anew is told anew
	for _, s := range p.slots {
		s.SetLimit(m.Stall.Timeout)
	}
	p.mu.Unlock()
	if changed {
		p.restartChecks(m.Stall)
	}
	p.arm(ctx)
}

// restartChecks lets the optional checks go on by the settings of s.
func (p *Protect) restartChecks(s config.Stall) {
	p.endChecks()
	if !s.Enabled || !s.OpenFile && !s.CreateThread {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	p.checks.Go(func() {
		if err := p.o.Checks.Run(ctx, s, p.page); err != nil {
			p.o.Emit(event.StallCheckFailed.New("stall", "check", "all", "error", err.Error()))
		}
	})
}

func (p *Protect) endChecks() {
	if p.stop != nil {
		p.stop()
		p.checks.Wait()
		p.stop = nil
	}
}

// arm gives the keeper its orders, unless it has them already. After a deliberate
// stop, and once the shutdown is guarded, nothing is armed any more: this daemon is
// about to end, and nobody would beat. The caller holds configuring.
func (p *Protect) arm(ctx context.Context) {
	p.mu.Lock()
	m, never, last := p.model, p.never, p.down || p.over
	p.mu.Unlock()
	if last {
		return
	}
	status, err := p.reach(ctx)
	chosen, orders := p.decide(ctx, m, never == "", status.PID) // also without a keeper: to be seen
	if err != nil {
		p.mu.Lock()
		p.chosen = chosen
		p.mu.Unlock()
		p.keeperLost(err, m)
		return
	}
	p.mu.Lock()
	same := p.orders != nil && reflect.DeepEqual(*p.orders, orders) && status.Page == orders.Page
	p.chosen = chosen
	p.mu.Unlock()
	if same {
		status, err = p.client.Attach(ctx)
	} else {
		p.foresee(ctx, chosen, orders)
		status, err = p.client.Arm(ctx, orders)
	}
	if errors.Is(err, keeper.ErrAbsent) {
		p.keeperLost(err, m)
		return
	}
	p.mu.Lock()
	p.orders, p.status, p.heard, p.lost = &orders, status, time.Now(), nil
	p.mu.Unlock()
	if !same {
		p.announce(ctx, m, chosen, status, err)
	}
}

// reach asks the keeper for its status and starts one where that is ours to do.
func (p *Protect) reach(ctx context.Context) (keeper.Status, error) {
	if p.pageErr != nil {
		return keeper.Status{}, p.pageErr
	}
	status, err := p.client.Status(ctx)
	if err == nil {
		return p.renew(ctx, status), nil
	}
	if p.o.Program == "" {
		return status, err
	}
	status, serr := keeper.Spawn(ctx, p.o.Program, p.o.Socket)
	if serr != nil {
		return status, errors.Join(err, serr)
	}
	return status, nil
}

// decide chooses engines and returns the orders for the keeper. Where nothing
// may be armed the keeper only measures, and the choice is what would be made.
func (p *Protect) decide(ctx context.Context, m *config.Model, may bool, pid int) (choose.Result, keeper.Orders) {
	machine := p.o.Machine
	machine.Keeper = pid
	armed := m.Mode == config.Protect && m.Stall.Enabled && may
	machine.DryRun = machine.DryRun || !armed
	chosen, err := choose.Choose(ctx, m.Keepalive, m.Stall, machine)
	if err != nil {
		p.tell("choose", err.Error(), event.KeepaliveRefused.New("keepalive", "role", "Wanted", "engine", m.Keepalive.Method, "error", err.Error()))
	}
	o := keeper.Orders{Page: p.o.Page, Fresh: choose.Fresh(m.Stall), Absence: m.Stall.Absence, Warn: m.Stall.WarnPercent, LastWords: p.o.LastWords}
	if armed {
		o.Guards = keeper.Guards(chosen)
	}
	return chosen, o
}

// foresight is how long arming waits for the record that it is about to happen.
const foresight = time.Second

// foresee records what is about to be armed: from then on it may fire before anything
// else gets to the disk, and whoever asks why must not be told of another program.
// What was granted is recorded after it. A disk that hangs does not keep it from arming.
func (p *Protect) foresee(ctx context.Context, chosen choose.Result, o keeper.Orders) {
	if len(o.Guards) == 0 { // nothing may be armed, the choice is what would be made
		return
	}
	record := store.Armed{Reason: "about to be armed"}
	for _, c := range chosen.Choices() {
		if c.Info.Driver == "none" {
			continue
		}
		record.Engines = append(record.Engines, armedEngine(keeper.Engine{Role: c.Role, Driver: c.Info.Driver, Device: c.Info.Device, Identity: c.Info.Identity,
			Hardware: c.Info.Hardware, NoWayOut: c.Info.NoWayOut,
			Granted: keepalive.Granted{Timeout: c.Request.Timeout, Action: c.Request.Action}}, "user space"))
	}
	if len(record.Engines) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, foresight)
	defer cancel()
	p.note(ctx, record)
}

// announce tells what became of the orders, and records it.
func (p *Protect) announce(ctx context.Context, m *config.Model, chosen choose.Result, s keeper.Status, err error) {
	engines := armedEngines(s)
	for _, e := range s.Engines {
		subject, name := "keepalive/"+string(e.Role), engineName(e)
		if e.Armed && e.Driver != "none" {
			p.o.Emit(event.KeepaliveArmed.New(subject, "role", title(e.Role), "engine", name, "timeout", e.Granted.Timeout.String(), "action", string(e.Granted.Action)))
		}
		p.tell("refused/"+string(e.Role), e.Error, event.KeepaliveRefused.New(subject, "role", title(e.Role), "engine", name, "error", e.Error))
	}
	if err != nil {
		p.tell("refused", err.Error(), event.KeepaliveRefused.New("keepalive", "role", "Ordered", "engine", m.Keepalive.Method, "error", err.Error()))
	}
	absent := ""
	if m.Mode == config.Protect && m.Stall.Enabled && p.never == "" && len(engines) == 0 {
		absent = why(chosen)
	}
	p.tell("absent", absent, event.KeepaliveAbsent.New("keepalive", "reason", absent))
	if used, wanted, ok := chosen.Lesser(); ok && len(engines) > 0 {
		p.tell("lesser", wanted.Why, event.KeepaliveDegraded.New("keepalive/primary", "role", "Primary", "engine", used.Method, "wanted", wanted.Method, "reason", wanted.Why))
	}
	if err != nil && len(s.Engines) == 0 {
		return // the keeper did not answer: it may have armed what was foreseen
	}
	p.note(ctx, store.Armed{Reason: "configuration", Engines: engines})
}

// note records in the journal what is armed; nothing depends on it but the
// answer to why the machine went down.
func (p *Protect) note(ctx context.Context, a store.Armed) {
	p.mu.Lock()
	p.record = a.Engines
	p.mu.Unlock()
	if err := p.o.Armed(ctx, a); err != nil {
		p.tell("record", err.Error(), event.StoreDegraded.New("", "error", err.Error()))
	}
}
