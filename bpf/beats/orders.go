package beats

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"shisa/bpf/internal/obj"
)

// Means says how a miss of our own beats can be handed over on this machine: by
// telling clpka, by killing the pinger, or not at all.
func (w *Witness) Means() Means {
	for _, c := range w.loaded.Choices {
		switch {
		case c.Object == tellsClpka:
			return ByClpka
		case c.Part == kills && c.Program != "":
			return ByKill
		}
	}
	return ByNone
}

// Means are ways to hand over a miss.
type Means string

// The means.
const (
	ByClpka Means = "clpka" // our module lets its countdown run out
	ByKill  Means = "kill"  // the process that pings is killed when it next leaves a CPU
	ByNone  Means = "none"
)

// Orders say what becomes of a miss of one of our own beats.
type Orders struct {
	Age    time.Duration // of the latest beat, at least, when its miss is handed over; 0: never
	Pinger int           // process that pings; 0: there is none to kill
}

// Order gives orders, which hold until the next ones, also after the end of this
// process where the page is kept. The zero Orders call everything off. One caller at a
// time.
func (w *Witness) Order(o Orders) error {
	switch {
	case o.Pinger == 1 || o.Pinger < 0:
		return fmt.Errorf("hand over misses: process %d is no pinger", o.Pinger)
	case o.Age < 0:
		return fmt.Errorf("hand over misses: age %v", o.Age)
	}
	orders := obj.BeatBeatOrders{Strike: int64(o.Age), Pinger: int64(o.Pinger)}
	if err := w.loaded.Map("orders").Put(uint32(0), orders); err != nil {
		return fmt.Errorf("hand over misses: %w", err)
	}
	if w.Means() != ByKill {
		return nil
	}
	if err := w.pursuit.pursue(o.Pinger, w.loaded.Program(kills), w.dir); err != nil {
		return fmt.Errorf("hand over misses: %w", err)
	}
	return nil
}

// A pursuit is the program that may kill the pinger, at each of its threads. It costs
// others nothing: it runs on counters of those threads' own switches.
type pursuit struct {
	pid   int
	links map[int]link.Link // by thread
}

// pinned is the pattern of the names in the folder that is kept.
const pinned = "pinger-*"

// pursue follows the threads of a process, 0 none, in place of those of before. With
// a folder the kernel goes on when this process ends.
func (p *pursuit) pursue(pid int, strike *ebpf.Program, dir string) error {
	if pid == p.pid {
		return nil
	}
	if err := p.end(dir); err != nil || pid == 0 {
		return err
	}
	p.links = make(map[int]link.Link)
	for more := true; more; { // a thread that is followed has its children followed
		tasks, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "task"))
		if errors.Is(err, os.ErrNotExist) {
			return p.end(dir) // gone: as good as killed
		}
		if err != nil {
			return errors.Join(err, p.end(dir))
		}
		more = false
		for _, task := range tasks {
			tid, err := strconv.Atoi(task.Name())
			if err != nil || p.links[tid] != nil {
				continue
			}
			l, err := follow(tid, strike)
			if errors.Is(err, unix.ESRCH) {
				continue
			}
			if err == nil {
				p.links[tid], more = l, true
			}
			if err == nil && dir != "" {
				err = l.Pin(filepath.Join(dir, "pinger-"+task.Name()))
			}
			if err != nil {
				return errors.Join(err, p.end(dir))
			}
		}
	}
	p.pid = pid
	return nil
}

// end lets the process alone.
func (p *pursuit) end(dir string) error {
	var errs []error
	for _, l := range p.links {
		errs = append(errs, l.Close())
	}
	*p = pursuit{}
	return errors.Join(append(errs, unpin(dir))...)
}

// unpin removes what was kept of a pursuit.
func unpin(dir string) error {
	if dir == "" {
		return nil
	}
	names, err := filepath.Glob(filepath.Join(dir, pinned))
	for _, name := range names {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

// follow has a program run whenever a thread, or one that it makes, leaves a CPU
// (perf_event_open(2), PERF_COUNT_SW_CONTEXT_SWITCHES; a link to it is from 5.15 on,
// as are timers).
func follow(tid int, program *ebpf.Program) (link.Link, error) {
	attr := unix.PerfEventAttr{
		Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CONTEXT_SWITCHES,
		Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})), Sample: 1, Bits: unix.PerfBitInherit,
	}
	fd, err := unix.PerfEventOpen(&attr, tid, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("count the switches of thread %d: %w", tid, err)
	}
	defer unix.Close(fd) // the link keeps it
	l, err := link.AttachRawLink(link.RawLinkOptions{Target: fd, Program: program, Attach: ebpf.AttachPerfEvent})
	if err != nil {
		return nil, fmt.Errorf("attach to the switches of thread %d: %w", tid, err)
	}
	return l, nil
}
