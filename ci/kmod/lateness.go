package main

import (
	"context"
	"fmt"
	"time"

	"shisa/ci/vm"
)

// resets is how often each lateness case resets its guest.
const resets = 5

// latenessScenarios tell apart what the time between deadline and reset is spent on:
// the timer, printing to an emulated serial line, and the evidence.
func latenessScenarios() []scenario {
	return []scenario{
		{name: "lateness", lasts: caseTimeout, run: lateness("reset with evidence", "")},
		{name: "lateness-no-evidence", lasts: caseTimeout, run: lateness("reset without evidence",
			"echo 0 > /sys/module/clpka/parameters/evidence_ms")},
		{name: "lateness-no-console", lasts: caseTimeout, run: lateness("reset with evidence, no console",
			"echo 0 > /sys/class/tty/ttyS0/console")},
	}
}

// lateness resets an idle guest again and again, each time prepared by a script.
func lateness(kind, prepare string) func(context.Context, *rig, *vm.Guest) (result, error) {
	return func(ctx context.Context, _ *rig, g *vm.Guest) (result, error) {
		var late []time.Duration
		for n := range resets {
			if _, err := g.WaitBoot(ctx, n+1); err != nil {
				return result{}, err
			}
			if _, err := g.Sh(ctx, prepare); err != nil {
				return result{}, err
			}
			s, err := hold(ctx, g, time.Second)
			if err != nil {
				return result{}, err
			}
			e, err := s.outcome(ctx, vm.KindReset)
			if err == nil && e.Kind == "" {
				err = fmt.Errorf("reset %d did not happen", n+1)
			}
			if err != nil {
				return result{}, err
			}
			late = append(late, s.late(e))
		}
		return result{seen: distribution(late), samples: samples{kind + ", by the hypervisor's clock": late}}, nil
	}
}
