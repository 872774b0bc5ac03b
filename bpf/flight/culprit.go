package flight

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Suspect is what the evidence points at, with the reason in words.
type Suspect struct {
	Subject string
	Cgroup  string
	Kind    Kind
	For     time.Duration // the longest seen
	Others  int           // other pieces of evidence that fit: tasks blocked behind it
	Where   string        // the kernel function in which it waits, "" if not known
}

// String is one line for an operator.
func (s Suspect) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", s.Subject, phrases[s.Kind])
	if s.For > 0 {
		fmt.Fprintf(&b, " for %v", s.For.Round(time.Millisecond))
	}
	if s.Where != "" {
		fmt.Fprintf(&b, " in %s", s.Where)
	}
	if s.Cgroup != "" {
		fmt.Fprintf(&b, " (%s)", s.Cgroup)
	}
	if s.Others > 0 {
		fmt.Fprintf(&b, "; %d more with it", s.Others)
	}
	return b.String()
}

var phrases = map[Kind]string{
	HungIO:   "finishes no request",
	SlowIO:   "slow to finish a request",
	Hog:      "takes a CPU for itself",
	Blocked:  "blocked in the kernel",
	Starved:  "gets no CPU",
	Cgroup:   "several of its tasks are stalled",
	OOM:      "killed for want of memory",
	Pressure: "under pressure",
}

// causes orders kinds from cause to effect: a hung disk blocks tasks, a hog
// starves them; a task that is blocked for no such reason is the cause itself.
// Missed beats and exits are the effect that is to be explained.
var causes = []Kind{HungIO, OOM, Hog, SlowIO, Blocked, Starved, Cgroup, Pressure}

// effects are the kinds that each cause brings about.
var effects = map[Kind][]Kind{
	HungIO:  {Blocked, SlowIO, Pressure, HungIO},
	SlowIO:  {Blocked, Pressure, SlowIO},
	Hog:     {Starved, Pressure, Hog},
	Blocked: {Blocked},
	OOM:     {Pressure, Exit, OOM},
}

// Suspects ranks what the evidence of the last span before until points at, the
// likeliest first. It is a hint for an operator, never ground for an action.
func Suspects(entries []Entry, until time.Time, span time.Duration) []Suspect {
	recent := slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool {
		end := e.At.Add(e.For)
		return e.At.After(until) || end.Before(until.Add(-span))
	})
	var suspects []Suspect
	for _, e := range recent {
		if phrases[e.Kind] == "" {
			continue
		}
		same := slices.IndexFunc(suspects, func(s Suspect) bool { return s.Subject == e.Subject && s.Kind == e.Kind })
		if same >= 0 {
			suspects[same].For = max(suspects[same].For, e.For)
			continue
		}
		s := Suspect{Subject: e.Subject, Cgroup: e.Cgroup, Kind: e.Kind, For: e.For}
		if e.Kind == Blocked {
			s.Where = waitsIn(e.Stack)
		}
		s.Others = count(recent, e)
		suspects = append(suspects, s)
	}
	slices.SortStableFunc(suspects, func(a, b Suspect) int {
		return cmp.Or(
			cmp.Compare(slices.Index(causes, a.Kind), slices.Index(causes, b.Kind)),
			cmp.Compare(b.For, a.For),
		)
	})
	return suspects
}

// count is how many other pieces of evidence a cause would explain.
func count(entries []Entry, cause Entry) (n int) {
	for _, e := range entries {
		if slices.Contains(effects[cause.Kind], e.Kind) && e.Subject != cause.Subject {
			n++
		}
	}
	return n
}

// waiting are functions at the top of every blocked stack that say nothing.
var waiting = []string{"__schedule", "schedule", "io_schedule", "__switch_to", "context_switch", "wait_for_completion", "rwsem_down", "mutex_lock", "__mutex_lock", "down", "bit_wait", "__wait_on_bit", "out_of_line_wait_on_bit", "folio_wait_bit", "wait_on_page_bit"}

// waitsIn is the first function of a stack that says what is waited for.
func waitsIn(stack []string) string {
	for _, line := range stack {
		name, _, _ := strings.Cut(line, "+")
		if !slices.ContainsFunc(waiting, func(w string) bool { return strings.HasPrefix(name, w) }) {
			return name
		}
	}
	return ""
}
