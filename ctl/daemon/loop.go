package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/decide"
	"shisa/ctl/event"
	"shisa/ctl/monitor"
	"shisa/ctl/recovery"
	"shisa/ctl/resource"
	"shisa/ctl/run"
	"shisa/ctl/store"
	"shisa/ctl/tick"
)

// idle returns how often the loop goes round without an input, so that its beat
// proves progress: twice in a round of the stall checks.
func (d *Daemon) idle() time.Duration {
	return min(max(d.Model().Stall.Interval/2, 250*time.Millisecond), time.Second)
}

// loop is the only goroutine that moves the decision machine.
func (d *Daemon) loop(ctx context.Context) {
	beat := d.parts.Guard.Beat(BeatDecisions)
	timer := time.NewTimer(d.idle())
	defer timer.Stop()
	for ctx.Err() == nil {
		beat()
		d.tellClock(ctx)
		select {
		case in := <-d.inputs:
			d.step(ctx, in)
		case <-timer.C:
			if wake, ok := d.wake(); ok && wake <= time.Since(d.since) {
				d.step(ctx, decide.Tick{})
			}
		case <-ctx.Done():
			return
		}
		timer.Reset(d.untilWake())
	}
}

func (d *Daemon) wake() (time.Duration, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.machine.Wake()
}

func (d *Daemon) untilWake() time.Duration {
	idle := tick.Next(d.idle())
	wake, ok := d.wake()
	if !ok {
		return idle
	}
	return min(idle, max(0, wake-time.Since(d.since)))
}

func (d *Daemon) step(ctx context.Context, in decide.Input) {
	d.mu.Lock()
	commands := d.judged(in)
	d.mu.Unlock()
	for len(commands) > 0 {
		n := slices.IndexFunc(commands, func(c decide.Command) bool { _, watch := c.(decide.Watch); return !watch })
		if n < 0 {
			n = len(commands)
		}
		if n > 0 {
			d.watch(commands[:n])
		} else {
			d.carryOut(ctx, commands[0])
			n = 1
		}
		commands = commands[n:]
	}
}

// carryOut begins what c asks for. It never waits: what takes time runs in a
// goroutine of its own and answers with an input.
func (d *Daemon) carryOut(ctx context.Context, c decide.Command) {
	switch c := c.(type) {
	case decide.Emit:
		d.emit(c.Event)
	case decide.Decided:
		d.past.decided(c.Monitor, c.Decision)
	case decide.StartResource:
		d.operate(ctx, c.Op, c.Resource, c.Timeout, func(ctx context.Context, r resource.Resource) error { return r.Start(ctx, c.Request) })
	case decide.StopResource:
		d.operate(ctx, c.Op, c.Resource, c.Timeout, func(ctx context.Context, r resource.Resource) error { return r.Stop(ctx, c.Request) })
	case decide.RunScript:
		d.wg.Go(func() { d.input(ctx, decide.Ended{Op: c.Op, Failure: d.script(ctx, c)}) })
	case decide.Act:
		d.wg.Go(func() { d.input(ctx, decide.Ended{Op: c.Op, Failure: d.act(ctx, c)}) })
	case decide.Probe:
		d.log("probe at once", d.sched.Trigger(c.Monitor))
	case decide.AskBlockers:
		d.wg.Go(func() { d.input(ctx, decide.Ended{Op: c.Op, Failure: d.forbidden(ctx, c)}) })
	case decide.StretchProbes:
		d.sched.Stretch(c.Ratio)
	case decide.Guard:
		d.wg.Go(func() { d.parts.Guard.Shutdown(ctx, c.Reason) })
	case decide.Save:
		d.saveSoon()
	case decide.Swap:
		d.swap(ctx)
	case decide.Stay:
		d.wg.Go(func() { d.stays(ctx) })
	case decide.Exit:
		d.leave(ctx, c.Guarded)
	}
}

// leave ends the service after a deliberate stop: everything is stopped, so the
// countdown is disarmed, unless it guards the shutdown that follows, and the
// end is recorded as a clean one.
func (d *Daemon) leave(ctx context.Context, guarded bool) {
	d.log("leaving all the same", d.settle()) // the guard is armed and the last state saved by then
	if !guarded {
		d.log("the countdown stays armed", d.parts.Guard.Disarm(ctx, "the service was stopped"))
	}
	d.log("the end is not recorded", d.parts.Store.Leaving(ctx, store.Leaving{How: "stop", By: "service", Phase: "done"}))
	d.stop()
}

// StopService stops every group and ends the service. reason is for people;
// down says where the operating system goes anyway, see [Parts].
func (d *Daemon) StopService(ctx context.Context, by, reason, down string) {
	if down != "" {
		d.systemGoesDown(ctx, down, by, reason)
	}
	d.input(ctx, decide.StopService{Then: recovery.NoAction, By: by, Reason: reason, Server: down != ""})
}

