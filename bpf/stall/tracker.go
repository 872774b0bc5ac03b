package stall

import (
	"cmp"
	"slices"
	"time"
)

// Limits say when a task counts as stalled. A zero limit switches its kind off.
type Limits struct {
	Blocked time.Duration // in uninterruptible sleep
	Starved time.Duration // wanting a CPU and not getting one
	Hog     time.Duration // using a CPU nearly alone
}

// DefaultLimits are generous: ordinary load does not reach them.
var DefaultLimits = Limits{Blocked: 10 * time.Second, Starved: 5 * time.Second, Hog: 60 * time.Second}

// hogShare is the part of one CPU that makes a hog. What it uses less adds up, what
// it uses more is set off against that; the episode ends when it lacks hogLacks. So
// much may be out of the account at any moment: time is added to a task at ticks,
// which come late to a busy virtual CPU and once a second to one without (nohz_full),
// and the throttle takes 50 ms of each second from a real-time task.
const (
	hogShare = 0.9
	hogLacks = 500 * time.Millisecond
)

// A Sample is one task at one moment, blocked or wanting to run.
type Sample struct {
	TID, PID  int
	Start     uint64 // of the process, clock ticks from boot: with TID, the identity
	Comm      string
	Cgroup    uint64 // id; 0: not known
	Policy    int    // SCHED_*
	Priority  int    // the kernel's: below 100 is real-time
	At        time.Duration
	Blocked   bool // uninterruptible; otherwise runnable
	OnCPU     bool
	Switches  uint64        // context switches so far
	Runtime   time.Duration // CPU time so far
	Delay     time.Duration // time spent wanting a CPU so far
	Waiting   time.Duration // the wait going on now; 0: none, or not known
	Stack     []uint64      // kernel return addresses, if blocked
	StackText []string      // the same, where the kernel gives only text
}

// A Kind is the way in which a task does not make progress, or keeps others
// from it.
type Kind int

const (
	// Blocked tasks sleep in the kernel and cannot be woken by a signal, or
	// by a fatal one only (TASK_KILLABLE, which the kernel's own hung-task
	// detector ignores): a disk, a network file system, a lock.
	Blocked Kind = iota + 1
	// Starved tasks want a CPU and do not get one.
	Starved
	// Hogs take a whole CPU.
	Hog
)

func (k Kind) String() string {
	return [...]string{"none", "blocked", "starved", "hog"}[k]
}

// A Task is stalled, or stalls others.
type Task struct {
	Sample
	Kind       Kind
	For        time.Duration // at least; exact to one interval between scans
	Unswitched time.Duration // of a hog: without one context switch; the scheduler itself is kept out
}

// tracker compares samples with those before. It keeps one entry for each task
// that was in the last scan.
type tracker struct {
	limits Limits
	seen   map[key]track
}

type key struct {
	tid   int
	start uint64
}

type track struct {
	Sample
	kind     Kind
	since    time.Duration // At of the first sample of this episode
	lacks    time.Duration // of a hog's share, at most hogLacks
	switched time.Duration // At of the first sample with this count of switches
}

// update takes one complete scan and returns the stalled tasks, worst first.
func (t *tracker) update(samples []Sample) []Task {
	seen := make(map[key]track, len(samples))
	var stalled []Task
	for _, s := range samples {
		now := track{Sample: s, kind: firstKind(s), since: s.At, switched: s.At}
		if was, known := t.seen[key{s.TID, s.Start}]; known {
			now.follow(was)
		}
		seen[key{s.TID, s.Start}] = now
		if task, ok := t.judge(now); ok {
			stalled = append(stalled, task)
		}
	}
	t.seen = seen
	slices.SortStableFunc(stalled, func(a, b Task) int { return cmp.Compare(b.For, a.For) })
	return stalled
}

// firstKind is what a task may turn out to be, from one sample alone.
func firstKind(s Sample) Kind {
	switch {
	case s.Blocked:
		return Blocked
	case !s.OnCPU && s.Waiting > 0:
		return Starved
	}
	return Hog
}

// follow continues the episode of the sample before, if this is the same one.
func (t *track) follow(was track) {
	unswitched := t.Switches == was.Switches
	if unswitched {
		t.switched = was.switched
	}
	used := t.Runtime - was.Runtime
	share := time.Duration(hogShare * float64(t.At-was.At))
	switch lacks := max(0, was.lacks+share-used); {
	case t.Blocked != was.Blocked:
	case t.Blocked:
		if unswitched {
			t.since = was.since
		}
	case unswitched && used == 0 && !t.OnCPU:
		// It did not run at all since: starved, whatever we took it for.
		t.kind, t.since = Starved, was.At
		if was.kind == Starved {
			t.since = was.since
		}
	case was.kind == Hog && lacks <= hogLacks:
		// At this moment it may be off its CPU, at the end of a slice.
		t.kind, t.since, t.lacks = Hog, was.since, lacks
	case used > 0 && used >= share:
		t.kind, t.since = Hog, was.At
	}
}

func (t *tracker) judge(now track) (Task, bool) {
	task := Task{Sample: now.Sample, Kind: now.kind, For: now.At - now.since}
	limit := t.limits.Blocked
	switch task.Kind {
	case Starved:
		task.For = max(task.For, now.Waiting)
		limit = t.limits.Starved
	case Hog:
		task.Unswitched = now.At - now.switched
		limit = t.limits.Hog
	}
	return task, limit > 0 && task.For >= limit
}

// A CgroupLoad is what a cgroup contributes to a stall.
type CgroupLoad struct {
	Cgroup                 uint64
	Blocked, Starved, Hogs int
	Longest                time.Duration
}

// ByCgroup sums tasks up, the longest stall first.
func ByCgroup(tasks []Task) []CgroupLoad {
	byID := make(map[uint64]*CgroupLoad)
	var loads []*CgroupLoad
	for _, task := range tasks {
		load := byID[task.Cgroup]
		if load == nil {
			load = &CgroupLoad{Cgroup: task.Cgroup}
			byID[task.Cgroup] = load
			loads = append(loads, load)
		}
		switch task.Kind {
		case Blocked:
			load.Blocked++
		case Starved:
			load.Starved++
		case Hog:
			load.Hogs++
		}
		load.Longest = max(load.Longest, task.For)
	}
	slices.SortStableFunc(loads, func(a, b *CgroupLoad) int { return cmp.Compare(b.Longest, a.Longest) })
	out := make([]CgroupLoad, len(loads))
	for i, load := range loads {
		out[i] = *load
	}
	return out
}
