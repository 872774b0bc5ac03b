package witness

import (
	"slices"
	"time"
)

// Of one kind of finding so many are told of within so much time; the flight record
// has the others. A machine that is merely busy, or somebody who means to, would
// otherwise fill the history.
const (
	mostTold   = 32
	toldWithin = 10 * time.Minute
)

// A budget counts what is told of, and what is not. The zero value has told nothing.
type budget struct {
	told  []time.Time // within toldWithin
	held  int         // that were not told of
	since time.Time   // the first of them
}

// take reports whether one more may be told of, and counts it as told.
func (b *budget) take(now time.Time) bool {
	b.told = slices.DeleteFunc(b.told, func(t time.Time) bool { return now.Sub(t) >= toldWithin })
	if len(b.told) >= mostTold {
		return false
	}
	b.told = append(b.told, now)
	return true
}

// hold counts one that is not told of.
func (b *budget) hold(now time.Time) {
	if b.held == 0 {
		b.since = now
	}
	b.held++
}

// untold returns, once it is time to, how many were not told of; else 0.
func (b *budget) untold(now time.Time) (n int) {
	if b.held > 0 && now.Sub(b.since) >= toldWithin {
		n, b.held = b.held, 0
	}
	return n
}
