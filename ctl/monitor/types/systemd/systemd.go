// Package systemd declares the monitor of a systemd unit.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"

	"shisa/ctl/monitor"
	"shisa/ctl/param"
)

type params struct {
	unit   string
	states []string
}

// States that a unit can be in: org.freedesktop.systemd1(5), ActiveState.
var activeStates = []string{"active", "reloading", "refreshing", "inactive", "failed", "activating", "deactivating", "maintenance"}

// Type asks systemd for the state of a unit.
var Type = monitor.Define(monitor.Spec[params]{
	Name:  "systemd",
	Title: "systemd unit",
	Doc: "Asks systemd over D-Bus for the state of a unit. A state in `states` is good. A unit that is just starting is a warning, " +
		"unless systemd starts it again because it has failed; every other state is a failure.\n\n" +
		"Changes are announced by systemd and looked at without waiting for the interval. " +
		"A unit that does not exist, or a systemd that does not answer, is no statement about the service.",
	Timing: monitor.Timing{Interval: 30 * time.Second, Timeout: 10 * time.Second, Retry: 1},
	Needs:  []string{"systemd"},
	Params: func(p *params, s *param.Set) {
		s.String(&p.unit, "unit", "", `Name of the unit, such as "httpd.service".`).Required().Check(p.checkUnit)
		s.Strings(&p.states, "states", []string{"active", "reloading", "refreshing"}, "Good states.").Check(p.checkStates)
	},
	Example: map[string]any{"unit": "httpd.service"},
	New:     func(p params, _ monitor.Env) (monitor.Prober, error) { return &prober{params: p}, nil },
})

func (p *params) checkUnit() error {
	if i := strings.LastIndexByte(p.unit, '.'); i <= 0 || strings.ContainsAny(p.unit, "/ \t\n*?[") {
		return fmt.Errorf("%q is no unit: write its whole name, such as \"httpd.service\"", p.unit)
	}
	return nil
}

func (p *params) checkStates() error {
	for _, s := range p.states {
		if !slices.Contains(activeStates, s) {
			return fmt.Errorf("%q is none of %s", s, strings.Join(activeStates, ", "))
		}
	}
	if len(p.states) == 0 {
		return errors.New("name at least one good state")
	}
	return nil
}

type prober struct {
	params

	mu   sync.Mutex
	used bool // we hold a share of the connection
}

// Probe implements monitor.Prober.
func (p *prober) Probe(ctx context.Context) (monitor.Finding, error) {
	conn, err := p.connect(ctx)
	if err != nil {
		return monitor.Finding{}, err
	}
	u, err := status(ctx, conn, p.unit)
	if err != nil {
		return monitor.Finding{}, fmt.Errorf("ask systemd for %s: %w", p.unit, err)
	}
	monitor.Logf(ctx, "load state %s, active state %s, sub state %s", u.Load, u.Active, u.Sub)
	return p.judge(u)
}

func (p *prober) judge(u unitStatus) (monitor.Finding, error) {
	f := monitor.Finding{Verdict: monitor.Failed, Detail: fmt.Sprintf("%s is %s (%s)", p.unit, u.Active, u.Sub)}
	switch {
	case u.Load == "not-found":
		return monitor.Finding{}, fmt.Errorf("systemd knows no unit %s; check the name with systemctl list-unit-files", p.unit)
	case slices.Contains(p.states, u.Active):
		f.Verdict = monitor.OK
	case u.Active == "activating" && !strings.HasPrefix(u.Sub, "auto-restart"):
		f.Verdict = monitor.Warning
	}
	return f, nil
}

// Watch implements monitor.Watcher.
func (p *prober) Watch(ctx context.Context, changed func()) error {
	conn, err := p.connect(ctx)
	if err != nil {
		return nil // the next probe says so, and after it we try again
	}
	call := conn.Object(busName, busPath).CallWithContext(ctx, busName+".Manager.Subscribe", 0)
	if err := call.Err; err != nil && !alreadySubscribed(err) {
		return nil
	}
	path := unitPath(p.unit)
	rule := []dbus.MatchOption{dbus.WithMatchObjectPath(path), dbus.WithMatchInterface(propertiesFace), dbus.WithMatchMember("PropertiesChanged")}
	if err := conn.AddMatchSignalContext(ctx, rule...); err != nil {
		return nil
	}
	signals := make(chan *dbus.Signal, 16)
	conn.Signal(signals)
	defer func() {
		conn.RemoveSignal(signals)
		_ = conn.RemoveMatchSignal(rule...) // fails when the connection is closed
	}()
	// What changed between the probe and now was not announced to us.
	changed()
	for {
		select {
		case <-ctx.Done():
			return nil
		case s, open := <-signals:
			if !open {
				return nil // the connection broke; the next probe makes a new one
			}
			if s.Path == path {
				changed()
			}
		}
	}
}

// Close implements monitor.Closer.
func (p *prober) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.used {
		return nil
	}
	p.used = false
	return shared.release()
}

func (p *prober) connect(ctx context.Context) (*dbus.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.used {
		p.used = true
		shared.acquire()
	}
	return shared.get(ctx)
}
