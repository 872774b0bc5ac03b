// Package daemon assembles shisad from its parts and owns every long-lived
// goroutine of it:
//
//	loop       feeds the decision machine and carries out its commands
//	scheduler  probes
//	api        answers commands
//	tender     keeps the countdowns as the configuration wants them
//
// Whatever happens arrives at the loop as one input; nobody else touches the
// decision machine.
package daemon

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/config"
	"shisa/ctl/decide"
	"shisa/ctl/event"
	"shisa/ctl/log"
	"shisa/ctl/recovery"
	"shisa/ctl/resource"
	"shisa/ctl/schedule"
	"shisa/ctl/store"
	"shisa/ctl/why"
)

// inputLimit bounds the inputs that wait for the loop. Whoever is faster than
// the loop waits; a burst of 16 384 monitors passes.
const inputLimit = 4096

// stopLimit bounds the wait for goroutines at the end, when everything has been
// told to stop already.
const stopLimit = 10 * time.Second

// An Actor takes the machine down.
type Actor interface {
	// Brake returns why the operator forbids all recovery, or "".
	Brake() string
	// Unable returns why nothing can be done to the machine itself, or "".
	Unable() string
	Do(ctx context.Context, a recovery.Action) error
}

// Parts are what the daemon is assembled from. Tests replace those that reach
// the machine.
type Parts struct {
	Version   string
	Types     config.Registry
	Store     *store.Store
	Bus       *event.Bus
	Log       log.Logger
	Guard     Guard                                                   // countdowns; never nil
	Actor     Actor                                                   // never nil
	Rescue    func(context.Context) bool                              // the machine is in a rescue target; nil: never
	GoingDown func(context.Context) string                            // where the operating system is on its way to: "reboot", "poweroff", "shutdown" if that is not known; empty: nowhere; nil: never
	Reason    why.Verdict                                             // why the machine went down last
	StillUp   bool                                                    // the machine did not go down since the service ran last: what runs is taken over
	Stopped   bool                                                    // the service was stopped on purpose when it ran last, and its groups with it: they are started as after a boot
	Doctor    func(context.Context) (api.Doctor, error)               // nil: nothing to say
	Trace     func(context.Context, time.Duration) (api.Trace, error) // nil: it cannot
	Ready     func()                                                  // called when everything is started; may be nil
	Config    string                                                  // file that the service begins with; empty: none
	StateDir  string                                                  // instead of the configured one; empty: as configured
	RunDir    string                                                  // for what resources must remember until the next boot; empty: nothing
	SysDir    string                                                  // instead of /sys; empty: /sys
	Applied   func(*config.Model)                                     // called with each new configuration in force; may be nil
}

// A Daemon is a running shisad.
type Daemon struct {
	parts Parts
	since time.Time

	mu      sync.Mutex    // guards what follows up to the blank line
	brake   string        // why only observing is allowed; empty: it is not forced
	model   *config.Model // in force
	wanted  *config.Model // the same without the brake
	machine *decide.Machine
	applied time.Time
	hash    func() string // of the model
	next    *change       // configuration that waits for its swap

	reading   sync.Mutex // held while a configuration is read
	inputs    chan decide.Input
	quit      chan struct{} // closed when the loop takes no more inputs
	sched     *schedule.Scheduler
	watched   map[string]bool // monitors that are probed; belongs to the loop
	resources resources
	past      histories
	mail      mail
	peers     peers
	stretched stretch
	calendar  calendar
	tracing   sync.Mutex     // one trace at a time
	saving    sync.Mutex     // one save at a time
	settling  sync.Mutex     // one configuration at a time
	unsaved   chan struct{}  // holds a token when the durable state has changed
	wg        sync.WaitGroup // operations under way
	stop      context.CancelFunc
	stopped   error // why the loop ended; nil: as asked
}

// New assembles a daemon for model. Nothing runs yet. It fails only when a
// resource or monitor of a valid configuration cannot be built, which the
// error lists completely.
func New(model *config.Model, p Parts) (*Daemon, error) {
	d := &Daemon{parts: p, since: time.Now(), brake: p.Actor.Brake(), wanted: model, applied: time.Now(),
		inputs: make(chan decide.Input, inputLimit), quit: make(chan struct{}), unsaved: make(chan struct{}, 1), watched: map[string]bool{}}
	d.model = braked(model, d.brake)
	d.machine, d.hash = decide.New(d.model), digest(d.model)
	d.sched = schedule.New(schedule.Options{Emit: d.report, Beat: p.Guard.Beat(BeatScheduler), Every: d.idle})
	built, err := d.build(d.model, nil)
	if err != nil {
		return nil, err
	}
	d.resources.replace(built.resources)
	d.past.keep(d.model)
	d.mail.keep(d.model, p.Types)
	return d, nil
}

