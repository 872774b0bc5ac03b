package api

import (
	"slices"
	"testing"
	"time"
)

func TestTrace(t *testing.T) {
	some := []TraceWait{{1, 0}, {2, 3}, {4, 0}, {8, 1}, {16, 0}}
	for name, c := range map[string]struct {
		waits, want []TraceWait
		half, all   time.Duration
	}{
		"none":      {nil, []TraceWait{}, 0, 0},
		"all empty": {make([]TraceWait, 5), []TraceWait{}, 0, 0},
		"some":      {some, some[1:4], 2, 8},
	} {
		got := Trace{Waits: c.waits}.Trimmed()
		if !slices.Equal(got.Waits, c.want) || got.Quantile(0.5) != c.half || got.Quantile(1) != c.all {
			t.Errorf("%s: got %+v, half %v, all %v", name, got, got.Quantile(0.5), got.Quantile(1))
		}
	}
}
