package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"shisa/ci/vm"
)

const (
	panicked = "GUEST_PANICKED"
	// soon is what evidence and action may take together.
	soon = time.Second
	// grace is what the module gives an orderly power-off.
	grace = 10 * time.Second
)

// actionScenarios: each action does what it is called.
func actionScenarios() []scenario {
	return []scenario{
		{name: "action-none", run: noAction},
		{name: "action-panic", quick: true, setup: setup{cmdline: "panic=0"},
			run: fires(soon, []string{"-action", "2"}, panicked, vm.KindReset)},
		{name: "action-crash", setup: setup{cmdline: "panic=0"},
			run: fires(soon, []string{"-action", "3"}, panicked, vm.KindReset)},
		{name: "action-power-off",
			run: fires(2*soon, []string{"-action", "4"}, vm.KindStopped)},
		{name: "power-off-without-method", setup: setup{cmdline: "acpi=off"},
			run: fires(2*soon, []string{"-action", "4"}, vm.KindReset)},
		{name: "power-off-stuck",
			run: fires(grace+soon, []string{"-action", "4", "-fault", "hang-in-device"}, vm.KindReset)},
		{name: "panic-on-warn", setup: setup{cmdline: "panic=0 panic_on_warn=1"}, run: warned},
		{name: "no-evidence", setup: setup{params: "evidence_ms=0"},
			run: fires(soon, nil, vm.KindReset)},
		{name: "nmi", setup: setup{params: "nmi=1", machine: vm.Machine{Watchdog: true, WatchdogAction: "inject-nmi"}},
			run: byNMI},
		{name: "evidence", quick: true, setup: setup{machine: vm.Machine{Pstore: true}},
			run: evidence("-action", "2", "-fault", "blocked-task")},
		{name: "evidence-reset", setup: setup{machine: vm.Machine{Pstore: true}, cmdline: "printk.always_kmsg_dump=1"},
			run: evidence("-fault", "blocked-task")},
		{name: "pretimeout", run: pretimeout},
	}
}

// warned: on some kernels the way to a restart from an interrupt has a warning, which is
// to panic here, with nobody to restart the machine. It is reset all the same.
func warned(ctx context.Context, _ *rig, g *vm.Guest) (result, error) {
	s, err := hold(ctx, g, timeout)
	if err != nil {
		return result{}, err
	}
	res, err := s.want(ctx, 2*soon, panicked, vm.KindReset)
	if strings.HasPrefix(res.seen, vm.KindReset) && res.lateness <= 2*soon {
		return res, nil
	}
	return res, err
}

func noAction(ctx context.Context, _ *rig, g *vm.Guest) (result, error) {
	s, err := hold(ctx, g, timeout, "-action", "0")
	if err != nil {
		return result{}, err
	}
	res, err := s.want(ctx, 0)
	if err == nil {
		err = says(ctx, g, "clpka: FIRED countdown=main action=none")
	}
	return res, err
}

// byNMI stalls every CPU for good; only the watchdog chip's NMI gets through, after
// our deadline, and the module acts on it.
func byNMI(ctx context.Context, _ *rig, g *vm.Guest) (result, error) {
	if _, err := hold(ctx, g, 8*time.Second, "-device", "/dev/watchdog0"); err != nil {
		return result{}, err
	}
	s, err := hold(ctx, g, timeout, "-fault", "irqs-off-all")
	if err != nil {
		return result{}, err
	}
	res, err := s.want(ctx, 8*time.Second, vm.KindReset)
	if _, wdt := g.WaitEvent(ctx, func(e vm.Event) bool { return e.Kind == vm.KindWDT }); wdt != nil {
		err = errors.Join(err, wdt)
	}
	res.fired = false // the lateness is the chip's
	return res, err
}

// evidence wants note, blocked task and reason in the record that outlives the reset.
func evidence(args ...string) func(context.Context, *rig, *vm.Guest) (result, error) {
	return func(ctx context.Context, _ *rig, g *vm.Guest) (result, error) {
		if _, err := g.Sh(ctx, tool+" note 'decision loop: last beat 7 s ago'"); err != nil {
			return result{}, err
		}
		s, err := hold(ctx, g, timeout, args...)
		if err != nil {
			return result{}, err
		}
		res, err := s.want(ctx, soon, "GUEST_PANICKED")
		if len(args) == 2 { // a reset
			res, err = s.want(ctx, soon, vm.KindReset)
		}
		if err != nil {
			return res, err
		}
		if _, err := g.WaitBoot(ctx, 2); err != nil {
			return res, err
		}
		record, err := g.Sh(ctx, "cat /sys/fs/pstore/dmesg-ramoops-*")
		if err != nil {
			return res, err
		}
		for _, want := range []string{"clpka: FIRED countdown=main", "last ping", "note: decision loop", "task:blocked", "do_sleep"} {
			if !strings.Contains(record, want) {
				err = errors.Join(err, fmt.Errorf("the record lacks %q", want))
			}
		}
		return res, err
	}
}

// pretimeout wants the warning in the log and as a uevent, and no reset when the
// ping comes after it.
func pretimeout(ctx context.Context, _ *rig, g *vm.Guest) (result, error) {
	out, err := g.Sh(ctx, tool+" pretimeout")
	if err != nil {
		return result{}, err
	}
	return result{seen: strings.TrimSpace(out)}, errors.Join(says(ctx, g, "clpka: pretimeout: reset in 500 ms unless pinged"), calm(g))
}

// shutdownScenarios: what happens on the way down.
func shutdownScenarios() []scenario {
	return []scenario{
		{name: "clean-reboot-armed", quick: true, run: clean("restart", vm.KindReset)},
		{name: "clean-power-off-armed", run: clean("off", vm.KindStopped)},
		{name: "shutdown-countdown",
			run: fires(soon, []string{"-shutdown-action", "1", "-fault", "hang-in-device", "-reboot", "restart"}, vm.KindReset)},
		{name: "failed-power-off-armed", setup: setup{cmdline: "acpi=off"}, run: failedPowerOff},
	}
}

// clean does an orderly shutdown with the countdown armed: nothing may fire.
func clean(how, kind string) func(context.Context, *rig, *vm.Guest) (result, error) {
	return func(ctx context.Context, _ *rig, g *vm.Guest) (result, error) {
		s, err := hold(ctx, g, 10*time.Second, "-reboot", how)
		if err != nil {
			return result{}, err
		}
		res, err := s.want(ctx, 0, kind)
		if err == nil && strings.Contains(g.Console(), "FIRED") {
			err = errors.New("it fired")
		}
		return res, err
	}
}

// failedPowerOff: from 5.19 a power-off without a way to do it becomes a reset at
// once while a shutdown countdown runs. Before, the kernel makes a halt of it, and
// that is for hardware to end.
func failedPowerOff(ctx context.Context, r *rig, g *vm.Guest) (result, error) {
	s, err := hold(ctx, g, timeout, "-shutdown-action", "1", "-reboot", "off")
	if err != nil {
		return result{}, err
	}
	if r.before(5, 19) {
		return s.want(ctx, 0)
	}
	res, err := s.want(ctx, soon, vm.KindReset)
	if err == nil && res.fired {
		err = errors.New("only the countdown ended it")
	}
	return res, err
}
