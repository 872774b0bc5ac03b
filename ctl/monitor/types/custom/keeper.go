package custom

import (
	"context"
	"fmt"
	"sync"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/run"
)

// restartGap is the least time between two starts of a script that is kept
// running.
const restartGap = 10 * time.Second

// A keeper keeps the script running from one probe to the next.
type keeper struct {
	prober

	mu      sync.Mutex
	running *run.Process // the last one that was started; nil: none yet
	begun   time.Time    // of running
	judged  bool         // running has ended, and a probe has said so
}

// Probe implements monitor.Prober.
func (k *keeper) Probe(ctx context.Context) (monitor.Finding, error) {
	if err := ctx.Err(); err != nil {
		return monitor.Finding{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.running == nil {
		if err := k.start(ctx); err != nil {
			return monitor.Finding{}, err
		}
		return monitor.Finding{Detail: fmt.Sprintf("the script was started as process %d", k.running.ID().PID)}, nil
	}
	select {
	case <-k.running.Done():
	default:
		return monitor.Finding{Detail: fmt.Sprintf("the script runs as process %d", k.running.ID().PID)}, nil
	}
	// That it can be started again is no proof that all is well, so this
	// probe tells of the end, and the next one whether it runs.
	r := k.running.Wait()
	k.judged = true
	if time.Since(k.begun) >= restartGap {
		if err := k.start(ctx); err != nil {
			return monitor.Finding{}, err
		}
	}
	if r.Took < k.wait {
		return monitor.Finding{Verdict: monitor.Warning, Detail: fmt.Sprintf("the script %v within start_wait", r)}, nil
	}
	return k.conclude(ctx, r)
}

// start starts the script, which outlives the probe.
func (k *keeper) start(ctx context.Context) error {
	c, err := k.command()
	if err != nil {
		return err
	}
	p, err := run.Start(context.WithoutCancel(ctx), c)
	if err != nil {
		return fmt.Errorf("start the script: %w", err)
	}
	k.running, k.begun, k.judged = p, time.Now(), false
	return nil
}

// Watch implements monitor.Watcher: it asks for a probe when the script has ended.
func (k *keeper) Watch(ctx context.Context, changed func()) error {
	k.mu.Lock()
	running, judged := k.running, k.judged
	k.mu.Unlock()
	if running == nil || judged {
		return nil
	}
	select {
	case <-ctx.Done():
	case <-running.Done():
		changed()
	}
	return nil
}

// Close implements monitor.Closer: it ends the script.
func (k *keeper) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.running == nil {
		return nil
	}
	k.running.Stop()
	if r := k.running.Wait(); r.Stuck {
		return fmt.Errorf("end %s: some of its processes cannot be killed", k.script)
	}
	return nil
}
