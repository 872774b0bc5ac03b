// Package blockio finds block requests that a disk does not finish: which
// disk, which sector, for whom, for how long; and whether the disk does nothing
// at all any more or is merely slow. Programs at the issue and the completion
// of each request keep a table in the kernel, which is read when asked for.
package blockio

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"shisa/bpf/internal/obj"
	"shisa/bpf/trial"
)

// Job is the block I/O witness: what a loader tries.
var Job = trial.Job{
	Name:    "block",
	Objects: []trial.Object{{Name: "request table", Spec: obj.LoadIO}},
	Parts: []trial.Part{
		{Name: "issue", Programs: []string{"issue_raw_tp"}},
		{Name: "complete", Programs: []string{"complete_raw_tp"}},
		{Name: "requeue", Programs: []string{"requeue_raw_tp"}, Optional: true},
	},
	Setup: setup,
}

// setup finds out which argument of the tracepoint is the request: a queue
// stood before it until 5.11.
func setup(k *trial.Kernel, spec *ebpf.CollectionSpec) error {
	types, err := k.Types()
	if err != nil {
		return nil // nothing of this will load without types; the trial says so
	}
	arg := uint32(0)
	var tracepoint *btf.Typedef
	if types.TypeByName("btf_trace_block_rq_issue", &tracepoint) == nil && firstArgument(tracepoint) == "request_queue" {
		arg = 1
	}
	return spec.Variables["issue_arg"].Set(arg)
}

// firstArgument names the structure that a tracepoint's first argument points
// to. The function's own first parameter is the tracer's data.
func firstArgument(tracepoint *btf.Typedef) string {
	function, ok := btf.UnderlyingType(tracepoint).(*btf.Pointer)
	if !ok {
		return ""
	}
	proto, ok := function.Target.(*btf.FuncProto)
	if !ok || len(proto.Params) < 2 {
		return ""
	}
	argument, ok := btf.UnderlyingType(proto.Params[1].Type).(*btf.Pointer)
	if !ok {
		return ""
	}
	return argument.Target.TypeName()
}

// A Request has been with the driver for longer than the limit.
type Request struct {
	Disk         string // name in /sys/block; "major:minor" when it has none
	Major, Minor uint32
	Sector       uint64 // 512 bytes each
	Bytes        int
	Op           Op
	Age          time.Duration // since the driver got it
	PID          int           // who issued it; a kernel worker, often
	Comm         string
	Cgroup       uint64 // whose data it is; 0: not known
	// Hung: the disk has finished nothing at all since. Otherwise it is slow:
	// it finishes others.
	Hung bool
}

// Op is what a request does.
type Op uint8

// The operations that are accounted for (include/linux/blk_types.h: REQ_OP_*).
const (
	Read    Op = 0
	Write   Op = 1
	Flush   Op = 2
	Discard Op = 3
)

// String names the operation; rare ones by number.
func (op Op) String() string {
	switch op {
	case Read:
		return "read"
	case Write:
		return "write"
	case Flush:
		return "flush"
	case Discard:
		return "discard"
	}
	return fmt.Sprintf("operation %d", uint8(op))
}

// Witness keeps the table of requests in flight.
type Witness struct {
	loaded *trial.Loaded

	mu    sync.Mutex
	limit time.Duration
	last  activity // at the last call of Alive
}

// Load starts the programs. Scan will report requests older than limit. The
// Witness returned with an error serves to ask for its Choices only.
func Load(k *trial.Kernel, limit time.Duration) (*Witness, error) {
	if k == nil {
		return &Witness{}, trial.ErrPrivilege
	}
	loaded, err := k.Load(Job)
	return &Witness{limit: limit, loaded: loaded}, err
}

// SetLimit changes what the next Scan will report.
func (w *Witness) SetLimit(limit time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limit = limit
}

// Choices says which programs are at work, or why none are.
func (w *Witness) Choices() []trial.Choice {
	if w.loaded == nil {
		return nil
	}
	return w.loaded.Choices
}

// Scan returns the requests in flight for longer than the limit, oldest first.
func (w *Witness) Scan() ([]Request, error) {
	var (
		now    = monotonic()
		key    uint64
		record obj.IOIoRecord
		late   []Request
	)
	w.mu.Lock()
	limit := w.limit
	w.mu.Unlock()
	table := w.loaded.Map("in_flight")
	entries := table.Iterate()
	for entries.Next(&key, &record) {
		age := now - time.Duration(record.Issued)
		if age < limit {
			continue
		}
		if finished(&record) {
			// Its completion was not seen. Not to be removed if the
			// request was issued again meanwhile, but then only a
			// young one is forgotten.
			_ = table.Delete(key)
			continue
		}
		late = append(late, w.request(&record, age))
	}
	// A table that changes under the iteration may end it early. What is old
	// stays in its place and will be met next time.
	if err := entries.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return late, fmt.Errorf("read the requests in flight: %w", err)
	}
	slices.SortFunc(late, func(a, b Request) int { return cmp.Compare(b.Age, a.Age) })
	return late, nil
}

func (w *Witness) request(r *obj.IOIoRecord, age time.Duration) Request {
	request := Request{
		Disk:  diskName(r.Major, r.Minor),
		Major: r.Major, Minor: r.Minor,
		Sector: r.Sector, Bytes: int(r.Bytes), Op: Op(r.Op),
		Age: age,
		PID: int(r.Pid), Comm: unix.ByteSliceToString(r.Comm[:]), Cgroup: r.Cgroup,
		Hung: true,
	}
	var disk obj.IODiskRecord
	err := w.loaded.Map("disks").Lookup(obj.IODisk{Major: r.Major, Minor: r.Minor}, &disk)
	if err == nil && disk.LastDone > r.Issued {
		request.Hung = false
	}
	return request
}

// Counters says how many requests were seen and how many found no room in the
// table.
func (w *Witness) Counters() (trial.Counters, error) { return w.loaded.Counters() }

// MapBytes is the memory held by the maps.
func (w *Witness) MapBytes() (uint64, error) { return w.loaded.MapBytes() }

// Close unloads the programs.
func (w *Witness) Close() error { return w.loaded.Close() }

// activity is what the kernel counts, and what we count.
type activity struct{ kernel, ours uint64 }

// Alive fails when disks have worked since the call before and the programs
// saw nothing of it.
func (w *Witness) Alive() error {
	counters, err := w.Counters()
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.last
	w.last = activity{completions(), counters.Seen}
	if was.kernel != 0 && w.last.kernel > was.kernel && w.last.ours == was.ours {
		return fmt.Errorf("disks finished %d requests of which the block programs saw none: they are no longer attached",
			w.last.kernel-was.kernel)
	}
	return nil
}

func monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
