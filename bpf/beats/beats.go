// Package beats lets a timer inside the kernel judge the page of beats, so that
// a missed beat is noticed within 20 ms also when user space is stopped or
// starved by real-time hogs. It keeps which beat was missed and when, tells the
// daemon, and can end the process that pings the countdown, which then fires
// early.
//
// The page is the kernel's array of 64 cells of 64 bytes, mapped by everybody;
// its contents are laid out as package beat of the control plane has them. Its
// maps may be kept in a BPF file system: then the timer goes on when the daemon
// is killed, and a new daemon takes the page over while the keeper still has it
// mapped.
//
// The timer needs 5.15 and a kernel that is not PREEMPT_RT; elsewhere loading
// fails and the countdown module's own timer does the job.
package beats

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"shisa/bpf/internal/obj"
	"shisa/bpf/internal/stream"
	"shisa/bpf/trial"
)

// The page, in bytes. A cell is a slot from FirstSlot on.
const (
	Size      = 4096
	SlotSize  = 64
	FirstSlot = 4
	Slots     = 60
)

// The record is declared in C; these break the build when it differs.
var (
	_ [SlotSize]byte                    = [unsafe.Sizeof(obj.BeatBeatSlot{})]byte{}
	_ [Size]byte                        = [SlotSize * (FirstSlot + Slots)]byte{}
	_ [2 * unsafe.Sizeof(int64(0))]byte = [unsafe.Offsetof(obj.BeatBeatSlot{}.Limit)]byte{}
)

// Period is how often the timer looks: a beat is missed at most this late.
const Period = 10 * time.Millisecond

// job is what a loader tries.
func job(reuse map[string]*ebpf.Map) trial.Job {
	return trial.Job{
		Name: "beats",
		Objects: []trial.Object{
			{Name: "timer that may kill the pinger", Spec: obj.LoadBeatKill},
			{Name: "timer", Spec: obj.LoadBeat},
		},
		Parts: []trial.Part{{Name: "timer", Programs: []string{"arm_syscall"}}},
		Reuse: reuse,
		Setup: func(_ *trial.Kernel, spec *ebpf.CollectionSpec) error {
			return spec.Variables["period_ns"].Set(uint64(Period))
		},
	}
}

// Job is the keepalive witness, for a loader that only wants to try.
var Job = job(nil)

// Witness is the page and the timer that judges it.
type Witness struct {
	loaded *trial.Loaded
	memory []byte
	armed  time.Duration // CLOCK_MONOTONIC
}

// Load makes the page, or takes over the one kept in dir, and starts the timer.
// dir is a folder in a BPF file system, made if it is missing; "" keeps nothing
// beyond this process. The Witness returned with an error serves to ask for its
// Choices only.
func Load(k *trial.Kernel, dir string) (*Witness, error) {
	if k == nil {
		return &Witness{}, trial.ErrPrivilege
	}
	reuse := make(map[string]*ebpf.Map)
	if old, err := ebpf.LoadPinnedMap(filepath.Join(dir, "page"), nil); dir != "" && err == nil {
		defer old.Close()
		if old.Type() == ebpf.Array && old.ValueSize() == SlotSize && old.MaxEntries() == FirstSlot+Slots {
			reuse["page"] = old
		}
	}
	loaded, err := k.Load(job(reuse))
	w := &Witness{loaded: loaded}
	if err != nil {
		return w, err
	}
	if w.memory, err = unix.Mmap(w.File(), 0, Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return w, errors.Join(fmt.Errorf("map the page of beats: %w", err), w.Close())
	}
	if err := w.keep(dir); err != nil {
		return w, errors.Join(err, w.Close())
	}
	if err := w.arm(); err != nil {
		return w, errors.Join(err, w.Close())
	}
	return w, nil
}

// kept are the maps that outlive the daemon. The clock holds the timer: when
// the file of the former one goes, that timer ends.
var kept = []string{"page", "missed", "clock"}

func (w *Witness) keep(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keep the page of beats: %w", err)
	}
	for _, name := range kept {
		path := filepath.Join(dir, name)
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("keep the page of beats: %w", err)
		}
		m, err := w.loaded.Map(name).Clone()
		if err == nil {
			err = errors.Join(m.Pin(path), m.Close())
		}
		if err != nil {
			return fmt.Errorf("keep the page of beats in %s: %w", path, err)
		}
	}
	return nil
}

func (w *Witness) arm() error {
	status, err := w.loaded.Program("timer").Run(&ebpf.RunOptions{})
	if err == nil && status != 0 {
		err = fmt.Errorf("step %d refused", status)
	}
	if err != nil {
		return fmt.Errorf("start the timer: %w", err)
	}
	w.armed = monotonic()
	return nil
}

// Choices says which program is at work, or why none is.
func (w *Witness) Choices() []trial.Choice {
	if w.loaded == nil {
		return nil
	}
	return w.loaded.Choices
}

// Memory is the page: Size bytes, shared with the kernel.
func (w *Witness) Memory() []byte { return w.memory }

