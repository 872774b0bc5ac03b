// Package beat is the shared page on which every loop of the daemon proves that
// it makes progress, and the keeper says what it made of it. The page is one
// file of 4096 bytes on a tmpfs, or an array in the kernel (kernel.go), mapped by
// both: a beat is an atomic store, and neither side ever waits for the other. Its
// layout is in layout.go.
//
// A page may be torn, foreign or hostile: it is refused when its size, magic or
// version are wrong, no number read from it is used as an index or a length, and
// times from the future count as missing.
package beat

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrInvalid says that a file is not a page of beats of this version.
var ErrInvalid = errors.New("not a page of beats")

// ErrFull says that a page has no free slot.
var ErrFull = fmt.Errorf("all %d slots are in use", MaxSlots)

// A Page is a mapped page of beats. Any number of goroutines may use it, as
// long as one process makes slots.
type Page struct {
	p   *page
	mem []byte // mapping; nil when the page is in memory only
	id  uint32 // of the array in the kernel; 0: a file
	now func() Time

	mu   sync.Mutex
	file *os.File
}

// New returns a page in memory only, whose clock is now (nil: [Now]). It serves
// tests and a keeper that has no daemon.
func New(now func() Time) *Page {
	if now == nil {
		now = Now
	}
	p := &Page{p: new(page), now: now}
	p.p.format()
	p.p.progress.Store(int64(now()))
	return p
}

// Create maps the page at path for the daemon: in a BPF file system an array in
// the kernel, elsewhere a file. A valid page that is there
// already is taken over in place, because the keeper has it mapped: its slots
// are released, and what progress the previous daemon made last stays on
// record, so that starting again and again does not count as progress. Anything
// else is replaced. Only one process may have created a page at a time.
func Create(path string) (*Page, error) {
	p, err := Open(path)
	if err != nil {
		make := replace
		if inKernel(path) {
			make = replaceInKernel
		}
		if err := make(path); err != nil {
			return nil, fmt.Errorf("create page of beats: %w", err)
		}
		if p, err = Open(path); err != nil {
			return nil, err
		}
		p.p.progress.Store(int64(p.now()))
	}
	p.p.progress.Store(int64(p.Progress()))
	for i := range p.p.slot {
		p.p.slot[i].flags.Store(0)
	}
	p.p.pid.Store(int64(os.Getpid()))
	p.p.epoch.Add(1)
	return p, nil
}

// Open maps the page at path. It wraps [ErrInvalid] when the file is not one.
func Open(path string) (*Page, error) {
	if inKernel(path) {
		return openInKernel(path)
	}
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	return FromFile(f)
}

// FromFile maps the page in f and owns f from then on, also when it fails.
func FromFile(f *os.File) (*Page, error) {
	st, err := f.Stat()
	if err == nil && (!st.Mode().IsRegular() || st.Size() != Size) {
		err = fmt.Errorf("%w: %d bytes, %s", ErrInvalid, st.Size(), st.Mode().Type())
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("map %s: %w", f.Name(), err)
	}
	return mapPage(f)
}

// mapPage maps f, of which the size is known to be right.
func mapPage(f *os.File) (*Page, error) {
	fail := func(err error) (*Page, error) {
		f.Close()
		return nil, fmt.Errorf("map %s: %w", f.Name(), err)
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fail(err)
	}
	p := &Page{p: (*page)(unsafe.Pointer(&mem[0])), mem: mem, now: Now, file: f}
	if err := p.p.check(); err != nil {
		unix.Munmap(mem)
		return fail(err)
	}
	return p, nil
}

// Close unmaps the page. Slots of it must not be used afterwards.
func (p *Page) Close() error {
	if p.mem == nil {
		return nil
	}
	err := unix.Munmap(p.mem)
	p.mem, p.p = nil, nil
	return errors.Join(err, p.file.Close())
}

// File returns the mapped file, for a child that is to map it, too; nil for a
// page in memory.
func (p *Page) File() *os.File { return p.file }

// Intact reports whether the file behind the page still has its full size.
// Touching a page beyond the end of its file kills the process with SIGBUS.
func (p *Page) Intact() bool {
	if p.file == nil || p.id != 0 {
		return true // the kernel keeps an array whole
	}
	var st unix.Stat_t
	return unix.Fstat(int(p.file.Fd()), &st) == nil && st.Size == Size
}

// Kernel reports whether the page is an array in the kernel.
func (p *Page) Kernel() bool { return p.id != 0 }

// Same reports whether both pages are mappings of one file or array.
func (p *Page) Same(q *Page) bool {
	if p.file == nil || q.file == nil {
		return p == q
	}
	if p.id != 0 || q.id != 0 {
		return p.id == q.id
	}
	var a, b unix.Stat_t
	return unix.Fstat(int(p.file.Fd()), &a) == nil && unix.Fstat(int(q.file.Fd()), &b) == nil &&
		a.Ino == b.Ino && a.Dev == b.Dev
}

// PID returns the process that created the page; 0: none.
func (p *Page) PID() int { return int(p.p.pid.Load()) }

// Epoch counts how often the page was taken over by a daemon.
func (p *Page) Epoch() uint64 { return p.p.epoch.Load() }

// Keeper returns the part that the keeper writes about itself.
func (p *Page) Keeper() *Keeper { return &p.p.keeper }

// Engine returns the part that the keeper writes about engine i, 0 or 1.
func (p *Page) Engine(i int) *Engine { return &p.p.engines[i] }

