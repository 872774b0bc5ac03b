package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// A row is one line of the report.
type row struct {
	kernel, engine, fault string
	seen                  string        // what the hypervisor saw
	lateness              time.Duration // of the action after the deadline
	fired                 bool          // lateness means something
	err                   error         // nil: passed
}

// A report prints rows as they come and sums them up.
type report struct {
	out            io.Writer
	passed, failed int
	lateness       []time.Duration // of clpka
}

func (r *report) add(w row) {
	verdict := "pass"
	if w.err != nil {
		verdict = "fail"
		r.failed++
	} else {
		r.passed++
	}
	late := ""
	if w.fired {
		late = fmt.Sprintf(" lateness_ms=%.1f", float64(w.lateness.Microseconds())/1000)
		if w.engine == "clpka" && w.err == nil {
			r.lateness = append(r.lateness, w.lateness)
		}
	}
	fmt.Fprintf(r.out, "%s %s %s %s %s%s\n", verdict, w.kernel, w.engine, w.fault, strings.ReplaceAll(w.seen, " ", "/"), late)
	if w.err != nil {
		for line := range strings.Lines(w.err.Error()) {
			fmt.Fprintf(r.out, "     %s\n", strings.TrimRight(line, "\n"))
		}
	}
}

// close prints the distribution and the closing line.
func (r *report) close() {
	if n := len(r.lateness); n > 0 {
		slices.Sort(r.lateness)
		at := func(q float64) float64 {
			return float64(r.lateness[int(q*float64(n-1))].Microseconds()) / 1000
		}
		fmt.Fprintf(r.out, "lateness of clpka by the hypervisor's clock, %d resets: min %.1f, median %.1f, p90 %.1f, max %.1f ms\n",
			n, at(0), at(0.5), at(0.9), at(1))
	}
	fmt.Fprintf(r.out, "%d passed, %d failed\n", r.passed, r.failed)
}
