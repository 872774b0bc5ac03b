package witness

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"shisa/bpf"
	"shisa/bpf/beats"
	"shisa/ctl/beat"
	"shisa/ctl/proc"
	"shisa/ctl/tick"
)

// Bounds of what others may ask for.
const (
	guestMessage = 4096                  // bytes of one datagram
	guestLimit   = 30 * time.Second      // between two beats, unless the process says otherwise
	guestLeast   = 10 * time.Millisecond // the period of the timer in the kernel
	guestMost    = time.Hour
	otherLeast   = time.Second          // of who is not root
	otherCells   = beats.GuestSlots / 2 // for all who are not root together
)

// guests are the beats of other processes. They come as datagrams in the protocol
// of sd_notify(3), as lines in a pipe, or as stores into the array in the kernel
// by a process of root that has asked for it (bpf/include/shisa-beat.h). A beat
// that is missed is an event and evidence; what follows is for monitors to say.
type guests struct {
	witness *Witness

	mu    sync.Mutex
	slots map[int]*guest
	cells []cell
	file  int           // descriptor of the cells, to be passed on
	came  chan struct{} // somebody has come: who judges is to look sooner
}

// A cell is one beat in the array, as bpf/src/records.h has it.
type cell struct {
	last, count, limit, flags, maxDelay atomic.Int64
	name                                [beat.NameLimit]byte
}

var _ [beats.SlotSize]byte = [unsafe.Sizeof(cell{})]byte{}

// A guest is who beats in a cell.
type guest struct {
	name  string
	id    proc.ID // zero: whoever writes to the pipe
	stop  func()  // of the watch
	ended bool
	told  int64 // last beat of the miss that was told, without a timer in the kernel
}

// serveGuests takes beats until ctx is done.
func (w *Witness) serveGuests(ctx context.Context, set *bpf.Set) {
	g := &w.guests
	if w.o.Socket == "" {
		return
	}
	memory, file, release, err := guestMemory(set)
	if err != nil {
		w.say("take beats of other processes", err)
		return
	}
	defer release()
	g.cells = unsafe.Slice((*cell)(unsafe.Pointer(&memory[0])), beats.GuestSlots)
	g.file = file
	conn, err := listen(w.o.Socket)
	if err != nil {
		w.say("take beats of other processes", err)
		return
	}
	pipe, err := openPipe(strings.TrimSuffix(w.o.Socket, ".sock") + ".pipe")
	w.say("take beats from a pipe", err)
	stop := context.AfterFunc(ctx, func() {
		conn.Close()
		if pipe != nil {
			pipe.Close()
		}
	})
	defer stop()
	var wg sync.WaitGroup
	if pipe != nil {
		wg.Go(func() { g.readPipe(pipe) })
	}
	wg.Go(func() { g.sweep(ctx, set.Beats == nil) })
	g.read(conn)
	wg.Wait()
	g.releaseAll()
}