// Progress returns the latest beat ever seen on the page that was a real one:
// making a page or a slot does not count. On a new page it is the time at which
// the page was made.
func (p *Page) Progress() Time {
	latest, now := Time(p.p.progress.Load()), p.now()
	if latest > now {
		latest = 0
	}
	for i := range p.p.slot {
		s := &p.p.slot[i]
		if t := Time(s.last.Load()); s.used() && s.count.Load() > 0 && t > latest && t <= now {
			latest = t
		}
	}
	return latest
}

// Slot makes a slot for a loop that promises to beat at least once in limit.
// Its first beat counts from now. The name must have 1 to [NameLimit] bytes and
// not be in use.
func (p *Page) Slot(name string, limit time.Duration) (*Slot, error) {
	switch {
	case name == "" || len(name) > NameLimit:
		return nil, fmt.Errorf("slot %q: name must have 1 to %d bytes", name, NameLimit)
	case limit <= 0:
		return nil, fmt.Errorf("slot %q: limit %v must be positive", name, limit)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	free := -1
	for i := range p.p.slot {
		s := &p.p.slot[i]
		switch {
		case !s.used():
			if free < 0 {
				free = i
			}
		case s.title() == name:
			return nil, fmt.Errorf("slot %q: in use", name)
		}
	}
	if free < 0 {
		return nil, fmt.Errorf("slot %q: %w", name, ErrFull)
	}
	s := &p.p.slot[free]
	s.name = [NameLimit]byte{}
	copy(s.name[:], name)
	s.limit.Store(int64(limit))
	s.count.Store(0)
	s.maxDelay.Store(0)
	s.last.Store(int64(p.now()))
	s.flags.Store(flagUsed) // last: a reader never sees a slot half made
	return &Slot{s: s, now: p.now}, nil
}

// A Slot is one loop's place on the page.
type Slot struct {
	s   *slot
	now func() Time
}

// Beat proves progress now. It allocates nothing and never waits.
func (s *Slot) Beat() {
	now := int64(s.now())
	if delay := now - s.s.last.Swap(now); delay > s.s.maxDelay.Load() {
		s.s.maxDelay.Store(delay)
	}
	s.s.count.Add(1)
}

// Last returns the time of the last beat, or that at which the slot was made.
func (s *Slot) Last() Time { return Time(s.s.last.Load()) }

// Limit returns the longest time between two beats.
func (s *Slot) Limit() time.Duration { return time.Duration(s.s.limit.Load()) }

// Largest returns the largest delay between two beats so far.
func (s *Slot) Largest() time.Duration { return time.Duration(s.s.maxDelay.Load()) }

// SetLimit changes the limit.
func (s *Slot) SetLimit(limit time.Duration) { s.s.limit.Store(int64(limit)) }

// Release takes the slot off the page: its loop has ended on purpose.
func (s *Slot) Release() { s.s.flags.Store(0) }

// A Reading is what the page says of one slot at one instant.
type Reading struct {
	Last     Time
	Count    int64
	Limit    time.Duration
	MaxDelay time.Duration
	name     [NameLimit]byte
}

// Name returns the slot's name, with anything unprintable replaced.
func (r *Reading) Name() string { return clean(r.name) }

// Read copies slot i into r and reports whether the slot is in use. It
// allocates nothing.
func (p *Page) Read(i int, r *Reading) bool {
	if i < 0 || i >= MaxSlots {
		return false
	}
	s := &p.p.slot[i]
	if !s.used() {
		return false
	}
	r.Last, r.Count = Time(s.last.Load()), s.count.Load()
	r.Limit, r.MaxDelay = time.Duration(s.limit.Load()), time.Duration(s.maxDelay.Load())
	r.name = s.name
	return s.used()
}

// Saw records that slot i was delay old, for its largest delay and that of the
// page. Only the keeper calls it.
func (p *Page) Saw(i int, delay time.Duration) {
	s, k := &p.p.slot[i], &p.p.keeper
	if int64(delay) > s.maxDelay.Load() {
		s.maxDelay.Store(int64(delay))
	}
	if int64(delay) > k.MaxDelay.Load() {
		k.MaxDelay.Store(int64(delay))
		k.MaxSlot.Store(int64(i) + 1)
	}
}

// Name returns the name of slot i, in use or not; "" when there is none.
func (p *Page) Name(i int) string {
	if i < 0 || i >= MaxSlots {
		return ""
	}
	return p.p.slot[i].title()
}

func (s *slot) used() bool    { return s.flags.Load()&flagUsed != 0 }
func (s *slot) title() string { return clean(s.name) }

func clean(name [NameLimit]byte) string {
	b, _, _ := bytes.Cut(name[:], []byte{0})
	b = slices.Clone(b)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

func (p *page) format() {
	copy(p.magic[:], magic)
	p.version, p.slotSize, p.slots = Version, SlotSize, MaxSlots
}

func (p *page) check() error {
	switch {
	case string(p.magic[:]) != magic:
		return fmt.Errorf("%w: magic %q", ErrInvalid, p.magic[:])
	case p.version != Version || p.slotSize != SlotSize || p.slots != MaxSlots:
		return fmt.Errorf("%w: version %d with %d slots of %d bytes", ErrInvalid, p.version, p.slots, p.slotSize)
	}
	return nil
}

// replace puts a fresh page at path in one step, so that nobody maps half a one.
func replace(path string) error {
	fresh := new(page)
	fresh.format()
	f, err := os.CreateTemp(filepath.Dir(path), ".beats-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails when renamed: then there is nothing to remove
	_, err = f.Write((*[Size]byte)(unsafe.Pointer(fresh))[:])
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
