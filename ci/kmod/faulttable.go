package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"shisa/ci/vm"
)

// A fault is a way in which a machine stalls, and which countdowns outlive it.
type fault struct {
	name    string
	args    []string // of the guest's hold
	clpka   bool     // fires
	softdog func(r *rig) bool
	quick   bool // part of a quick run
}

func always(*rig) bool  { return true }
func nowhere(*rig) bool { return false }

// notOnRT: softdog's timer runs in a thread there.
func notOnRT(r *rig) bool { return !r.rt() }

// faultTable is what stalls are survived. "irqs-off-all" is survived by hardware only.
var faultTable = []fault{
	{name: "none", clpka: true, softdog: always, quick: true},
	{name: "irqs-off-cpu0", args: []string{"-fault", "irqs-off-cpu0"}, clpka: true, softdog: nowhere, quick: true},
	{name: "preemption-off-all", args: []string{"-fault", "preemption-off-all"}, clpka: true, softdog: notOnRT},
	{name: "irqs-off-all", args: []string{"-fault", "irqs-off-all"}, clpka: false, softdog: nowhere},
	{name: "rt-hogs", args: []string{"-hogs"}, clpka: true, softdog: notOnRT},
	{name: "softirq-storm", args: []string{"-fault", "softirq-storm", "-hogs"}, clpka: true, softdog: notOnRT},
	{name: "hang-in-notifier", args: []string{"-fault", "hang-in-notifier", "-reboot", "restart"}, clpka: true, softdog: nowhere},
	{name: "hang-in-device", args: []string{"-fault", "hang-in-device", "-reboot", "restart"}, clpka: true, softdog: nowhere, quick: true},
	{name: "hang-in-syscore", args: []string{"-fault", "hang-in-syscore", "-reboot", "restart"}, clpka: true, softdog: nowhere},
}

// run stalls one guest under one engine and compares.
func (f fault) run(ctx context.Context, r *rig, engine string) row {
	w := row{kernel: r.kernel.Name, engine: engine, fault: f.name, timer: -1}
	ctx, cancel := context.WithTimeout(ctx, caseTimeout)
	defer cancel()
	g, err := r.boot(ctx, setup{softdog: engine == "softdog"})
	if err != nil {
		w.err = err
		return w
	}
	defer g.Close()
	args := f.args
	if engine == "softdog" {
		args = append([]string{"-device", "/dev/watchdog0"}, args...)
	}
	s, err := hold(ctx, g, timeout, args...)
	if err != nil {
		w.err = err
		return w
	}
	e, err := s.outcome(ctx)
	w.err = err
	want := f.clpka
	if engine == "softdog" {
		want = f.softdog(r)
	}
	switch {
	case err != nil:
	case e.Kind == "":
		w.seen = "never"
		if want {
			w.err = fmt.Errorf("the countdown did not fire\n%s", tail(g.Console()))
		}
	default:
		w.seen, w.fired, w.lateness = e.String(), true, s.late(e)
		w.err = f.judge(want, e, w.lateness, g.Console())
		if w.err == nil && engine == "clpka" {
			w.err = says(ctx, g, "clpka: FIRED")
			w.timer = timerLateness(g.Console())
		}
	}
	return w
}

// judge compares what was seen with what was wanted.
func (f fault) judge(want bool, e vm.Event, late time.Duration, console string) error {
	switch {
	case !want:
		return fmt.Errorf("fired although nothing should have: the table is wrong\n%s", tail(console))
	case e.Kind != vm.KindReset:
		return fmt.Errorf("want a reset\n%s", tail(console))
	case late < -20*time.Millisecond || late > time.Second:
		return fmt.Errorf("%v after the deadline\n%s", late, tail(console))
	}
	return nil
}

// tail returns the end of a console.
func tail(console string) string {
	lines := strings.Split(strings.TrimSpace(console), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}
