// Package tick lets the loops of a program go round together. Loops that each
// sleep for a second wake the machine once a second each, at different moments;
// those that wait here wake it once for all of them.
package tick

import (
	"context"
	"time"
)

// Next returns how long it is until the next multiple of every on the wall clock:
// more than nothing, and at most every. A clock that is set moves one round.
func Next(every time.Duration) time.Duration {
	return every - time.Duration(time.Now().UnixNano())%every
}

// Last returns the latest multiple of every, as a time that has Go's monotonic reading.
func Last(every time.Duration) time.Time { return time.Now().Add(Next(every) - every) }

// Wait waits for the next multiple of every, and reports whether that came before
// ctx was done.
func Wait(ctx context.Context, every time.Duration) bool { return Sleep(ctx, Next(every)) }

// Sleep reports whether d passed before ctx was done.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
