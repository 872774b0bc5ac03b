package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"shisa/ci/vm"
)

const (
	// timeout of the countdown in most cases.
	timeout = 3 * time.Second
	// never is how long after its deadline a countdown counts as not firing.
	never = 5 * time.Second
	// caseTimeout bounds one case, boot included.
	caseTimeout = 3 * time.Minute
	// tool is where the guest has our program, tool32 the same for 32 bits.
	tool   = "/bin/clpka-guest"
	tool32 = "/bin/clpka-guest32"
	// program is where it has the eBPF program.
	program = "/lib/kfunc.bpf.o"
)

// A rig is one kernel with the modules built for it.
type rig struct {
	kernel        vm.Kernel
	clpka, faults string             // .ko files
	files         map[string]vm.File // more, by their path in the guest
}

func (r *rig) rt() bool { return strings.HasSuffix(r.kernel.Release, "rt-amd64") }

// before reports whether the kernel is older than a release.
func (r *rig) before(major, minor int) bool {
	var a, b int
	_, _ = fmt.Sscanf(r.kernel.Release, "%d.%d", &a, &b)
	return a < major || a == major && b < minor
}

// A setup is what a case wants its guest to have.
type setup struct {
	params  string // of the module
	cmdline string
	softdog bool
	machine vm.Machine
	present []string // modules that can be loaded
}

// boot starts a guest with the engine and the faults module loaded.
func (r *rig) boot(ctx context.Context, s setup) (*vm.Guest, error) {
	load := []string{strings.TrimSpace("clpka " + s.params)}
	if s.softdog {
		load = []string{"watchdog", "softdog"}
	}
	s.machine.Pvpanic = true
	return vm.Start(ctx, vm.Config{
		Kernel:      r.kernel,
		Machine:     s.machine,
		Cmdline:     s.cmdline,
		Modules:     append(load, "faults"),
		Present:     s.present,
		ModuleFiles: []string{r.clpka, r.faults},
		Binaries:    map[string]string{tool: "./ci/kmod/guest"},
		Files:       r.files,
	})
}

// A shot is a countdown that was pinged for the last time.
type shot struct {
	guest    *vm.Guest
	owner    *vm.Proc      // the process that holds it; nil: not ours
	began    time.Time     // what was before does not count
	deadline time.Time     // by the host's clock
	grace    time.Duration // how long after it something may still happen; 0: never
}

// hold runs the tool's hold command and returns when it has pinged.
func hold(ctx context.Context, g *vm.Guest, timeout time.Duration, args ...string) (*shot, error) {
	args = append([]string{tool, "hold", "-timeout", strconv.Itoa(int(timeout / time.Second))}, args...)
	device := "/dev/clpka"
	if i := slices.Index(args, "-device"); i >= 0 {
		device = args[i+1]
	}
	s := &shot{guest: g, began: time.Now()}
	var err error
	if s.owner, err = g.Go(args...); err != nil {
		return nil, err
	}
	mark, err := s.pinged(ctx, device)
	if err != nil {
		return nil, fmt.Errorf("hold %s: %w: %s", device, err, s.owner.Output())
	}
	offset, err := clockOffset(s.events())
	if err != nil {
		return nil, err
	}
	ns, err := strconv.ParseInt(strings.Fields(mark.Text)[1], 10, 64)
	s.deadline = offset.Add(time.Duration(ns) + timeout)
	return s, err
}

// pinged waits for the word that a device was pinged for the last time.
func (s *shot) pinged(ctx context.Context, device string) (vm.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return s.guest.WaitEvent(ctx, func(e vm.Event) bool {
		return e.Kind == vm.KindMark && e.Time.After(s.began) &&
			strings.HasPrefix(e.Text, "ping ") && strings.HasSuffix(e.Text, " "+device)
	})
}

// events are those since the shot began.
func (s *shot) events() []vm.Event {
	all := s.guest.Events()
	return all[slices.IndexFunc(all, func(e vm.Event) bool { return e.Time.After(s.began) }):]
}

// clockOffset returns the time on the host when the guest's clock was 0, from the
// message that was quickest.
func clockOffset(events []vm.Event) (time.Time, error) {
	var best time.Time
	for _, e := range events {
		text, ok := strings.CutPrefix(e.Text, "sync ")
		if e.Kind != vm.KindMark || !ok {
			continue
		}
		ns, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return best, err
		}
		if zero := e.Time.Add(-time.Duration(ns)); best.IsZero() || zero.Before(best) {
			best = zero
		}
	}
	if best.IsZero() {
		return best, errors.New("the guest told its clock never")
	}
	return best, nil
}

// outcomes are the events that end a case.
var outcomes = []string{vm.KindReset, vm.KindStopped, "GUEST_PANICKED"}

// outcome waits for the first thing that happens to the machine. The zero event
// is that nothing did within the time.
func (s *shot) outcome(ctx context.Context, kinds ...string) (vm.Event, error) {
	if len(kinds) == 0 {
		kinds = outcomes
	}
	ctx, cancel := context.WithDeadline(ctx, s.deadline.Add(max(s.grace, never)))
	defer cancel()
	e, err := s.guest.WaitEvent(ctx, func(e vm.Event) bool { return e.Time.After(s.began) && slices.Contains(kinds, e.Kind) })
	if errors.Is(err, context.DeadlineExceeded) {
		return vm.Event{}, nil
	}
	return e, err
}

// late returns how long after the deadline an event was.
func (s *shot) late(e vm.Event) time.Duration { return e.Time.Sub(s.deadline) }
