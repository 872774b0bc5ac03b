// Package stall declares the monitor that shows the stall protection.
package stall

import (
	"context"
	"fmt"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/param"
)

type params struct{}

// Type shows how fresh the proofs of progress of user space are.
var Type = monitor.Define(monitor.Spec[params]{
	Name:  "stall",
	Alias: "userw",
	Title: "Stall of user space",
	Doc: "Shows the stall protection of `[stall]` as a monitor: how old each proof of progress is, and how late it ever was.\n\n" +
		"It warns when one is older than `stall.warn_percent` of its limit, when the protection is switched off, and when nothing would end a stall " +
		"though something should. It fails when one has reached its limit. It is a view only: what a stall is, and what is done about it, " +
		"stands in `[stall]` and `[keepalive]`, and the countdown acts without this monitor, which in a stall may not be probed any more.",
	Timing:  monitor.Timing{Interval: 3 * time.Second, Timeout: 90 * time.Second},
	Params:  func(*params, *param.Set) {},
	Example: map[string]any{},
	New: func(_ params, env monitor.Env) (monitor.Prober, error) {
		if env.Stall == nil {
			return nil, fmt.Errorf("monitor %s: there is no stall protection here", env.Name)
		}
		return prober(env.Stall), nil
	},
})

// A prober returns the stall protection.
type prober func() monitor.Stall

// Probe implements monitor.Prober.
func (p prober) Probe(ctx context.Context) (monitor.Finding, error) {
	if err := ctx.Err(); err != nil {
		return monitor.Finding{}, err
	}
	s := p()
	switch {
	case !s.Enabled:
		return monitor.Finding{Verdict: monitor.Warning, Detail: "the stall protection is off: stall.enabled is false"}, nil
	case len(s.Beats) == 0:
		return monitor.Finding{}, fmt.Errorf("no progress is measured yet")
	}
	oldest, latest := s.Beats[0], s.Beats[0]
	for _, b := range s.Beats {
		monitor.Logf(ctx, "%s: %v of %v; at most %v", b.Name, short(b.Age), b.Limit, short(b.MaxDelay))
		if used(b) > used(oldest) {
			oldest = b
		}
		if b.MaxDelay > latest.MaxDelay {
			latest = b
		}
	}
	f := monitor.Finding{Detail: fmt.Sprintf("%d loops make progress; %s was last seen %v ago (limit %v); largest delay %v (%s)",
		len(s.Beats), oldest.Name, short(oldest.Age), oldest.Limit, short(latest.MaxDelay), latest.Name)}
	switch {
	case oldest.Age >= oldest.Limit:
		f.Verdict = monitor.Failed
		f.Detail = fmt.Sprintf("%s makes no progress since %v (limit %v)", oldest.Name, short(oldest.Age), oldest.Limit)
	case s.WarnPercent > 0 && used(oldest) >= float64(s.WarnPercent):
		f.Verdict = monitor.Warning
		f.Detail = fmt.Sprintf("%s is late: %v of %v", oldest.Name, short(oldest.Age), oldest.Limit)
	case s.Unprotected != "":
		f.Verdict, f.Detail = monitor.Warning, s.Unprotected
	}
	return f, nil
}

// used is the share of its limit that the age of b has reached, in percent.
func used(b monitor.Beat) float64 {
	return 100 * b.Age.Seconds() / max(b.Limit.Seconds(), 1e-3)
}

func short(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
