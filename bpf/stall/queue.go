package stall

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shisa/bpf/internal/obj"
	"shisa/bpf/trial"
)

// QueueJob is the tracing of run queues: what a loader tries, on demand only.
var QueueJob = trial.Job{
	Name:    "run queue",
	Objects: []trial.Object{{Name: "histogram", Spec: obj.LoadRunq}},
	Parts: []trial.Part{
		{Name: "wakeup", Programs: []string{"wakeup_tp_btf", "wakeup_raw_tp"}},
		{Name: "born", Programs: []string{"born_tp_btf", "born_raw_tp"}},
		{Name: "switch", Programs: []string{"switch_tp_btf", "switch_raw_tp"}},
	},
}

// Histogram counts waits by powers of two: slot n holds those below 2^n ns, and
// not below half of that.
type Histogram [40]uint64

// Total is the number of waits.
func (h Histogram) Total() (total uint64) {
	for _, n := range h {
		total += n
	}
	return total
}

// Quantile returns a bound that the part q (0 to 1) of all waits does not exceed;
// zero when there were none.
func (h Histogram) Quantile(q float64) time.Duration {
	total := h.Total()
	if total == 0 {
		return 0
	}
	need, seen := q*float64(total), uint64(0)
	for slot, n := range h {
		seen += n
		if float64(seen) >= need && seen > 0 {
			return time.Duration(1) << slot
		}
	}
	return time.Duration(1) << (len(h) - 1)
}

// TraceQueues measures how long tasks wait for a CPU from now until d has passed
// or ctx is done. It traces every context switch, which makes switching up to a
// quarter dearer: for an operator who looks for something, for some seconds. The
// second result counts waits that could not be kept.
func TraceQueues(ctx context.Context, k *trial.Kernel, d time.Duration) (h Histogram, lost uint64, err error) {
	if k == nil {
		return h, 0, trial.ErrPrivilege
	}
	loaded, err := k.Load(QueueJob)
	if err != nil {
		return h, 0, err
	}
	defer func() { err = errors.Join(err, loaded.Close()) }()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	waits := loaded.Map("waits")
	for slot := range h {
		var each []uint64
		if err := waits.Lookup(uint32(slot), &each); err != nil {
			return h, 0, fmt.Errorf("read the waits: %w", err)
		}
		for _, n := range each {
			h[slot] += n
		}
	}
	counters, err := loaded.Counters()
	return h, counters.Lost, err
}
