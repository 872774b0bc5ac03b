package vm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Kinds of an Event beside QMP's own names (RESET, SHUTDOWN, WATCHDOG,
// GUEST_PANICKED, POWERDOWN, STOP ...).
const (
	KindReady   = "READY"          // the guest's init is ready; Text is what it complains about
	KindMark    = "MARK"           // a process in the guest wrote Text to /run/mark
	KindExit    = "EXIT"           // QEMU has ended
	KindReset   = "RESET"          // QMP: the machine was reset
	KindPanic   = "GUEST_PANICKED" // QMP, with Machine.Pvpanic
	KindStopped = "SHUTDOWN"       // QMP: the machine is off, or was reset with Machine.NoReboot
	KindWDT     = "WATCHDOG"       // QMP: the i6300esb's countdown ran out
)

// An Event is something that happened to the guest, as seen from the host.
type Event struct {
	Time   time.Time // when it happened, with the host's monotonic clock
	Kind   string
	Boot   int    // how many boots had become ready, this one included
	Reason string // RESET and SHUTDOWN: "guest-reset", "guest-shutdown", "host-qmp-quit" ...
	Action string // WATCHDOG and GUEST_PANICKED: "reset", "run", "poweroff" ...
	Text   string // READY, MARK
}

// String returns the event on one line, as result lines show it.
func (e Event) String() string {
	parts := []string{e.Kind}
	for _, s := range []string{e.Reason, e.Action, e.Text} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " ")
}

// maxEvents bounds the log of one guest: a guest that resets in a loop makes a few
// events a second.
const maxEvents = 10000

// eventLog keeps events in the order in which they came and wakes who waits.
type eventLog struct {
	mu      sync.Mutex
	list    []Event       // guarded by mu
	changed chan struct{} // guarded by mu: closed at each change
	closed  bool          // guarded by mu
	boots   int           // guarded by mu
}

func newEventLog() *eventLog {
	return &eventLog{changed: make(chan struct{})}
}

// add appends an event; its Boot is filled in.
func (l *eventLog) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.list) >= maxEvents {
		return
	}
	if e.Kind == KindReady {
		l.boots++
	}
	e.Boot = l.boots
	l.list = append(l.list, e)
	l.wake()
}

// close ends the log: nothing will happen any more.
func (l *eventLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		l.wake()
	}
}

func (l *eventLog) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *eventLog) snapshot() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.list)
}

// wait returns the first event, past or future, for which pred is true.
func (l *eventLog) wait(ctx context.Context, pred func(Event) bool) (Event, error) {
	for next := 0; ; {
		l.mu.Lock()
		fresh, changed, closed := l.list[next:], l.changed, l.closed
		l.mu.Unlock()
		for _, e := range fresh {
			if pred(e) {
				return e, nil
			}
		}
		next += len(fresh)
		if closed {
			return Event{}, fmt.Errorf("wait for an event: %w", ErrEnded)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Event{}, fmt.Errorf("wait for an event: %w", ctx.Err())
		}
	}
}
