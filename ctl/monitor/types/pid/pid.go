// Package pid declares the monitor of a resource's own process.
package pid

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/param"
	"shisa/ctl/proc"
)

type params struct{}

// Type sees to it that the main process of the target lives.
var Type = monitor.Define(monitor.Spec[params]{
	Name:  "pid",
	Alias: "pidw",
	Title: "Process of a resource",
	Doc: "Sees to it that the main process of its target lives: that of an exec resource that starts asynchronously, or of a systemd unit. " +
		"Its death is noticed at once, by pidfd, and is certain: no retry is awaited. " +
		"The monitor cannot see a process that lives but does nothing.",
	Timing:  monitor.Timing{Interval: 5 * time.Second, Timeout: 60 * time.Second, Retry: 3, FirstWait: 3 * time.Second},
	When:    monitor.WhileActive,
	Target:  true,
	Params:  func(*params, *param.Set) {},
	Example: map[string]any{},
	New: func(_ params, env monitor.Env) (monitor.Prober, error) {
		if env.Target == nil {
			return nil, fmt.Errorf("monitor %s: it needs a target with a process of its own", env.Name)
		}
		return &prober{target: env.Target}, nil
	},
})

type prober struct {
	target monitor.Target
	gone   atomic.Pointer[proc.ID] // that was reported last: there is nothing more to watch for
}

// Probe implements monitor.Prober.
func (p *prober) Probe(ctx context.Context) (monitor.Finding, error) {
	if err := ctx.Err(); err != nil {
		return monitor.Finding{}, err
	}
	pid, start, ok := p.target.Process()
	if !ok {
		return monitor.Finding{Verdict: monitor.Failed, Detail: "the target has no process"}, nil
	}
	id := proc.ID{PID: pid, Start: start}
	alive, err := id.Lives()
	if err != nil {
		return monitor.Finding{}, fmt.Errorf("look at process %d: %w", pid, err)
	}
	if alive && !announced(id) {
		return monitor.Finding{Detail: fmt.Sprintf("process %d lives", pid)}, nil
	}
	monitor.Logf(ctx, "process %v is gone", id)
	p.gone.Store(&id)
	return monitor.Finding{Verdict: monitor.Failed, Detail: fmt.Sprintf("process %d has ended", pid), Certain: true}, nil
}

// announced reports whether the process is dying, although it is still there.
func announced(id proc.ID) bool {
	w, err := proc.Default()
	return err == nil && w.Dying(id)
}

// Watch implements monitor.Watcher.
func (p *prober) Watch(ctx context.Context, changed func()) error {
	pid, start, ok := p.target.Process()
	if !ok {
		return nil // the next probe may find one
	}
	if gone := p.gone.Load(); gone != nil && *gone == (proc.ID{PID: pid, Start: start}) {
		return nil
	}
	w, err := proc.Default()
	if err != nil {
		return err
	}
	died := make(chan struct{})
	stop, err := w.Notice(proc.ID{PID: pid, Start: start}, func() { changed(); close(died) })
	if err != nil {
		return err
	}
	defer stop()
	select {
	case <-ctx.Done():
	case <-died:
	}
	return nil
}