// operate starts or stops a resource within its time.
func (d *Daemon) operate(ctx context.Context, op decide.Op, name string, limit time.Duration,
	do func(context.Context, resource.Resource) error) {
	r := d.resources.get(name)
	d.wg.Go(func() {
		within, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		err := errors.New("it is not configured any more")
		if r != nil {
			err = do(within, r)
		}
		end := decide.Ended{Op: op}
		if err != nil {
			end.Failure = err.Error()
			if end.TimedOut = errors.Is(within.Err(), context.DeadlineExceeded); end.TimedOut {
				end.Failure = fmt.Sprintf("not done within %v: %s", limit, end.Failure)
			}
		}
		d.input(ctx, end)
	})
}

// script runs a script of recovery and returns how it failed.
func (d *Daemon) script(ctx context.Context, c decide.RunScript) string {
	env := run.BaseEnv()
	for _, k := range slices.Sorted(maps.Keys(c.Env)) {
		env = append(env, k+"="+c.Env[k])
	}
	path := c.Path
	if !filepath.IsAbs(path) {
		path = filepath.Join(d.Model().Dir, path)
	}
	r := run.Run(ctx, run.Command{Name: "recovery of " + c.Monitor, Path: path, Env: env, Timeout: c.Timeout, Leave: true})
	if err := r.AsError(); err != nil {
		return err.Error()
	}
	return ""
}

// act takes a machine-level action: first the intent is on disk, then it is
// done, then, if we are still here, what came of it.
func (d *Daemon) act(ctx context.Context, c decide.Act) string {
	if d.Model().Mode != config.Protect {
		d.stays(ctx)
		return "observing only"
	}
	// The count of actions must outlive this one.
	err := d.save(ctx)
	var id uint64
	if err == nil {
		id, err = d.parts.Store.Intend(ctx, store.Intent{Action: string(c.Action), Reason: c.Reason, Subject: c.Subject, By: "recovery"})
	}
	if err != nil {
		d.input(ctx, decide.Store{Down: true})
		return fmt.Sprintf("record the intent: %v", err)
	}
	d.emit(event.ActionIntent.New(c.Subject, "action", string(c.Action), "reason", c.Reason))
	if c.Action == recovery.Reboot || c.Action == recovery.Shutdown {
		leaving := store.Leaving{How: string(c.Action), By: "recovery", Reason: c.Reason, Phase: "groups stopped"}
		if err := d.parts.Store.Leaving(ctx, leaving); err != nil {
			return d.notDone(ctx, id, fmt.Errorf("record the shutdown: %w", err))
		}
	}
	if err := d.parts.Actor.Do(ctx, c.Action); err != nil {
		return d.notDone(ctx, id, err)
	}
	return ""
}

// notDone records that an action was not taken, and that the machine does not go down
// for it: what becomes of it later has another cause.
func (d *Daemon) notDone(ctx context.Context, id uint64, err error) string {
	d.log("the outcome of an action is not recorded", d.parts.Store.Conclude(ctx, id, "failed: "+err.Error()))
	d.stays(ctx)
	return err.Error()
}

// stays takes back what was recorded of an order to take the machine down.
func (d *Daemon) stays(ctx context.Context) {
	if d.parts.Store.State().Current.Leaving != nil {
		d.log("that the machine stays up is not recorded", d.parts.Store.Leaving(ctx, store.Leaving{}))
	}
}

// saveSoon has the durable state saved by the saver; many changes make one.
func (d *Daemon) saveSoon() {
	select {
	case d.unsaved <- struct{}{}:
	default:
	}
}

// saver saves what has changed until ctx is done.
func (d *Daemon) saver(ctx context.Context) {
	for {
		select {
		case <-d.unsaved:
		case <-ctx.Done():
			return
		}
		if err := d.save(ctx); err != nil {
			d.input(ctx, decide.Store{Down: true})
		}
	}
}

// save records the decision machine's durable state. Whoever comes second
// writes what is current then, so that an older state never overwrites a newer.
func (d *Daemon) save(ctx context.Context) error {
	d.saving.Lock()
	defer d.saving.Unlock()
	d.mu.Lock()
	v := d.machine.Durable()
	d.mu.Unlock()
	return d.parts.Store.Save(ctx, cell, v)
}

// report takes the outcome of a probe from the scheduler.
func (d *Daemon) report(name string, r monitor.Report) {
	d.past.probed(name, r)
	in := decide.Probed{Monitor: name, Detail: r.Finding.Detail, Warning: r.Finding.Verdict == monitor.Warning, Known: r.Finding.Known}
	switch {
	case r.TimedOut:
		in.Outcome, in.Detail = recovery.TimedOut, noAnswer(r)
	case r.Err != nil:
		in.Outcome, in.Detail = recovery.CouldNotLook, r.Err.Error()
	case r.Finding.Verdict == monitor.Failed && r.Finding.Certain:
		in.Outcome = recovery.SurelyFailed
	case r.Finding.Verdict == monitor.Failed:
		in.Outcome = recovery.Failed
	}
	d.input(context.Background(), in)
}

// noAnswer describes a probe that timed out.
func noAnswer(r monitor.Report) string {
	return fmt.Sprintf("no answer within %v", r.Took.Round(time.Millisecond))
}

// Model returns the configuration in force.
func (d *Daemon) Model() *config.Model {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.model
}
