package power

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"shisa/ci/vm"
)

const (
	// bootWait is how long the boot after a reset may take.
	bootWait = 2 * time.Minute
	// calm is how long after the boot that follows a reset no other reset may come.
	// Most of that time is spent on asking why.
	calm = 2 * time.Second
)

// An act is one case while it is played.
type act struct {
	*stage
	Case
	guest  *vm.Guest
	result *Result
	strike time.Time // zero: not yet
	before waits     // of the guest's CPUs, at the strike
	waited Window    // how long the host kept the guest waiting, before and after the strike
}

// play is the course of every case.
func (a *act) play(ctx context.Context) error {
	early, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	if err := a.prepare(early); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	if err := a.hit(ctx); err != nil {
		return fmt.Errorf("strike: %w", err)
	}
	err := a.watch(ctx)
	calmed := time.After(calm)
	if err == nil {
		err = a.question(ctx)
	}
	if a.Fault.Reset && err == nil {
		select {
		case <-calmed:
		case <-ctx.Done():
		}
	}
	return errors.Join(a.judge(), err)
}

// question asks the guest what it thinks of what happened, if there is something to
// ask: after a reset why it came, else whether all is well.
func (a *act) question(ctx context.Context) error {
	seen, _, verdict := judge(a.Case, a.strike, a.guest.Events(), a.waited)
	switch {
	case verdict != nil && a.Fault.Reset && seen == nothing:
		return a.look(ctx)
	case verdict != nil && !a.Fault.Reset && !a.Fault.Feeder && strings.HasSuffix(seen, vm.KindReset):
		if err := a.waitBoot(ctx); err != nil {
			return err
		}
		return a.askWhy(ctx, panicked(seen))
	case verdict != nil:
		return nil // the judge says it
	case a.Fault.Reset && a.Fault.Feeder:
		return nil
	case a.Fault.Reset:
		return a.askWhy(ctx, panicked(seen))
	case !a.Fault.Feeder:
		if err := a.askCalm(ctx); err != nil {
			return err
		}
	}
	return a.retire(ctx)
}

// look asks a guest that should have been reset, and was not, how it is: the error
// says what it answers, if it does.
func (a *act) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	text, err := a.guest.Sh(ctx, "top -b -n 1 | head -n 12; shisa status; shisa events | tail -n 5")
	if err != nil {
		return fmt.Errorf("the guest does not answer, either: %w", err)
	}
	return fmt.Errorf("the guest is well:\n%s", text)
}

// judge looks at everything that the hypervisor saw until now.
func (a *act) judge() error {
	seen, lateness, verdict := judge(a.Case, a.strike, a.guest.Events(), a.waited)
	a.result.Seen, a.result.LatenessMS = seen, lateness
	return verdict
}

// hit starts the fault and finds out when it struck.
func (a *act) hit(ctx context.Context) error {
	before, asleep := time.Now(), waitsOf("/proc", a.pid)
	argv := append([]string{"fault"}, a.Fault.Strike...)
	if a.Fault.Feeder {
		argv = append(argv, "--device", a.Engine.FeedDevice)
	}
	p, err := a.guest.Go(argv...)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		r, err := p.Wait(ctx)
		if err == nil && r.Exit != 0 {
			failed <- fmt.Errorf("%s", r.Stderr)
			cancel()
		}
	}()
	e, err := a.guest.WaitEvent(ctx, func(e vm.Event) bool {
		return e.Time.After(before) && e.Kind == vm.KindMark && e.Text == "strike "+a.Fault.Strike[0]
	})
	if err != nil {
		select {
		case err = <-failed:
		default:
		}
		return err
	}
	a.strike, a.before = e.Time.Add(settle), waitsOf("/proc", a.pid)
	a.waited.Early = a.before.since(asleep)
	return nil
}

// hypervisor are the events that say that the machine was acted upon.
var hypervisor = []string{vm.KindReset, vm.KindStopped, vm.KindWDT, vm.KindPanic, vm.KindExit}

// acted reports whether the event is one of those, after the strike.
func (a *act) acted(e vm.Event) bool {
	return e.Time.After(a.strike) && slices.Contains(hypervisor, e.Kind)
}

// actedSince reports whether anything was done to the machine after that.
func (a *act) actedSince(t time.Time) bool {
	return slices.ContainsFunc(a.guest.Events(), func(e vm.Event) bool { return e.Time.After(t) && slices.Contains(hypervisor, e.Kind) })
}

// note puts what was seen into the result.
func (a *act) note() {
	if a.strike.IsZero() {
		return
	}
	for _, e := range a.guest.Events() {
		if e.Time.After(a.strike) {
			a.result.Events = append(a.result.Events, fmt.Sprintf("%.3f s %s", e.Time.Sub(a.strike).Seconds(), e))
		}
	}
}

// watch waits until the fault has had its effect, or should have had none.
func (a *act) watch(ctx context.Context) error {
	end := a.strike.Add(a.Fault.Observe)
	if a.Fault.Reset {
		end = a.strike.Add(a.Fault.Due + a.Fault.Window.Late + time.Second)
		if a.Fault.Feeder {
			end = end.Add(feedPings * feedInterval)
		}
	}
	happened := func(e vm.Event) bool { return a.acted(e) && e.Kind != vm.KindWDT && e.Kind != vm.KindPanic }
	for {
		limit, cancel := context.WithDeadline(ctx, end.Add(a.waited.Late))
		_, err := a.guest.WaitEvent(limit, happened)
		cancel()
		before := a.waited.Late
		a.waited.Late = waitsOf("/proc", a.pid).since(a.before)
		a.result.WaitedMS = a.waited.Late.Milliseconds()
		switch {
		case err == nil && a.Fault.Reset:
			return a.waitBoot(ctx)
		case err == nil || ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, context.DeadlineExceeded):
			return err
		case !a.Fault.Reset || a.waited.Late == before:
			return nil
		}
		// The host kept the guest waiting: it gets as much more time.
	}
}

// waitBoot waits for the boot after the reset.
func (a *act) waitBoot(ctx context.Context) error {
	a.boots++
	booted, err := a.awaitBoot(ctx)
	if err != nil {
		return fmt.Errorf("the boot after the reset: %w", err)
	}
	seen, _, _ := judge(a.Case, a.strike, a.guest.Events(), a.waited)
	if !panicked(seen) || !a.Engine.GoesOn {
		return nil
	}
	// The countdown may fire now only, and the machine boots once more.
	limit, stop := context.WithTimeout(ctx, 2*stallTimeout)
	defer stop()
	_, err = a.guest.WaitEvent(limit, func(e vm.Event) bool { return e.Kind == vm.KindReset && e.Time.After(booted.Time) })
	if err != nil {
		return ctx.Err() // it was before that boot
	}
	a.boots++
	_, err = a.awaitBoot(ctx)
	return err
}

// awaitBoot waits until the guest is ready for the a.boots'th time: for bootWait, and
// for as much longer as the host kept it waiting meanwhile.
func (a *act) awaitBoot(ctx context.Context) (vm.Event, error) {
	end, before, waited := time.Now().Add(bootWait), waitsOf("/proc", a.pid), time.Duration(0)
	for {
		limit, cancel := context.WithDeadline(ctx, end.Add(waited))
		booted, err := a.guest.WaitBoot(limit, a.boots)
		cancel()
		more := waitsOf("/proc", a.pid).since(before)
		if err == nil || ctx.Err() != nil || more < waited+time.Second {
			return booted, err
		}
		waited = more
	}
}
