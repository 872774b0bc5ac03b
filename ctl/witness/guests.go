package witness

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strconv"
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
)

// Bounds of what others may ask for.
const (
	guestMessage = 4096                  // bytes of one datagram
	guestLimit   = 30 * time.Second      // between two beats, unless the process says otherwise
	guestLeast   = 10 * time.Millisecond // the period of the timer in the kernel
	guestMost    = time.Hour
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
	file  int // descriptor of the cells, to be passed on
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

// listen makes the socket. Everybody may beat; only root is given the array.
func listen(path string) (*net.UnixConn, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		var failed error
		err = raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
		err = errors.Join(err, failed)
	}
	if err = errors.Join(err, os.Chmod(path, 0o666)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// read takes datagrams until the socket is closed.
func (g *guests) read(conn *net.UnixConn) {
	var buf [guestMessage]byte
	oob := make([]byte, unix.CmsgSpace(unix.SizeofUcred)+unix.CmsgSpace(4*4))
	for {
		n, on, _, from, err := conn.ReadMsgUnix(buf[:], oob)
		if err != nil {
			return
		}
		who := credentials(oob[:on])
		if who == nil || who.Pid <= 0 {
			continue
		}
		m := parseNotify(buf[:n])
		slot, err := g.notify(int(who.Pid), m)
		if m.mapped && from != nil && from.Name != "" {
			g.answer(conn, from, slot, err, who.Uid == 0)
		}
	}
}

// credentials of the sender, which the kernel vouches for. Descriptors that came
// along are closed.
func credentials(oob []byte) (who *unix.Ucred) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		if c, err := unix.ParseUnixCredentials(&m); err == nil {
			who = c
		}
		if fds, err := unix.ParseUnixRights(&m); err == nil {
			for _, fd := range fds {
				unix.Close(fd)
			}
		}
	}
	return who
}

// answer gives a process its cell.
func (g *guests) answer(conn *net.UnixConn, to *net.UnixAddr, slot int, err error, root bool) {
	text, rights := fmt.Sprintf("BEAT_SLOT=%d", slot), []byte(nil)
	switch {
	case err != nil:
		text = "BEAT_ERROR=" + err.Error()
	case !root:
		text = "BEAT_ERROR=only root is given the array"
	default:
		rights = unix.UnixRights(g.file)
	}
	_, _, _ = conn.WriteMsgUnix([]byte(text), rights, to) // whoever does not listen beats by datagrams
}

// A notice is one datagram, or one line of the pipe.
type notice struct {
	name    string
	limit   time.Duration // 0: not said
	beat    bool
	trigger bool // the process itself says that it fails
	gone    bool
	mapped  bool // it wants to store its beats by itself
}

// parseNotify reads assignments a line as sd_notify(3) sends them; what it does
// not know, it leaves alone.
func parseNotify(b []byte) (n notice) {
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), "=")
		switch key {
		case "WATCHDOG":
			n.beat, n.trigger = value == "1", value == "trigger"
		case "WATCHDOG_USEC":
			if us, err := strconv.ParseUint(value, 10, 42); err == nil && us > 0 {
				n.limit = time.Duration(us) * time.Microsecond
			}
		case "STOPPING":
			n.gone = value == "1"
		case "BEAT_NAME":
			n.name = value
		case "BEAT_MAP":
			n.mapped = value == "1"
		}
	}
	return n
}

// parseLine reads a line of the pipe: a name, and a limit or "stop".
func parseLine(line string) (n notice, ok bool) {
	f := strings.Fields(line)
	if len(f) == 0 || len(f) > 2 {
		return n, false
	}
	n.name, n.beat = f[0], true
	if len(f) == 2 && f[1] == "stop" {
		n.beat, n.gone = false, true
	} else if len(f) == 2 {
		d, err := time.ParseDuration(f[1])
		if err != nil || d <= 0 {
			return n, false
		}
		n.limit = d
	}
	return n, true
}

var errNoCell = errors.New("all cells are taken")

// notify does what process pid asks for and returns its cell; pid 0 is the pipe.
func (g *guests) notify(pid int, n notice) (int, error) {
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
		if slot, err = g.settle(id, clean(n.name)); err != nil {
			return 0, err
		}
	}
	c := &g.cells[slot]
	if n.limit > 0 {
		c.limit.Store(int64(min(max(n.limit, guestLeast), guestMost)))
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
func (g *guests) settle(id proc.ID, name string) (int, error) {
	for i := range g.cells {
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
	every := sweepEvery
	if judge {
		every = judgeEvery
	}
	for sleep(ctx, every) {
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

// lastOf returns the latest beat of a guest.
func (g *guests) lastOf(slot int) (time.Duration, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.slots[slot] == nil {
		return 0, false
	}
	return time.Duration(g.cells[slot].last.Load()), true
}

// openPipe makes the pipe for scripts of root.
func openPipe(path string) (*os.File, error) {
	if err := unix.Mkfifo(path, 0o600); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, err
	}
	// For writing, too: it then never ends, however many writers come and go.
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || st.Mode()&fs.ModeNamedPipe == 0 {
		return nil, errors.Join(fmt.Errorf("%s is no pipe", path), err, f.Close())
	}
	return f, nil
}

func (g *guests) readPipe(f *os.File) {
	lines := bufio.NewReaderSize(f, guestMessage)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
		if n, ok := parseLine(string(bytes.TrimSpace(line))); ok {
			_, _ = g.notify(0, n) // nobody is there to be told that all cells are taken
		}
	}
}

// clean makes a name of printable ASCII that fits its cell.
func clean(name string) string {
	b := []byte(name[:min(len(name), beat.NameLimit)])
	for i, c := range b {
		if c <= ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(slices.Clip(b))
}
