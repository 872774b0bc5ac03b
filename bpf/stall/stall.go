// Package stall finds tasks that make no progress: blocked in the kernel,
// runnable without getting a CPU, or taking a CPU for themselves. A program in
// the kernel walks all tasks when asked (0.23 µs a task) and hands over the few
// that are not asleep; where no program may be loaded, /proc is read instead.
// Nothing is traced between two scans.
package stall

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
	"unsafe"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"shisa/bpf/internal/obj"
	"shisa/bpf/internal/stream"
	"shisa/bpf/trial"
)

// Job is the task iterator: what a loader tries.
var Job = trial.Job{
	Name:    "tasks",
	Objects: []trial.Object{{Name: "iterator", Spec: obj.LoadTask}},
	Parts:   []trial.Part{{Name: "walk", Programs: []string{"tasks_iter"}}},
}

// Witness looks at all tasks when it is asked to. Ask about once a second:
// what a Task is For is counted from scan to scan.
type Witness struct {
	mu      sync.Mutex
	tracker tracker
	samples []Sample
	loaded  *trial.Loaded                    // nil: from /proc
	read    func([]Sample) ([]Sample, error) // one at a time
}

// Load uses the task iterator. The Witness returned with an error serves to ask
// for its Choices only.
func Load(k *trial.Kernel, limits Limits) (*Witness, error) {
	if k == nil {
		return &Witness{}, trial.ErrPrivilege
	}
	loaded, err := k.Load(Job)
	w := &Witness{tracker: tracker{limits: limits}, loaded: loaded}
	if err != nil {
		return w, err
	}
	iter, ok := loaded.Link("walk").(*link.Iter)
	if !ok {
		return w, errors.Join(errors.New("attach tasks_iter: the link is no iterator"), loaded.Close())
	}
	buffer := make([]byte, walkedAtOnce*recordSize) // kept: once a second it would be most of a daemon's garbage
	w.read = func(samples []Sample) ([]Sample, error) { return walk(iter, buffer, samples) }
	return w, nil
}

// FromProc reads /proc instead: a hundred times dearer, blind to how long a
// wait for a CPU has lasted, but it needs nothing from the kernel.
func FromProc(limits Limits) *Witness {
	return &Witness{tracker: tracker{limits: limits}, read: readProc}
}

// Name says how tasks are looked at, for an operator.
func (w *Witness) Name() string {
	if w.loaded == nil {
		return "reading of /proc"
	}
	return "task iterator"
}

// Choices says which program is at work, or why none is.
func (w *Witness) Choices() []trial.Choice {
	if w.loaded == nil {
		return nil
	}
	return w.loaded.Choices
}

// Scan returns the tasks that are stalled now, the longest first. An error
// means that it could not look, and that the episodes go on as they were.
func (w *Witness) Scan() ([]Task, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	samples, err := w.read(w.samples[:0])
	if err != nil {
		return nil, err
	}
	w.samples = samples
	return w.tracker.update(samples), nil
}

// SetLimits changes what counts as stalled from the next Scan on. What goes on has
// lasted as long as it has.
func (w *Witness) SetLimits(limits Limits) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tracker.limits = limits
}

// Samples is how many tasks of the last scan were blocked or runnable.
func (w *Witness) Samples() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.samples)
}

// Close unloads the program.
func (w *Witness) Close() error { return w.loaded.Close() }

// Counters says how many tasks were looked at, in all scans.
func (w *Witness) Counters() (trial.Counters, error) {
	if w.loaded == nil {
		return trial.Counters{}, nil
	}
	return w.loaded.Counters()
}

// Alive checks that a scan still walks tasks: this process's own, at least.
func (w *Witness) Alive() error {
	before, err := w.Counters()
	if err != nil || w.loaded == nil {
		return err
	}
	w.mu.Lock()
	_, err = w.read(nil) // no scan: its time would be that of no other
	w.mu.Unlock()
	if err != nil {
		return err
	}
	after, err := w.Counters()
	if err == nil && after.Seen == before.Seen {
		err = errors.New("the task iterator runs but sees no task")
	}
	return err
}

// MapBytes is the memory held by the maps.
func (w *Witness) MapBytes() (uint64, error) {
	if w.loaded == nil {
		return 0, nil
	}
	return w.loaded.MapBytes()
}

// tick is the unit of start times in /proc; see package exits.
const tick = uint64(10 * time.Millisecond)

const (
	recordSize   = int(unsafe.Sizeof(obj.TaskTaskRecord{}))
	walkedAtOnce = 64 // records
)

// walk reads the iterator once, by way of buffer.
func walk(iter *link.Iter, buffer []byte, samples []Sample) ([]Sample, error) {
	f, err := iter.Open()
	if err != nil {
		return samples, fmt.Errorf("walk the tasks: %w", err)
	}
	defer f.Close()
	for fill := 0; ; {
		n, err := f.Read(buffer[fill:])
		fill += n
		at := 0
		for ; fill-at >= recordSize; at += recordSize {
			record, err := stream.Decode[obj.TaskTaskRecord](buffer[at:])
			if err != nil {
				return samples, err
			}
			samples = append(samples, sample(record))
		}
		fill = copy(buffer, buffer[at:fill])
		switch {
		case errors.Is(err, io.EOF):
			return samples, nil
		case errors.Is(err, unix.EAGAIN): // the kernel stopped to let others run
		case err != nil:
			return samples, fmt.Errorf("walk the tasks: %w", err)
		}
	}
}

const uninterruptible = 0x2 // TASK_UNINTERRUPTIBLE

func sample(r *obj.TaskTaskRecord) Sample {
	s := Sample{
		TID: int(r.Pid), PID: int(r.Tgid), Start: r.Start / tick,
		Comm:   unix.ByteSliceToString(r.Comm[:]),
		Cgroup: r.Cgroup,
		Policy: int(r.Policy), Priority: int(r.Prio),
		At:      time.Duration(r.At),
		Blocked: r.State&uninterruptible != 0, OnCPU: r.OnCpu != 0,
		Switches: r.Switches,
		Runtime:  time.Duration(r.Runtime), Delay: time.Duration(r.RunDelay), Waiting: time.Duration(r.Waiting),
	}
	if n := min(int(r.Frames), len(r.Stack)); n > 0 {
		s.Stack = append(s.Stack, r.Stack[:n]...)
	}
	return s
}
