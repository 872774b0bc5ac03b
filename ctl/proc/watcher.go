package proc

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Watcher tells when processes end. All pidfds hang on one epoll, which
// itself hangs on Go's poller: however many processes are watched, that costs
// one goroutine and no thread, and nothing at all while none of them ends.
type Watcher struct {
	file *os.File // the epoll
	conn syscall.RawConn

	mu      sync.Mutex
	next    int32
	watches map[int32]*watch
	notices map[ID][]int32 // watches that an announcement ends
	dying   map[ID]struct{}
	recent  [dyingLimit]ID // of dying, a ring
	oldest  int
	follow  func(pid int, waited bool) // see Follow; nil: nobody does
}

// A watch is one call of Watch or Notice.
type watch struct {
	handle *Handle
	gone   func()
}

// dyingLimit is how many announced deaths are remembered: far more than begin in
// the time that one of them takes.
const dyingLimit = 1024

// eventBatch is how many ended processes are fetched from the kernel at once.
const eventBatch = 64

// Default is the watcher that the whole program shares. It starts with its
// first use and is never closed.
var Default = sync.OnceValues(NewWatcher)

// NewWatcher returns a watcher without watches. Close ends it.
func NewWatcher() (*Watcher, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	// Only a descriptor in non-blocking mode is given to Go's poller.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	w := &Watcher{file: os.NewFile(uintptr(fd), "process watcher"),
		watches: map[int32]*watch{}, notices: map[ID][]int32{}, dying: map[ID]struct{}{}}
	if w.conn, err = w.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, w.file.Close())
	}
	go w.loop()
	return w, nil
}

// Watch calls gone once, when the process has ended. It may call it before it
// returns, namely when that has happened already: Watch never misses an end,
// and its error is nil then. gone runs on the watcher's own goroutine: it must
// hand over and return.
//
// stop ends the watch. A call of gone that is already under way is not waited
// for.
func (w *Watcher) Watch(id ID, gone func()) (stop func(), err error) {
	return w.add(id, gone, false)
}

// Notice is Watch for those who raise an alarm: gone is also called when the
// process is announced to be dying, which may be long before it is gone (150 ms
// for one of 1 GiB). What is to take its place must wait for Watch.
func (w *Watcher) Notice(id ID, gone func()) (stop func(), err error) {
	return w.add(id, gone, true)
}

func (w *Watcher) add(id ID, gone func(), early bool) (stop func(), err error) {
	h, err := Open(id)
	if errors.Is(err, ErrGone) {
		gone()
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	if _, dying := w.dying[id]; dying && early {
		w.mu.Unlock()
		gone()
		return func() {}, h.Close()
	}
	defer w.mu.Unlock()
	w.next++
	key := w.next
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: key}
	if err := unix.EpollCtl(int(w.fd()), unix.EPOLL_CTL_ADD, h.fd, &event); err != nil {
		return nil, errors.Join(fmt.Errorf("watch process %d: %w", id.PID, err), h.Close())
	}
	w.watches[key] = &watch{h, gone}
	if early {
		w.notices[id] = append(w.notices[id], key)
		if w.follow != nil && len(w.notices[id]) == 1 {
			w.follow(id.PID, true)
		}
	}
	return func() { w.take(key) }, nil
}

// fd returns the epoll, or an invalid descriptor after Close.
func (w *Watcher) fd() (fd uintptr) {
	fd = ^uintptr(0)
	_ = w.conn.Control(func(f uintptr) { fd = f })
	return fd
}

// take removes a watch and returns what to call; nil when it is gone already.
func (w *Watcher) take(key int32) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	found, ok := w.watches[key]
	if !ok {
		return nil
	}
	delete(w.watches, key)
	w.unnotice(found.handle.id, key)
	found.handle.Close() // closing the last descriptor takes it out of the epoll
	return found.gone
}

// unnotice takes a watch out of the notices, if it is one of them.
func (w *Watcher) unnotice(id ID, key int32) {
	keys, ok := w.notices[id]
	if !ok {
		return
	}
	if keys = slices.DeleteFunc(keys, func(k int32) bool { return k == key }); len(keys) > 0 {
		w.notices[id] = keys
		return
	}
	delete(w.notices, id)
	if w.follow != nil {
		w.follow(id.PID, false)
	}
}

// Follow tells f for which processes an announcement would be of use: at once of
// those that have a notice now, and from then on of each that gets its first one or
// loses its last. nil tells nobody any more. f must not call the watcher.
func (w *Watcher) Follow(f func(pid int, waited bool)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.follow = f
	if f == nil {
		return
	}
	for id := range w.notices {
		f(id.PID, true)
	}
}

// Announce tells the watcher that another source, such as the kernel's own
// tracepoint, has seen the process begin to end. Notices of it fire now instead
// of when the last of its memory is gone.
func (w *Watcher) Announce(id ID) {
	w.mu.Lock()
	delete(w.dying, w.recent[w.oldest])
	w.recent[w.oldest] = id
	w.oldest = (w.oldest + 1) % dyingLimit
	w.dying[id] = struct{}{}
	keys := slices.Clone(w.notices[id])
	w.mu.Unlock()
	w.fire(keys)
}

// Dying reports whether the process was announced: it may still be in /proc, but
// will never run its program again.
func (w *Watcher) Dying(id ID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, dying := w.dying[id]
	return dying
}

// Len returns the number of watches.
func (w *Watcher) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.watches)
}

// Close ends the watcher; watches that are left never fire.
func (w *Watcher) Close() error {
	err := w.file.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, found := range w.watches {
		delete(w.watches, key)
		found.handle.Close()
	}
	clear(w.notices)
	return err
}

func (w *Watcher) loop() {
	var events [eventBatch]unix.EpollEvent
	for {
		n := 0
		err := w.conn.Read(func(fd uintptr) bool {
			n, _ = unix.EpollWait(int(fd), events[:], 0)
			return n > 0
		})
		if err != nil {
			return // closed
		}
		keys := make([]int32, 0, eventBatch)
		for _, e := range events[:n] {
			keys = append(keys, e.Fd)
		}
		w.fire(keys)
	}
}

func (w *Watcher) fire(keys []int32) {
	for _, key := range keys {
		if gone := w.take(key); gone != nil {
			gone()
		}
	}
}
