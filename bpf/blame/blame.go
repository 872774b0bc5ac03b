// Package blame witnesses a shutdown: which process took how long to leave and
// which ignored SIGTERM, how long sync(2) took, and inside the kernel each
// device and driver, also while it is stuck. The marks go to whoever watches;
// package timeline makes a report of them.
package blame

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"shisa/bpf/internal/obj"
	"shisa/bpf/internal/stream"
	"shisa/bpf/timeline"
	"shisa/bpf/trial"
)

// Job is the witness of shutdowns: what a loader tries. Where the kernel refuses
// trampolines and has no probes, the phase in user space is seen all the same.
var Job = trial.Job{
	Name: "shutdown",
	Objects: []trial.Object{
		{Name: "with timer", Spec: obj.LoadShutdownTimer},
		{Name: "without timer", Spec: obj.LoadShutdown, Partial: true},
	},
	Parts: []trial.Part{
		{Name: "stuck", Programs: []string{"arm_syscall"}},
		{Name: "device", Programs: []string{"device_fentry", "device_kprobe"}},
		{Name: "devices-begin", Programs: []string{"devices_begin_fentry", "devices_begin_kprobe"}},
		{Name: "devices-end", Programs: []string{"devices_end_fexit", "devices_end_kretprobe"}},
		{Name: "restart", Programs: []string{"restart_fentry", "restart_kprobe"}},
		{Name: "power-off", Programs: []string{"power_off_fentry", "power_off_kprobe"}},
		{Name: "halt", Programs: []string{"halt_fentry", "halt_kprobe"}, Optional: true},
		{Name: "sync-begin", Programs: []string{"sync_begin_fentry", "sync_begin_kprobe"}, Optional: true},
		{Name: "sync-end", Programs: []string{"sync_end_fexit", "sync_end_kretprobe"}, Optional: true},
		{Name: "signal", Programs: []string{"signal_raw_tp"}, Optional: true},
		{Name: "exit", Programs: []string{"exit_raw_tp"}, Optional: true},
	},
}

// Witness sees the machine go down.
type Witness struct{ loaded *trial.Loaded }

// Load starts the programs. The Witness returned with an error serves to ask
// for its Choices only.
func Load(k *trial.Kernel) (*Witness, error) {
	if k == nil {
		return &Witness{}, trial.ErrPrivilege
	}
	loaded, err := k.Load(Job)
	w := &Witness{loaded: loaded}
	if err != nil {
		return w, err
	}
	if err := w.arm(); err != nil {
		return w, errors.Join(err, w.Close())
	}
	return w, nil
}

// arm runs the timers' program on each CPU that this process may use, for a
// timer stays with the CPU that started it.
func (w *Witness) arm() error {
	program := w.loaded.Program("stuck")
	if program == nil {
		return nil
	}
	// On a thread of its own, which ends with its affinity.
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		result <- eachCPU(func() error {
			status, err := program.Run(&ebpf.RunOptions{})
			if err == nil && status != 0 {
				err = fmt.Errorf("step %d refused", status)
			}
			return err
		})
	}()
	if err := <-result; err != nil {
		return fmt.Errorf("prepare the timers: %w", err)
	}
	return nil
}

// eachCPU calls f on each CPU in turn, by moving the calling thread.
func eachCPU(f func() error) error {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return fmt.Errorf("read the affinity: %w", err)
	}
	for cpu := range len(allowed) * 64 {
		if !allowed.IsSet(cpu) {
			continue
		}
		var one unix.CPUSet
		one.Set(cpu)
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			continue // it went offline
		}
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// Choices says which programs are at work, and why no better ones are.
func (w *Witness) Choices() []trial.Choice {
	if w.loaded == nil {
		return nil
	}
	return w.loaded.Choices
}

func (w *Witness) has(part string) bool { return w.loaded.Program(part) != nil }

// Begin says that user space begins to go down: from now on signals and exits
// are told too. Call it when the shutdown is asked for; it cannot be called off
// but by Abandon.
func (w *Witness) Begin() error { return errors.Join(w.begun(1), w.arm()) }