// Run starts everything and returns when the service has stopped: after a
// command to do so, or when ctx is done, which leaves resources and countdowns
// as they are.
func (d *Daemon) Run(ctx context.Context) error {
	ctx, d.stop = context.WithCancel(ctx)
	defer d.stop()
	d.emit(event.ServiceStarted.New("", "version", d.parts.Version, "mode", string(d.model.Mode), "config", d.model.Source))
	d.announceBoot()
	var wg sync.WaitGroup
	wg.Go(func() { d.log("scheduler", d.sched.Run(ctx)) })
	wg.Go(func() { d.saver(ctx) })
	wg.Go(func() { d.tendBrake(ctx) })
	rescue := d.parts.Rescue != nil && d.parts.Rescue(ctx)
	never := d.parts.Actor.Unable()
	if rescue {
		never = "the machine is in a rescue target"
	}
	d.parts.Guard.Configure(ctx, d.model, never)
	wg.Go(func() { d.parts.Guard.Run(ctx) })
	if err := d.parts.Store.Started(ctx, store.Started{Version: d.parts.Version, Mode: string(d.model.Mode)}); err != nil {
		if d.parts.Store.Health().JournalError == nil { // else the store tells of it itself
			d.emit(event.StoreDegraded.New("", "error", err.Error()))
		}
		d.input(ctx, decide.Store{Down: true})
	}
	d.input(ctx, decide.Boot{Clean: d.parts.StillUp || d.parts.Reason.Cause.Clean(), Rescue: rescue,
		Unable: d.parts.Actor.Unable(), Adopt: d.parts.StillUp && !d.parts.Stopped, Durable: d.durable(), Seed: seed(d.serverName())})
	if d.parts.Ready != nil {
		d.parts.Ready()
	}
	d.loop(ctx)
	close(d.quit)
	d.stop()
	wg.Wait()
	return d.settle()
}

// Leave ends the daemon alone: resources run on and the countdown stays armed,
// for the next daemon to take over.
func (d *Daemon) Leave() { d.stop() }

// StoreChanged tells whether state can be written; nil: it can.
func (d *Daemon) StoreChanged(ctx context.Context, err error) {
	d.input(ctx, decide.Store{Down: err != nil})
	if err != nil {
		d.emit(event.StoreDegraded.New("", "error", err.Error()))
	} else {
		d.emit(event.StoreRecovered.New(""))
	}
}

// settle waits for operations under way.
func (d *Daemon) settle() error {
	done := make(chan struct{})
	go func() {
		d.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return d.stopped
	case <-time.After(stopLimit):
		return fmt.Errorf("stop: operations are still under way after %v", stopLimit)
	}
}

func (d *Daemon) announceBoot() {
	r := d.parts.Reason
	def := event.BootUnclean
	if r.Cause.Clean() {
		def = event.BootReason
	}
	if !d.parts.StillUp {
		d.emit(def.New("", "reason", r.Summary, "cause", string(r.Cause)))
	}
}

// emit publishes e: to the log, the history and every follower.
func (d *Daemon) emit(e event.Event) {
	e = d.parts.Bus.Publish(e)
	d.parts.Log.Event(e)
	d.parts.Store.AppendEvent(e)
}

// input hands in to the loop, or gives up when ctx is done or the loop has
// ended.
func (d *Daemon) input(ctx context.Context, in decide.Input) {
	select {
	case d.inputs <- in:
	case <-d.quit:
	case <-ctx.Done():
	}
}

// log notes an error that has no other place to go; nil is no error.
func (d *Daemon) log(what string, err error) {
	if err != nil {
		d.parts.Log.Error(what, err, nil)
	}
}

// cell is the key of the decision machine's durable state in the store.
const cell = "decide"

func (d *Daemon) durable() decide.Durable {
	var v decide.Durable
	if !d.parts.Store.State().Cell(cell, &v) {
		return decide.Durable{}
	}
	return v
}

// serverName is the configured name, or the host's.
func (d *Daemon) serverName() string {
	if d.model.Server.Name != "" {
		return d.model.Server.Name
	}
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// env is what a resource is lent.
func (d *Daemon) env(m *config.Model, r config.Resource) resource.Env {
	return resource.Env{Name: r.Name, Group: r.Group, Server: d.serverName(), Dir: m.Dir, LogDir: LogDir, RunDir: d.parts.RunDir}
}

// LogDir is where the output of scripts is logged.
const LogDir = "/var/log/shisa"
