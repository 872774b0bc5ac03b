package stall

import (
	"errors"
	"testing"
	"time"

	"shisa/bpf/trial"
)

func TestHistogram(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 {
		t.Error("an empty one has a median")
	}
	h[10], h[20] = 90, 10
	for q, want := range map[float64]time.Duration{0: 1 << 10, 0.5: 1 << 10, 0.9: 1 << 10, 0.95: 1 << 20, 1: 1 << 20} {
		if got := h.Quantile(q); got != want {
			t.Errorf("%v: got %v, want %v", q, got, want)
		}
	}
}

func TestTraceQueues(t *testing.T) {
	k, err := trial.Open()
	if errors.Is(err, trial.ErrPrivilege) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	h, lost, err := TraceQueues(t.Context(), k, 200*time.Millisecond)
	if err != nil || h.Total() == 0 || lost != 0 {
		t.Errorf("got %v, %d lost, %v", h, lost, err)
	}
	t.Logf("%d waits, p50 below %v, p99 below %v", h.Total(), h.Quantile(0.5), h.Quantile(0.99))
}
