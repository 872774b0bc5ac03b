// Package multi declares the monitor that sums up other monitors.
package multi

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/param"
)

type params struct {
	monitors []string
	failed   string
	warning  string

	failAt int // of failed
	warnAt int // of warning; 0: never
}

// Type counts how many of a set of monitors have failed.
var Type = monitor.Define(monitor.Spec[params]{
	Name:  "multi",
	Alias: "mtw",
	Title: "Several monitors together",
	Doc: "Counts how many of a set of monitors have failed, and judges by the number: it fails when `failed_at` of them have failed, " +
		"and warns when `warning_at` of them have failed or warn.\n\n" +
		"A member counts as failed when its own retries are used up. One that is suspended, whose target is not active, or that has not been " +
		"probed yet, does not count. One that cannot look does not count either; but when it would tip the scales, this monitor cannot look. " +
		"A change of a member is looked at at once. Members may be of this type, too, but not in a circle.",
	Timing: monitor.Timing{Interval: 30 * time.Second, Timeout: 30 * time.Second},
	Params: declare,
	// The names are those of the examples of these types in the default
	// configuration.
	Example: map[string]any{"monitors": []any{"http-1", "tcp-1"}, "failed_at": "all", "warning_at": "1"},
	New: func(p params, env monitor.Env) (monitor.Prober, error) {
		if env.Peers == nil {
			return nil, fmt.Errorf("monitor %s: there are no other monitors here", env.Name)
		}
		return &prober{p, env.Peers}, nil
	},
})

func declare(p *params, s *param.Set) {
	s.Strings(&p.monitors, "monitors", nil, "Names of the monitors that are counted.").Required().Monitors()
	s.String(&p.failed, "failed_at", "all", `How many of them must have failed for a failure: a number, a share such as "50%", or "all".`).
		As("parameters/threshold/error").
		Check(func() (err error) { p.failAt, err = threshold(p.failed, p.members()); return err })
	s.String(&p.warning, "warning_at", "", "How many of them must have failed or warn for a warning, written alike; empty: there is no warning.").
		As("parameters/threshold/warning").
		Check(func() (err error) {
			p.warnAt = 0
			if p.warning == "" {
				return nil
			}
			if p.warnAt, err = threshold(p.warning, p.members()); err == nil && p.warnAt > p.failAt {
				err = fmt.Errorf("%q is more than failed_at = %q: the warning would never come first", p.warning, p.failed)
			}
			return err
		})
}

func (p *params) members() int { return len(distinct(p.monitors)) }

func distinct(names []string) []string { return slices.Compact(slices.Sorted(slices.Values(names))) }

// threshold returns how many of n monitors text stands for: at least one.
func threshold(text string, n int) (int, error) {
	digits, share := strings.CutSuffix(text, "%")
	v, err := strconv.Atoi(digits)
	switch {
	case text == "all":
		return n, nil
	case err != nil || v < 1:
		return 0, fmt.Errorf(`%q is no threshold: write a number such as "2", a share such as "50%%", or "all"`, text)
	case share && v > 100:
		return 0, fmt.Errorf("%q is more than all: 100%% is the most", text)
	case share:
		return max(1, (n*v+99)/100), nil // rounded up: 50% of three is two
	case v > n && n > 0:
		return 0, fmt.Errorf("%q is more than the %d monitors of the list: it would never fail", text, n)
	}
	return v, nil
}

// A prober counts its peers.
type prober struct {
	params
	peers monitor.Peers
}

// count is how many members are in which state.
type count struct {
	failed, warned, blind, silent int
	names                         []string // of those that have failed
}

// Probe implements monitor.Prober.
func (p *prober) Probe(ctx context.Context) (monitor.Finding, error) {
	if err := ctx.Err(); err != nil {
		return monitor.Finding{}, err
	}
	names := distinct(p.monitors)
	c := p.count(ctx, names)
	detail := fmt.Sprintf("%d of %d monitors have failed", c.failed, len(names))
	if len(c.names) > 0 {
		detail += ": " + strings.Join(c.names, ", ")
	}
	switch {
	case c.failed >= p.failAt:
		return monitor.Finding{Verdict: monitor.Failed, Detail: detail}, nil
	case c.failed+c.blind >= p.failAt:
		return monitor.Finding{}, fmt.Errorf("%s, and %d cannot look; %d decide", detail, c.blind, p.failAt)
	case p.warnAt > 0 && c.failed+c.warned >= p.warnAt:
		return monitor.Finding{Verdict: monitor.Warning, Detail: fmt.Sprintf("%s; %d warn", detail, c.warned)}, nil
	case c.silent == len(names):
		return monitor.Finding{Detail: "none of the monitors probes at present"}, nil
	}
	return monitor.Finding{Detail: detail}, nil
}

func (p *prober) count(ctx context.Context, names []string) (c count) {
	for _, name := range names {
		peer, ok := p.peers.Peer(name)
		monitor.Logf(ctx, "%s: %s", name, peer.Health)
		switch {
		case !ok || !peer.Probing || peer.Health == monitor.Unknown:
			c.silent++
		case peer.Health == monitor.Broken:
			c.failed++
			c.names = append(c.names, name)
		case peer.Health == monitor.Warned:
			c.warned++
		case peer.Health == monitor.Blind:
			c.blind++
		}
	}
	return c
}

// Watch implements monitor.Watcher.
func (p *prober) Watch(ctx context.Context, changed func()) error {
	p.peers.WatchPeers(ctx, p.monitors, changed)
	return nil
}
