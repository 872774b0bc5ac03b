package power

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"
)

// A Result is what came of one case.
type Result struct {
	Kernel     string   `json:"kernel"`
	Release    string   `json:"release"`
	Engine     string   `json:"engine"`
	Fault      string   `json:"fault"`
	Issue      string   `json:"issue"`
	Pass       bool     `json:"pass"`
	Seen       string   `json:"seen"`                  // "RESET", "WATCHDOG,RESET", "none" ...
	LatenessMS *float64 `json:"lateness_ms,omitempty"` // of the reset, after it was due; absent: no reset
	WaitedMS   int64    `json:"waited_ms"`             // the host kept the guest's CPUs waiting, from the strike on
	Cause      string   `json:"cause,omitempty"`       // that shisa named
	Reason     string   `json:"reason,omitempty"`      // why it did not pass
	Again      string   `json:"again,omitempty"`       // why a first try did not count: it did not come to the strike, or the host starved it; empty: there was none
	Events     []string `json:"events"`                // with the time since the strike
	TookMS     int64    `json:"took_ms"`
}

// String returns the result line.
func (r Result) String() string {
	verdict, late := "fail", "-"
	if r.Pass {
		verdict = "pass"
	}
	if r.LatenessMS != nil {
		late = strconv.FormatFloat(math.Round(*r.LatenessMS), 'f', 0, 64)
	}
	line := fmt.Sprintf("%s %s %s %s %s lateness_ms=%s", verdict, r.Kernel, r.Engine, r.Fault, r.Seen, late)
	if r.Cause != "" {
		line += " cause=" + r.Cause
	}
	if r.Again != "" {
		line += " again=" + strconv.Quote(r.Again)
	}
	if r.Reason != "" {
		line += " reason=" + strconv.Quote(r.Reason)
	}
	return line
}

// A Report is what the JSON file holds.
type Report struct {
	Start    time.Time  `json:"start"`
	Passed   int        `json:"passed"`
	Failed   int        `json:"failed"`
	Lateness []Lateness `json:"lateness"`
	Cases    []Result   `json:"cases"`
}

// Lateness is the distribution of one engine's lateness, over the cases that
// passed, in milliseconds.
type Lateness struct {
	Engine string  `json:"engine"`
	N      int     `json:"n"`
	Min    float64 `json:"min_ms"`
	P50    float64 `json:"p50_ms"`
	P90    float64 `json:"p90_ms"`
	Max    float64 `json:"max_ms"`
}

// add counts one result.
func (r *Report) add(res Result) {
	r.Cases = append(r.Cases, res)
	if res.Pass {
		r.Passed++
	} else {
		r.Failed++
	}
}

// finish works out the distributions.
func (r *Report) finish() {
	r.Lateness = nil
	for _, e := range Engines {
		var values []float64
		for _, c := range r.Cases {
			if c.Engine == e.Name && c.Pass && c.LatenessMS != nil {
				values = append(values, *c.LatenessMS)
			}
		}
		if len(values) == 0 {
			continue
		}
		slices.Sort(values)
		at := func(q float64) float64 { return values[int(math.Ceil(q*float64(len(values))))-1] }
		r.Lateness = append(r.Lateness, Lateness{
			Engine: e.Name, N: len(values), Min: values[0], P50: at(0.5), P90: at(0.9), Max: values[len(values)-1],
		})
	}
}

// Write writes the distributions and the closing line.
func (r *Report) Write(w io.Writer) {
	for _, l := range r.Lateness {
		fmt.Fprintf(w, "lateness_ms %s n=%d min=%.0f p50=%.0f p90=%.0f max=%.0f\n", l.Engine, l.N, l.Min, l.P50, l.P90, l.Max)
	}
	fmt.Fprintf(w, "%d passed, %d failed\n", r.Passed, r.Failed)
}

// JSON returns the report as text.
func (r *Report) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	return append(text, '\n'), err
}