// Abandon takes Begin back: the shutdown was cancelled.
func (w *Witness) Abandon() error { return w.begun(0) }

func (w *Witness) begun(value uint32) error {
	m := w.loaded.Map("phase")
	if m == nil {
		return errors.New("no program of the shutdown witness is loaded")
	}
	if err := m.Put(uint32(0), obj.ShutdownShutdownPhase{Begun: value}); err != nil {
		return fmt.Errorf("tell the kernel that the shutdown begins: %w", err)
	}
	return nil
}

// Watch calls handle for each mark until ctx is done. A process that is to see
// the end must not be killed with the others. At most one Watch at a time.
func (w *Witness) Watch(ctx context.Context, handle func(timeline.Mark)) error {
	return watch(ctx, w.loaded.Map("records"), handle)
}

// Files returns what another process needs to go on watching when this one has
// ended: the first of them is for Inherited, the others are only to be kept open.
func (w *Witness) Files() ([]*os.File, error) { return w.loaded.Files("records") }

// Inherited is Watch for a process that was given the descriptors of Files. It owns
// fd from then on. The giver must have ended its Watch.
func Inherited(ctx context.Context, fd int, handle func(timeline.Mark)) error {
	m, err := ebpf.NewMapFromFD(fd)
	if err != nil {
		return fmt.Errorf("take over the marks of the shutdown: %w", err)
	}
	return errors.Join(watch(ctx, m, handle), m.Close())
}

func watch(ctx context.Context, records *ebpf.Map, handle func(timeline.Mark)) error {
	r, err := stream.Open(records)
	if err != nil {
		return fmt.Errorf("read marks of the shutdown: %w", err)
	}
	stop := context.AfterFunc(ctx, r.Interrupt)
	defer stop()
	for {
		raw, _, err := r.Next()
		if errors.Is(err, stream.ErrInterrupted) {
			return r.Close()
		}
		var record *obj.ShutdownMarkRecord
		if err == nil {
			record, err = stream.Decode[obj.ShutdownMarkRecord](raw)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("read marks of the shutdown: %w", err), r.Close())
		}
		handle(timeline.Mark{
			At: time.Duration(record.At), Kind: timeline.Kind(record.Kind), Arg: int(record.Arg),
			PID: int(record.Pid), From: int(record.From),
			Name: unix.ByteSliceToString(record.Name[:]), Driver: unix.ByteSliceToString(record.Driver[:]),
		})
	}
}

// Alive checks that signals are still seen, by sending this thread one that it
// does not mind. Whether devices would be, only a shutdown can tell.
func (w *Witness) Alive() error {
	if !w.has("signal") {
		return nil
	}
	before, err := w.Counters()
	if err != nil {
		return err
	}
	// Go's runtime uses this one itself and takes strays for its own.
	runtime.LockOSThread()
	err = unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGURG)
	runtime.UnlockOSThread()
	if err != nil {
		return fmt.Errorf("send a signal: %w", err)
	}
	after, err := w.Counters()
	if err == nil && after.Seen == before.Seen {
		err = errors.New("the shutdown programs saw nothing of a signal: they are no longer attached")
	}
	return err
}

// Counters says how many signals and marks were looked at and how many marks found
// no room.
func (w *Witness) Counters() (trial.Counters, error) { return w.loaded.Counters() }

// MapBytes is the memory held by the maps.
func (w *Witness) MapBytes() (uint64, error) { return w.loaded.MapBytes() }

// Close unloads the programs.
func (w *Witness) Close() error { return w.loaded.Close() }

// Log opens the kernel's log for marks: what is written there goes on to the
// console and, with printk.always_kmsg_dump, to pstore at the end, where
// timeline.ParseAll finds it after the boot. Write one Mark.Text at a time.
func Log() (*os.File, error) {
	f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("open the kernel's log: %w", err)
	}
	return f, nil
}