// guestMemory is the array in the kernel, or plain memory that this process
// judges.
func guestMemory(set *bpf.Set) (memory []byte, file int, release func(), err error) {
	if set.Beats != nil {
		return set.Beats.Guests(), set.Beats.GuestsFile(), func() {}, nil
	}
	fd, err := unix.MemfdCreate("shisa-beats", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, 0, nil, fmt.Errorf("make a page of beats: %w", err)
	}
	if err = unix.Ftruncate(fd, beats.Size); err == nil {
		memory, err = unix.Mmap(fd, 0, beats.Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		unix.Close(fd)
		return nil, 0, nil, fmt.Errorf("map a page of beats: %w", err)
	}
	return memory, fd, func() { unix.Munmap(memory); unix.Close(fd) }, nil
}

var errNoCell = errors.New("all cells are taken")

// notify does what process pid asks for and returns its cell; pid 0 is the pipe.
func (g *guests) notify(pid int, root bool, n notice) (int, error) {
	var id proc.ID
	comm := ""
	if pid != 0 {
		s, err := proc.Read(pid)
		if err != nil {
			return 0, err // it has gone
		}
		id, comm = s.ID, s.Comm
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	slot := -1
	for i, had := range g.slots {
		if had.id == id && (n.name == "" || had.name == clean(n.name)) {
			slot = i
		}
	}
	switch {
	case n.gone && slot >= 0:
		g.release(slot)
		return slot, nil
	case n.gone || !n.beat && !n.trigger && n.limit == 0:
		return slot, nil // nothing about beats
	case slot < 0:
		if n.name == "" {
			n.name = fmt.Sprintf("%s[%d]", comm, pid)
		}
		var err error
		if slot, err = g.settle(id, root, clean(n.name)); err != nil {
			return 0, err
		}
	}
	c := &g.cells[slot]
	if n.limit > 0 {
		least := guestLeast
		if !root {
			least = otherLeast
		}
		c.limit.Store(int64(min(max(n.limit, least), guestMost)))
	}
	if n.trigger {
		c.last.Store(1) // as long ago as can be
		return slot, nil
	}
	c.last.Store(int64(beat.Now()))
	c.count.Add(1)
	c.flags.Store(1)
	return slot, nil
}

// settle finds a free cell for a new guest. Its limit counts from its first beat.
func (g *guests) settle(id proc.ID, root bool, name string) (int, error) {
	cells := g.cells
	if !root {
		cells = cells[:otherCells]
	}
	for i := range cells {
		if g.slots[i] != nil {
			continue
		}
		c := &g.cells[i]
		c.name = [beat.NameLimit]byte{}
		copy(c.name[:], name)
		c.limit.Store(int64(guestLimit))
		c.count.Store(0)
		one := &guest{name: name, id: id}
		if id.PID != 0 {
			if w, err := proc.Default(); err == nil {
				one.stop, _ = w.Watch(id, func() { go g.died(i, one) }) // without, its miss tells
			}
		}
		g.slots[i] = one
		select {
		case g.came <- struct{}{}:
		default: // it is about to look anyway
		}
		return i, nil
	}
	return 0, errNoCell
}

// died notes the end of a guest. One that ends without a word misses its next
// beat, and is told of; then its cell is free.
func (g *guests) died(slot int, one *guest) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.slots[slot] == one {
		one.ended = true
	}
}

func (g *guests) release(slot int) {
	g.cells[slot].flags.Store(0)
	if stop := g.slots[slot].stop; stop != nil {
		stop()
	}
	delete(g.slots, slot)
}

func (g *guests) releaseAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for slot := range g.slots {
		g.release(slot)
	}
}

// Without a timer in the kernel this process judges, and less often.
const (
	sweepEvery = time.Second
	judgeEvery = 50 * time.Millisecond
)

// sweep frees the cells of who is gone, and judges where nobody else does.
func (g *guests) sweep(ctx context.Context, judge bool) {
	every := func() time.Duration {
		g.mu.Lock()
		defer g.mu.Unlock()
		if judge && len(g.slots) > 0 {
			return judgeEvery
		}
		return sweepEvery
	}
	for {
		select {
		case <-time.After(tick.Next(every())):
		case <-g.came:
		case <-ctx.Done():
			return
		}
		for _, m := range g.look(time.Duration(beat.Now()), judge) {
			g.witness.missed(m)
		}
	}
}

func (g *guests) look(now time.Duration, judge bool) (missed []beats.Miss) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, one := range g.slots {
		c := &g.cells[i]
		last, limit := c.last.Load(), time.Duration(c.limit.Load())
		if age := now - time.Duration(last); c.flags.Load() == 0 || age <= limit {
			continue
		} else if one.ended && age > limit+sweepEvery {
			g.release(i)
		}
		if judge && one.told != last {
			one.told = last
			missed = append(missed, beats.Miss{Slot: i, Guest: true, Name: one.name, Last: time.Duration(last), At: now, Limit: limit})
		}
	}
	return missed
}

// lastOf returns the latest beat of a guest, if it is still there.
func (g *guests) lastOf(slot int, name string) (time.Duration, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if one := g.slots[slot]; one == nil || one.name != name {
		return 0, false
	}
	return time.Duration(g.cells[slot].last.Load()), true
}
