package main

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A row is one line of the report.
type row struct {
	kernel, engine, fault string
	seen                  string        // what the hypervisor saw
	lateness              time.Duration // of the action after the deadline
	fired                 bool          // lateness means something
	timer                 time.Duration // what the module says of its timer; negative: nothing
	samples               samples       // more of them
	err                   error         // nil: passed
}

// samples are latenesses of one kind each.
type samples map[string][]time.Duration

// A report prints rows as they come and sums them up.
type report struct {
	out            io.Writer
	passed, failed int
	samples        samples // of clpka
}

// Kinds of lateness, beside those of the lateness cases.
const (
	byTimer = "timer, by the module's clock"
	byReset = "action, by the hypervisor's clock, all cases"
)

var lateUS = regexp.MustCompile(`clpka: FIRED .*reason=timeout .*late_us=(\d+)`)

// timerLateness returns what the module said last of its timer; negative: nothing.
func timerLateness(console string) time.Duration {
	all := lateUS.FindAllStringSubmatch(console, -1)
	if all == nil {
		return -1
	}
	us, err := strconv.Atoi(all[len(all)-1][1])
	if err != nil {
		return -1
	}
	return time.Duration(us) * time.Microsecond
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
		late = fmt.Sprintf(" lateness_ms=%.1f", ms(w.lateness))
	}
	if w.engine == "clpka" && w.err == nil {
		r.collect(w)
	}
	if w.fired && w.engine == "clpka" && w.timer >= 0 {
		late += fmt.Sprintf(" timer_ms=%.1f", ms(w.timer))
	}
	fmt.Fprintf(r.out, "%s %s %s %s %s%s\n", verdict, w.kernel, w.engine, w.fault, strings.ReplaceAll(w.seen, " ", "/"), late)
	if w.err != nil {
		for line := range strings.Lines(w.err.Error()) {
			fmt.Fprintf(r.out, "     %s\n", strings.TrimRight(line, "\n"))
		}
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// collect keeps a row's samples for the distributions.
func (r *report) collect(w row) {
	if r.samples == nil {
		r.samples = samples{}
	}
	for kind, list := range w.samples {
		r.samples[kind] = append(r.samples[kind], list...)
	}
	if w.fired {
		r.samples[byReset] = append(r.samples[byReset], w.lateness)
	}
	if w.fired && w.timer >= 0 {
		r.samples[byTimer] = append(r.samples[byTimer], w.timer)
	}
}

// close prints the distributions and the closing line.
func (r *report) close() {
	for _, kind := range slices.Sorted(maps.Keys(r.samples)) {
		fmt.Fprintf(r.out, "lateness of the %s: %s\n", kind, distribution(r.samples[kind]))
	}
	fmt.Fprintf(r.out, "%d passed, %d failed\n", r.passed, r.failed)
}

// distribution sorts the list and puts it into words.
func distribution(list []time.Duration) string {
	slices.Sort(list)
	at := func(q float64) float64 { return ms(list[int(q*float64(len(list)-1))]) }
	return fmt.Sprintf("min %.1f, median %.1f, p90 %.1f, max %.1f ms of %d", at(0), at(0.5), at(0.9), at(1), len(list))
}
