// Package exits tells at once that a process has died: from the kernel's own
// tracepoint where a program may be loaded, else from the process connector,
// else from a scan of /proc. Every source speaks of a process by its number
// and its start time together, so that a reused number is never mistaken for
// the process that had it before.
//
// A death is announced when the last thread begins to go. Memory, files and
// sockets may live on for a while (150 ms for a process of 1 GiB): raise the
// alarm on an Exit, but start the successor only when the pidfd says that the
// process is gone. Pidfds is that second source.
package exits

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"shisa/bpf/trial"
)

// An ID names one process for ever. The zero Start means that the start time
// is not known: a receiver must then look at the process itself before it
// believes that the ID is the one it meant.
type ID struct {
	PID   int
	Start uint64 // clock ticks (10 ms) from boot: field 22 of /proc/PID/stat
}

// tick is the unit of start times in /proc: 1/USER_HZ, which is 100 on every
// architecture that Go runs on (include/asm-generic/param.h).
const tick = 10 * time.Millisecond

// Status is how a process ended.
type Status struct {
	syscall.WaitStatus      // exit code, signal, whether core was dumped
	Known              bool // false: the source cannot tell
}

// An Exit is the death of a whole process; a thread that ends while others
// live on is none.
type Exit struct {
	ID
	Parent int    // 0: not known
	Cgroup uint64 // id in the unified hierarchy (the folder's inode number); 0: not known
	Comm   string // at most 15 bytes; the process chose it, do not trust it
	Status Status
	OOM    bool      // killed by the kernel for want of memory
	At     time.Time // when the kernel saw it, or the source noticed
}

// A Source announces the death of every process, or of every one it was told of.
type Source interface {
	// Name says what is being listened to, for an operator.
	Name() string
	// Watch calls handle for each death until ctx is done, and returns an
	// error only when the source has broken before that. handle runs on
	// the source's own goroutine, possibly at real-time priority: it must
	// hand over and return. At most one Watch at a time.
	Watch(ctx context.Context, handle func(Exit)) error
}

// A Passed source was preferred to the chosen one but does not work here.
type Passed struct {
	Name    string
	Err     error
	Choices []trial.Choice // for programs: what the kernel said to each
}

// Open chooses the best source that works here, and says which better ones do
// not and why. k may be nil when programs may not be loaded at all. Some source
// always works: the last is a scan of /proc every interval.
func Open(k *trial.Kernel, interval time.Duration) (Source, []Passed) {
	var passed []Passed
	kernel, err := Load(k)
	if err == nil {
		return kernel, nil
	}
	passed = append(passed, Passed{kernel.Name(), err, kernel.Choices()})
	connector, err := Connect()
	if err == nil {
		return connector, passed
	}
	passed = append(passed, Passed{connector.Name(), err, nil})
	return &Scan{Interval: interval}, passed
}

var errNamespace = errors.New("inside a PID namespace the kernel's process numbers mean something else")

// recent remembers the processes that died last, to drop the second record of
// one whose last two threads left at the same moment.
type recent struct {
	set  map[birth]struct{}
	ring [1024]birth
	next int
}

// birth is an identity to the nanosecond: a number may be used again within one
// tick, but not born twice at once.
type birth struct {
	pid   uint32
	start uint64 // ns
}

// add reports whether the process is new.
func (r *recent) add(b birth) bool {
	if _, dup := r.set[b]; dup {
		return false
	}
	if r.set == nil {
		r.set = make(map[birth]struct{}, len(r.ring))
	}
	delete(r.set, r.ring[r.next])
	r.ring[r.next] = b
	r.next = (r.next + 1) % len(r.ring)
	r.set[b] = struct{}{}
	return true
}

// String is the ID as an operator sees it.
func (id ID) String() string {
	return fmt.Sprintf("%d (started %v after boot)", id.PID, time.Duration(id.Start)*tick)
}
