package beat

import (
	"time"

	"golang.org/x/sys/unix"
)

// A Time is an instant of CLOCK_MONOTONIC in nanoseconds. It never jumps, does
// not count while the machine is suspended, and at 64 bits lasts 292 years: no
// tick counter is involved that could wrap after 198, 447 or 497 days.
type Time int64

// Add returns t + d.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns the time from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Now reads CLOCK_MONOTONIC. It costs no system call: Go's own monotonic clock
// is the same clock, so that one reading at the start tells the distance.
func Now() Time { return origin.at.Add(time.Since(origin.wall)) }

var origin = anchor()

type anchored struct {
	wall time.Time
	at   Time
}

// anchor reads both clocks several times and keeps the pair that was read in
// the shortest time, lest a preemption between the two shifts all beats.
func anchor() anchored {
	var best anchored
	shortest := time.Duration(1<<63 - 1)
	for range 5 {
		var ts unix.Timespec
		wall := time.Now()
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			panic("beat: CLOCK_MONOTONIC: " + err.Error()) // every kernel since 2.6 has it
		}
		if took := time.Since(wall); took < shortest {
			shortest, best = took, anchored{wall, Time(ts.Nano())}
		}
	}
	return best
}
