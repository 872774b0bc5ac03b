package main

import (
	"context"
	"fmt"
	"time"

	"shisa/ci/vm"
)

// A way is one of those in which the lateness case resets its guest.
type way struct {
	name    string
	prepare string // in the guest's shell
	args    []string
}

const (
	consoleOff  = "echo 0 > /sys/class/tty/ttyS0/console; "
	evidenceOff = "echo 0 > /sys/module/clpka/parameters/evidence_ms; "
)

// ways tell apart what the time between deadline and reset is spent on: the host and
// the bare minimum, softdog for comparison, the module's own work, printing its two
// lines on an emulated serial line, and the evidence.
var ways = []way{
	{"a bare timer, for comparison", "true", []string{"-device", "bare"}},
	{"softdog, for comparison", "rmmod clpka; modprobe softdog", []string{"-device", "/dev/watchdog0"}},
	{"clpka without console", consoleOff + evidenceOff, nil},
	{"clpka without console, with evidence", consoleOff, nil},
	{"clpka without evidence", evidenceOff, nil},
	{"clpka", "true", nil},
}

// latenessScenarios reset one guest again and again, in each way in turn, so that what
// the host does meanwhile hits all alike.
func latenessScenarios(rounds int) []scenario {
	return []scenario{{
		name: "lateness", lasts: time.Duration(rounds*len(ways)) * 30 * time.Second,
		setup: setup{present: []string{"softdog"}},
		run: func(ctx context.Context, _ *rig, g *vm.Guest) (result, error) {
			late := samples{}
			for n := range rounds * len(ways) {
				w := ways[n%len(ways)]
				if _, err := g.WaitBoot(ctx, n+1); err != nil {
					return result{}, err
				}
				one, err := w.reset(ctx, g)
				if err != nil {
					return result{}, fmt.Errorf("%s, round %d: %w", w.name, n/len(ways)+1, err)
				}
				kind := "reset by " + w.name + ", by the hypervisor's clock"
				late[kind] = append(late[kind], one)
			}
			return result{seen: fmt.Sprint(rounds, " rounds"), samples: late}, nil
		},
	}}
}

// reset returns how late the reset of an idle guest was, by the hypervisor's clock.
func (w way) reset(ctx context.Context, g *vm.Guest) (time.Duration, error) {
	if _, err := g.Sh(ctx, w.prepare); err != nil {
		return 0, err
	}
	s, err := hold(ctx, g, time.Second, w.args...)
	if err != nil {
		return 0, err
	}
	e, err := s.outcome(ctx, vm.KindReset)
	if err == nil && e.Kind == "" {
		err = fmt.Errorf("it did not happen")
	}
	if err != nil {
		return 0, err
	}
	return s.late(e), nil
}
