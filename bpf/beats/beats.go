// Package beats lets a timer inside the kernel judge the page of beats, so that
// a missed beat is noticed within 20 ms also when user space is stopped or
// starved by real-time hogs. It keeps which beat was missed and when, tells the
// daemon, and can hand a miss over, so that the countdown fires at once: to our own
// module, or by ending the process that pings.
//
// The page is the kernel's array of 64 cells of 64 bytes, mapped by everybody;
// its contents are laid out as package beat of the control plane has them. A
// second array is for the beats of other processes. The
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

	GuestSlots = 64
)

// The record is declared in C; these break the build when it differs.
var (
	_ [SlotSize]byte                    = [unsafe.Sizeof(obj.BeatBeatSlot{})]byte{}
	_ [Size]byte                        = [SlotSize * (FirstSlot + Slots)]byte{}
	_ [2 * unsafe.Sizeof(int64(0))]byte = [unsafe.Offsetof(obj.BeatBeatSlot{}.Limit)]byte{}
)

// Period is how often the timer looks: a beat is missed at most this late.
const Period = 10 * time.Millisecond

// The object, and the part, that can hand over.
const (
	tellsClpka = "timer that tells clpka"
	kills      = "kill"
)

// job is what a loader tries.
func job(reuse map[string]*ebpf.Map) trial.Job {
	return trial.Job{
		Name: "beats",
		Objects: []trial.Object{
			{Name: tellsClpka, Spec: obj.LoadBeatClpka},
			{Name: "timer", Spec: obj.LoadBeat},
		},
		Parts: []trial.Part{
			{Name: "timer", Programs: []string{"arm_syscall"}},
			{Name: kills, Programs: []string{"strike"}, Optional: true},
		},
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
	loaded  *trial.Loaded
	memory  []byte
	guests  []byte
	armed   time.Duration // CLOCK_MONOTONIC
	dir     string        // what outlives this process is kept there
	pursuit pursuit
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
	w := &Witness{loaded: loaded, dir: dir}
	if err != nil {
		return w, err
	}
	if w.memory, err = mapped(w.File()); err == nil {
		w.guests, err = mapped(w.GuestsFile())
	}
	if err != nil {
		return w, errors.Join(fmt.Errorf("map the page of beats: %w", err), w.Close())
	}
	if err := w.keep(reuse["page"] != nil); err != nil {
		return w, errors.Join(err, w.Close())
	}
	if err := w.arm(); err != nil {
		return w, errors.Join(err, w.Close())
	}
	return w, nil
}

func mapped(fd int) ([]byte, error) {
	return unix.Mmap(fd, 0, Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

// kept are the maps that outlive the daemon. The clock holds the timer: when
// the file of the former one goes, that timer ends.
var kept = []string{"page", "missed", "clock"}

func (w *Witness) keep(taken bool) error {
	dir := w.dir
	if dir == "" {
		return nil
	}
	if err := unpin(dir); err != nil {
		return fmt.Errorf("let go of the former pinger: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keep the page of beats: %w", err)
	}
	for _, name := range kept {
		path := filepath.Join(dir, name)
		if name == "page" && taken {
			continue // others may open it at any time
		}
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

// Guests are the cells for beats of other processes: Size bytes, shared with the
// kernel, GuestSlots slots of SlotSize from the beginning.
func (w *Witness) Guests() []byte { return w.guests }

// GuestsFile is the descriptor of Guests. It belongs to the Witness.
func (w *Witness) GuestsFile() int { return w.loaded.Map("guests").FD() }

// A Miss is a beat that did not come.
type Miss struct {
	Slot   int  // from 0
	Guest  bool // of another process: a slot of Guests
	Name   string
	Last   time.Duration // CLOCK_MONOTONIC of the beat before
	At     time.Duration // when the kernel noticed
	Limit  time.Duration
	Misses int   // of this slot so far
	Handed Means // how it was handed over; empty: it was not, or not yet
}

// Late is how much later than promised the miss was noticed.
func (m Miss) Late() time.Duration { return m.At - m.Last - m.Limit }

func miss(r *obj.BeatMissRecord) Miss {
	m := Miss{
		Slot: int(r.Slot), Name: unix.ByteSliceToString(r.Name[:]),
		Last: time.Duration(r.Last), At: time.Duration(r.At), Limit: time.Duration(r.Limit),
		Misses: int(r.Misses), Handed: map[int32]Means{1: ByKill, 2: ByClpka}[r.Handed],
	}
	if m.Guest = m.Slot >= Slots; m.Guest {
		m.Slot -= Slots
	}
	return m
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
	for slot := range uint32(FirstSlot + Slots + GuestSlots) {
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

// Counters says how many beats were judged and how many misses found no room.
func (w *Witness) Counters() (trial.Counters, error) { return w.loaded.Counters() }

// MapBytes is the memory held by the maps.
func (w *Witness) MapBytes() (uint64, error) { return w.loaded.MapBytes() }

// Close gives the page back. The timer goes on where it is kept in a folder.
func (w *Witness) Close() error {
	var errs []error
	for _, l := range w.pursuit.links { // where they are kept, they go on
		errs = append(errs, l.Close())
	}
	w.pursuit = pursuit{}
	for _, memory := range [][]byte{w.memory, w.guests} {
		if memory != nil {
			errs = append(errs, unix.Munmap(memory))
		}
	}
	w.memory, w.guests = nil, nil
	return errors.Join(append(errs, w.loaded.Close())...)
}

// Stop ends the timer that was kept in dir and leaves the page to whoever has it
// mapped. It stops when this process lets go of it, too.
func Stop(dir string) error { return errors.Join(unpin(dir), remove(dir, "clock")) }

// Forget ends all that was kept in dir.
func Forget(dir string) error { return errors.Join(unpin(dir), remove(dir, kept...)) }

func remove(dir string, names ...string) error {
	var errs []error
	for _, name := range names {
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
