package daemon

import (
	"sync"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/config"
	"shisa/ctl/monitor"
	"shisa/ctl/recovery"
)

// decisionHistory bounds the decisions kept for one monitor.
const decisionHistory = 20

// A history is what one monitor has seen and decided lately.
type history struct {
	mu        sync.Mutex
	probes    ring[api.Probe]
	decisions ring[api.Decision]
	last      time.Time // start of the last probe
	took, max time.Duration
	verdict   api.Verdict
	since     time.Time // of the verdict
	changed   chan struct{}

	count, failed, timedOut, blind uint64
}

// histories holds one history a monitor.
type histories struct {
	mu sync.RWMutex
	by map[string]*history
}

// keep makes a history for each monitor of m and forgets those of others.
func (h *histories) keep(m *config.Model) {
	h.mu.Lock()
	defer h.mu.Unlock()
	by := make(map[string]*history, len(m.Monitors))
	for _, c := range m.Monitors {
		if by[c.Name] = h.by[c.Name]; by[c.Name] == nil {
			by[c.Name] = &history{verdict: api.NotYet, since: time.Now(), changed: make(chan struct{})}
		}
	}
	h.by = by
}

func (h *histories) get(name string) *history {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.by[name]
}

// probed adds a probe.
func (h *histories) probed(name string, r monitor.Report) {
	if one := h.get(name); one != nil {
		one.add(r)
	}
}

func (h *history) add(r monitor.Report) {
	p := api.Probe{At: r.At, TookMS: api.Millis(r.Took), Verdict: verdict(r), Detail: r.Finding.Detail, Log: r.Log}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count++
	switch p.Verdict {
	case api.CouldNotLook:
		h.blind++
		p.Detail = r.Err.Error()
	case api.TimedOut:
		h.timedOut++
		p.Detail = noAnswer(r)
	case api.Failed:
		h.failed++
	case api.NotYet, api.OK, api.Warning:
	}
	if p.Verdict != h.verdict {
		h.verdict, h.since = p.Verdict, r.At
	}
	h.last, h.took, h.max = r.At, r.Took, max(h.max, r.Took)
	h.probes.add(p, api.ProbeHistory)
	close(h.changed)
	h.changed = make(chan struct{})
}

// probedBefore reports whether a monitor was probed at least once.
func (h *histories) probedBefore(name string) bool {
	one := h.get(name)
	if one == nil {
		return false
	}
	_, n := one.next()
	return n > 0
}

// next returns a channel that is closed by the next probe, and the number of
// probes so far.
func (h *history) next() (<-chan struct{}, uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed, h.count
}

func verdict(r monitor.Report) api.Verdict {
	switch {
	case r.TimedOut: // a probe that keeps its deadline says so with an error, too
		return api.TimedOut
	case r.Err != nil:
		return api.CouldNotLook
	}
	switch r.Finding.Verdict {
	case monitor.Failed:
		return api.Failed
	case monitor.Warning:
		return api.Warning
	case monitor.OK:
	}
	return api.OK
}

// decided adds a decision. Those that repeat the last one are counted with it.
func (h *histories) decided(name string, d recovery.Decision) {
	one := h.get(name)
	if one == nil {
		return
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	next := api.Decision{At: time.Now(), Action: string(d.Action), Count: d.Count, Limit: d.Limit, Reason: d.Reason}
	if last := one.decisions.last(); last != nil && last.Action == next.Action && last.Reason == next.Reason {
		last.At = next.At
		return
	}
	one.decisions.add(next, decisionHistory)
}

// A ring keeps the latest items.
type ring[T any] struct{ items []T }

func (r *ring[T]) add(v T, limit int) {
	if len(r.items) >= limit {
		copy(r.items, r.items[1:])
		r.items = r.items[:len(r.items)-1]
	}
	r.items = append(r.items, v)
}

func (r *ring[T]) last() *T {
	if len(r.items) == 0 {
		return nil
	}
	return &r.items[len(r.items)-1]
}

// all returns a copy, oldest first; never nil.
func (r *ring[T]) all() []T { return append([]T{}, r.items...) }
