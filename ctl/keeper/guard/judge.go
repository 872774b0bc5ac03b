package guard

import (
	"math"
	"time"

	"shisa/ctl/beat"
)

const (
	// defaultAbsence is how long a page may stay without any slot when the
	// orders do not say: the daemon is starting.
	defaultAbsence = 90 * time.Second

	// maxLimit bounds a limit read from the page. Whatever stands there, a
	// sum with it cannot overflow.
	maxLimit = 24 * time.Hour

	// ahead is by how much a beat may lie in the future, since two processes
	// relate their clock to the kernel's with a small error each. What is
	// further ahead is no beat.
	ahead = time.Second
)

// A rule is how long beats stay good.
type rule struct {
	fresh   time.Duration // at least
	absence time.Duration // instead of a shorter limit while the daemon is away; 0: none
	absent  bool          // the daemon is away
}

// A verdict is what the page says at one instant.
type verdict struct {
	until    beat.Time     // up to this instant a ping is allowed
	deadline beat.Time     // at which the earliest limit runs out
	slot     int           // whose limit that is; -1: the page has no slot, the daemon itself is missing
	age      time.Duration // of its last beat
	limit    time.Duration // that it has
}

// judge looks at all beats at the instant now. A countdown of timeout that is
// pinged at verdict.until, and never later, fires when the earliest limit plus
// margin has run out: the keeper never promises the machine a longer life than
// its beats do. It is a function of its arguments only and allocates nothing.
func (r rule) judge(p *beat.Page, now beat.Time, g *gaps, timeout, margin time.Duration) verdict {
	v := verdict{until: math.MaxInt64, deadline: math.MaxInt64, slot: -1}
	consider := func(slot int, last beat.Time, limit time.Duration) {
		limit = min(max(limit, time.Millisecond), maxLimit)
		if r.absent {
			limit = max(limit, min(r.absence, maxLimit))
		}
		if last > now.Add(ahead) || last < 0 {
			last = 0
		}
		from := last.Add(min(g.since(last), limit))
		v.until = min(v.until, from.Add(max(limit+margin-timeout, r.fresh)))
		if d := from.Add(limit); d < v.deadline {
			v.deadline, v.slot, v.age, v.limit = d, slot, max(now.Sub(last), 0), limit
		}
	}
	var b beat.Reading
	none := true
	for i := range beat.MaxSlots {
		if p.Read(i, &b) {
			none = false
			consider(i, b.Last, b.Limit)
		}
	}
	if none {
		limit := r.absence
		if limit == 0 {
			limit = defaultAbsence
		}
		consider(-1, p.Progress(), limit)
	}
	return v
}

// gapAtLeast is how late a real-time thread must wake up for the delay to count
// as a pause of the whole machine.
const gapAtLeast = time.Second

// gaps remembers when the whole machine stood still, as far as one real-time
// thread can tell: it woke up far later than it had asked to. A hypervisor that
// pauses or migrates its guest does that. No beat could be made in that time,
// so it does not count against any. What a gap adds to a limit is bounded by
// the limit itself: starving the keeper again and again does not help a stall.
type gaps struct {
	at   [8]gap
	next int
}

type gap struct {
	end    beat.Time
	length time.Duration
}

// note records that a thread that wanted to wake at planned woke at now.
func (g *gaps) note(planned, now beat.Time) {
	if late := now.Sub(planned); late >= gapAtLeast {
		g.at[g.next%len(g.at)] = gap{now, late}
		g.next++
	}
}

// since returns how long the machine stood still after t.
func (g *gaps) since(t beat.Time) time.Duration {
	var sum time.Duration
	for _, gap := range g.at {
		if gap.end > t {
			sum += min(gap.length, gap.end.Sub(t))
		}
	}
	return sum
}