// File is the page's descriptor, for a child that is to map it too. It belongs
// to the Witness.
func (w *Witness) File() int { return w.loaded.Map("page").FD() }

// CanKill reports whether Pinger can have an effect on this kernel.
func (w *Witness) CanKill() bool {
	for _, c := range w.loaded.Choices {
		if c.Program != "" {
			return c.Object == job(nil).Objects[0].Name
		}
	}
	return false
}

// Pinger names the process that is to be killed at the next missed beat, so that
// the countdown is pinged no more; 0 calls it off. The kernel refuses process 1.
func (w *Witness) Pinger(pid int) error {
	if pid == 1 || pid < 0 {
		return fmt.Errorf("condemn process %d: not a pinger", pid)
	}
	if pid != 0 && !w.CanKill() {
		return errors.New("condemn the pinger: this kernel's programs cannot signal a process")
	}
	orders := obj.BeatBeatOrders{Pinger: int32(pid)}
	if err := w.loaded.Map("orders").Put(uint32(0), orders); err != nil {
		return fmt.Errorf("condemn process %d: %w", pid, err)
	}
	return nil
}

// A Miss is a beat that did not come.
type Miss struct {
	Slot   int // from 0
	Name   string
	Last   time.Duration // CLOCK_MONOTONIC of the beat before
	At     time.Duration // when the kernel noticed
	Limit  time.Duration
	Misses int  // of this slot so far
	Killed bool // the pinger was killed for it
}

// Late is how much later than promised the miss was noticed.
func (m Miss) Late() time.Duration { return m.At - m.Last - m.Limit }

func miss(r *obj.BeatMissRecord) Miss {
	return Miss{
		Slot: int(r.Slot), Name: unix.ByteSliceToString(r.Name[:]),
		Last: time.Duration(r.Last), At: time.Duration(r.At), Limit: time.Duration(r.Limit),
		Misses: int(r.Misses), Killed: r.Killed == 1,
	}
}

// Watch calls handle for each miss until ctx is done. At most one at a time.
func (w *Witness) Watch(ctx context.Context, handle func(Miss)) error {
	r, err := stream.Open(w.loaded.Map("records"))
	if err != nil {
		return fmt.Errorf("read missed beats: %w", err)
	}
	stop := context.AfterFunc(ctx, r.Interrupt)
	defer stop()
	for {
		raw, _, err := r.Next()
		if errors.Is(err, stream.ErrInterrupted) {
			return r.Close()
		}
		var record *obj.BeatMissRecord
		if err == nil {
			record, err = stream.Decode[obj.BeatMissRecord](raw)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("read missed beats: %w", err), r.Close())
		}
		handle(miss(record))
	}
}

// Misses returns the latest miss of each slot that ever missed one.
func (w *Witness) Misses() ([]Miss, error) { return misses(w.loaded.Map("missed")) }

// Past returns the misses kept in dir by a daemon that is gone, before Load
// replaces them. None is no error.
func Past(dir string) ([]Miss, error) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, "missed"), &ebpf.LoadPinOptions{ReadOnly: true})
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the missed beats of before: %w", err)
	}
	defer m.Close()
	return misses(m)
}

func misses(m *ebpf.Map) (list []Miss, err error) {
	var record obj.BeatMissRecord
	for slot := range uint32(FirstSlot + Slots) {
		if err := m.Lookup(slot, &record); err != nil {
			return list, fmt.Errorf("read missed beats: %w", err)
		}
		if record.At != 0 {
			list = append(list, miss(&record))
		}
	}
	return list, nil
}

// Clock is what the timer says of itself.
type Clock struct {
	Ticks uint64
	Last  time.Duration // CLOCK_MONOTONIC of the latest tick
	Late  time.Duration // longest delay of one tick so far
}

// Clock reads the timer's own account.
func (w *Witness) Clock() (Clock, error) {
	var c obj.BeatBeatClock
	if err := w.loaded.Map("clock").Lookup(uint32(0), &c); err != nil {
		return Clock{}, fmt.Errorf("read the timer's account: %w", err)
	}
	return Clock{c.Ticks, time.Duration(c.Last), time.Duration(c.Late)}, nil
}

// Alive fails when the timer has not ticked for a hundred periods.
func (w *Witness) Alive() error {
	c, err := w.Clock()
	if err != nil {
		return err
	}
	if silent := monotonic() - max(c.Last, w.armed); silent > 100*Period {
		return fmt.Errorf("the timer in the kernel has not ticked for %v", silent)
	}
	return nil
}

// MapBytes is the memory held by the maps.
func (w *Witness) MapBytes() (uint64, error) { return w.loaded.MapBytes() }

// Close gives the page back. The timer goes on where it is kept in a folder.
func (w *Witness) Close() error {
	var err error
	if w.memory != nil {
		err = unix.Munmap(w.memory)
		w.memory = nil
	}
	return errors.Join(err, w.loaded.Close())
}

// Forget ends what was kept in dir: the timer stops when its last user is gone.
func Forget(dir string) error {
	var errs []error
	for _, name := range kept {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
