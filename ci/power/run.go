package power

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"shisa/ci/vm"
	"shisa/ci/vm/wire"
)

// stateDir is where the daemon keeps its state: on the disk that survives.
const stateDir = "/var/lib/shisa"

// spareDir is on a disk that nobody needs.
const spareDir = "/srv"

const (
	// caseTimeout bounds one case, two slow boots included.
	caseTimeout = 5 * time.Minute
	// bootWait is how long the boot after a reset may take.
	bootWait = 2 * time.Minute
	// calm is how long after the boot that follows a reset no other reset may come.
	calm = 2 * time.Second
)

// Run runs the cases and writes a line for each as soon as it is done. The error
// is about what kept cases from running; failed cases are in the report.
func Run(ctx context.Context, cases []Case, out, console io.Writer) (*Report, error) {
	report := &Report{Start: time.Now()}
	s := &stage{console: console}
	defer s.close()
	for _, c := range cases {
		if err := s.play(ctx, c.Kernel); err != nil {
			return report, err
		}
		res := s.run(ctx, c)
		if ctx.Err() != nil {
			return report, ctx.Err()
		}
		report.add(res)
		fmt.Fprintln(out, res)
	}
	report.finish()
	return report, nil
}

// A stage is one kernel with its disk, on which cases are played.
type stage struct {
	console io.Writer
	kernel  vm.Kernel
	dir     string
	guest   *vm.Guest // nil: the next case boots
	boots   int       // of guest
}

// play makes the stage that of another kernel.
func (s *stage) play(ctx context.Context, kernel string) error {
	if s.kernel.Name == kernel {
		return nil
	}
	s.close()
	k, err := vm.Get(ctx, kernel)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "shisa-power-")
	if err != nil {
		return err
	}
	s.kernel, s.dir = k, dir
	return nil
}

// drop kills the guest: the next case begins with a new one.
func (s *stage) drop() {
	if s.guest != nil {
		s.guest.Close()
	}
	s.guest = nil
}

func (s *stage) close() {
	s.drop()
	if s.dir != "" {
		_ = os.RemoveAll(s.dir) // what stays in the temporary folder is found by whoever cleans it
	}
	s.kernel, s.dir = vm.Kernel{}, ""
}

// up boots the guest unless one is left from the case before.
func (s *stage) up(ctx context.Context, withDaemon bool) error {
	if s.guest != nil {
		return nil
	}
	disks := []string{filepath.Join(s.dir, "state.img"), filepath.Join(s.dir, "spare.img")}
	for _, disk := range disks {
		if err := vm.MakeDisk(ctx, disk, 64); err != nil {
			return err
		}
	}
	binaries := map[string]string{"/bin/fault": "./ci/power/fault"}
	if withDaemon {
		for _, name := range []string{"shisad", "shisa-keeper", "shisa"} {
			binaries["/usr/sbin/"+name] = "./cmd/" + name
		}
	}
	g, err := vm.Start(ctx, vm.Config{
		Kernel:   s.kernel,
		Machine:  vm.Machine{Watchdog: true, BMC: true, Pvpanic: true, Pstore: true, Disks: disks},
		Cmdline:  "printk.always_kmsg_dump=1",
		Present:  engineModules(),
		Binaries: binaries,
		Files:    map[string]vm.File{"/bin/hang": {Data: []byte("#!/bin/sh\nexec sleep 100000\n"), Mode: 0o755}},
		Mounts: []wire.Mount{
			{Source: "/dev/vda", Target: stateDir, Type: "ext4"},
			{Source: "/dev/vdb", Target: spareDir, Type: "ext4"},
		},
		StopWait: time.Hour, // a hanging shutdown is to be ended by the countdown only
		Console:  s.console,
	})
	if err != nil {
		return err
	}
	s.guest, s.boots = g, 1
	return nil
}

// run runs one case. The guest is kept for the next one if it is as good as new.
func (s *stage) run(ctx context.Context, c Case) Result {
	start := time.Now()
	res := Result{
		Kernel: c.Kernel, Release: s.kernel.Release, Engine: c.Engine.Name, Fault: c.Fault.Name,
		Issue: c.Fault.Issue, Seen: "-", Events: []string{},
	}
	err := s.up(ctx, !c.Fault.Feeder) // it lives longer than the case
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, caseTimeout)
		defer cancel()
		a := &act{stage: s, guest: s.guest, Case: c, result: &res}
		err = a.play(ctx)
		a.note()
	}
	res.Pass = err == nil
	if err != nil {
		res.Reason = err.Error()
	}
	if err != nil || !c.Fault.Reset {
		s.drop()
	}
	res.TookMS = time.Since(start).Milliseconds()
	return res
}

// An act is one case while it is played.
type act struct {
	*stage
	Case
	guest  *vm.Guest
	result *Result
	strike time.Time // zero: not yet
}

// play is the course of every case.
func (a *act) play(ctx context.Context) error {
	if err := a.prepare(ctx); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	if err := a.hit(ctx); err != nil {
		return fmt.Errorf("strike: %w", err)
	}
	if err := a.watch(ctx); err != nil {
		return err
	}
	if a.Fault.Feeder || !a.Fault.Reset {
		return nil
	}
	return a.askWhy(ctx)
}

// hit starts the fault and finds out when it struck.
func (a *act) hit(ctx context.Context) error {
	before := time.Now()
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
	a.strike = e.Time.Add(settle)
	return nil
}

// hypervisor are the events that say that the machine was acted upon.
var hypervisor = []string{vm.KindReset, vm.KindStopped, vm.KindWDT, vm.KindPanic, vm.KindExit}

// acted reports whether the event is one of those, after the strike.
func (a *act) acted(e vm.Event) bool {
	return e.Time.After(a.strike) && slices.Contains(hypervisor, e.Kind)
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

// watch waits until the fault has had its effect, or should have had none, and
// judges what the hypervisor saw.
func (a *act) watch(ctx context.Context) error {
	end := a.strike.Add(a.Fault.Observe)
	if a.Fault.Reset {
		end = a.strike.Add(a.Fault.Due + a.Fault.Window.Late + time.Second)
		if a.Fault.Feeder {
			end = end.Add(feedPings * feedInterval)
		}
	}
	limit, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	_, err := a.guest.WaitEvent(limit, func(e vm.Event) bool { return a.acted(e) && e.Kind != vm.KindWDT && e.Kind != vm.KindPanic })
	switch {
	case err != nil && !errors.Is(err, context.DeadlineExceeded):
		return err
	case err == nil && a.Fault.Reset:
		err = a.waitBoot(ctx)
	default:
		err = nil
	}
	seen, lateness, verdict := judge(a.Case, a.strike, a.guest.Events())
	a.result.Seen, a.result.LatenessMS = seen, lateness
	return errors.Join(verdict, err)
}

// waitBoot waits for the boot after the reset, and a little longer for a reset that
// must not come.
func (a *act) waitBoot(ctx context.Context) error {
	a.boots++
	ctx, cancel := context.WithTimeout(ctx, bootWait)
	defer cancel()
	if _, err := a.guest.WaitBoot(ctx, a.boots); err != nil {
		return fmt.Errorf("the boot after the reset: %w", err)
	}
	select {
	case <-time.After(calm):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
