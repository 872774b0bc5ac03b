package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"shisa/ci/vm"
)

// A result is what a case saw.
type result struct {
	seen     string
	lateness time.Duration
	fired    bool // lateness means something
	samples  samples
}

// A scenario is a case with a guest of its own.
type scenario struct {
	name  string
	quick bool // part of a quick run
	setup setup
	lasts time.Duration // longer than most
	run   func(ctx context.Context, r *rig, g *vm.Guest) (result, error)
}

// scenarios returns all of them.
func (o options) scenarios() []scenario {
	return slices.Concat(actionScenarios(), shutdownScenarios(), lifeScenarios(o.fuzz, o.quick), sleepScenarios(), latenessScenarios(o.rounds))
}

func (s scenario) test(ctx context.Context, r *rig) row {
	w := row{kernel: r.kernel.Name, engine: "clpka", fault: s.name, seen: "-"}
	ctx, cancel := context.WithTimeout(ctx, caseTimeout+s.lasts)
	defer cancel()
	g, err := r.boot(ctx, s.setup)
	if err != nil {
		w.err = err
		return w
	}
	defer g.Close()
	result, err := s.run(ctx, r, g)
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, tail(g.Console()))
	}
	w.seen, w.lateness, w.fired, w.samples, w.err = result.seen, result.lateness, result.fired, result.samples, err
	w.timer = timerLateness(g.Console())
	if w.seen == "" {
		w.seen = "-"
	}
	return w
}

// fires lets the guest hold a countdown and wants these events in this order; the
// first within the time given after the deadline.
func fires(within time.Duration, args []string, kinds ...string) func(context.Context, *rig, *vm.Guest) (result, error) {
	return func(ctx context.Context, _ *rig, g *vm.Guest) (result, error) {
		s, err := hold(ctx, g, timeout, args...)
		if err != nil {
			return result{}, err
		}
		return s.want(ctx, within, kinds...)
	}
}

// want waits for these events in this order. None: nothing may happen.
func (s *shot) want(ctx context.Context, within time.Duration, kinds ...string) (result, error) {
	s.grace = max(s.grace, within+time.Second)
	first, err := s.outcome(ctx)
	if err != nil {
		return result{}, err
	}
	if first.Kind == "" {
		if len(kinds) > 0 {
			return result{seen: "never"}, fmt.Errorf("want %s", kinds)
		}
		return result{seen: "never"}, nil
	}
	late := s.late(first)
	res := result{seen: first.String(), lateness: late, fired: late > -100*time.Millisecond}
	if len(kinds) == 0 || first.Kind != kinds[0] {
		return res, fmt.Errorf("want %s", kinds)
	}
	if late > within {
		return res, fmt.Errorf("%v after the deadline, want at most %v", late, within)
	}
	// What a panic does before it restarts takes its time on a busy host.
	s.grace = within + time.Minute
	for _, kind := range kinds[1:] {
		e, err := s.outcome(ctx, kind)
		switch {
		case err != nil:
			return res, fmt.Errorf("want %s after it: %w", kind, err)
		case e.Kind == "":
			return res, fmt.Errorf("want %s after it", kind)
		}
		res.seen += "+" + e.String()
	}
	return res, nil
}

// lag is how long the console may take to tell what QMP has told already.
const lag = 2 * time.Second

// says fails when the console lacks one of the texts.
func says(ctx context.Context, g *vm.Guest, texts ...string) error {
	ctx, cancel := context.WithTimeout(ctx, lag)
	defer cancel()
	for _, text := range texts {
		if _, err := g.Expect(ctx, text); err != nil {
			return fmt.Errorf("the console does not say %q", text)
		}
	}
	return nil
}

// calm fails when the machine was reset, or the kernel complained.
func calm(g *vm.Guest) error {
	for _, e := range g.Events() {
		if slices.Contains(outcomes, e.Kind) {
			return fmt.Errorf("unwanted: %s", e)
		}
	}
	for _, word := range []string{"WARNING:", "BUG:", "Oops", "general protection", "Call Trace", "clpka: FIRED"} {
		if strings.Contains(g.Console(), word) {
			return fmt.Errorf("unwanted in the console: %s", word)
		}
	}
	return nil
}
