package guard

import (
	"os"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"shisa/ctl/keeper/wire"
	"shisa/ctl/keeper/witness"
)

// A scribe is the line to the witness, the child that writes last words. The
// keeper itself never touches a file system.
type scribe struct {
	fd    int // our end of a socket pair
	pid   int
	path  string // that it writes to
	page  string
	ended atomic.Bool
}

// engage starts the witness if the orders want one and it does not run for them.
func (w *watch) engage(o wire.Orders) {
	old := w.scribe.Load()
	if o.LastWords == "" || old != nil && !old.ended.Load() && old.path == o.LastWords && old.page == o.Page {
		return
	}
	if s := hire(o.Page, o.LastWords); s != nil {
		w.scribe.Store(s)
	}
	if old != nil && !old.ended.Load() {
		unix.Shutdown(old.fd, unix.SHUT_RDWR) // it ends when it reads the end
	}
}

// hire starts a witness; nil: it could not be started, which the status shows.
func hire(page, path string) *scribe {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	far := os.NewFile(uintptr(pair[1]), "witness")
	defer far.Close()
	child, err := os.StartProcess(self, []string{"shisa-keeper", "witness", page, path, strconv.Itoa(os.Getpid())}, &os.ProcAttr{
		Dir:   "/",
		Env:   []string{},
		Files: []*os.File{nil, nil, os.Stderr, far},
	})
	if err != nil {
		unix.Close(pair[0])
		return nil
	}
	s := &scribe{fd: pair[0], pid: child.Pid, path: path, page: page}
	go func() {
		child.Wait()
		s.ended.Store(true)
	}()
	return s
}

// say tells the witness what v is about. It never waits: a witness that has
// hung in a frozen file system has its socket full at some time.
func (w *watch) say(p phase, slot int, v verdict) {
	s := w.scribe.Load()
	if s == nil {
		return
	}
	m := witness.Message{
		Phase:    [...]witness.Phase{calm: witness.Recovered, warned: witness.Warning, closing: witness.Final}[p],
		Slot:     int64(slot),
		Age:      v.age,
		Limit:    v.limit,
		Daemon:   int64(w.pid.Load()),
		Absent:   w.scene.absent.Load(),
		Deadline: v.deadline,
	}
	b := m.Bytes()
	unix.SendmsgN(s.fd, b[:], nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

// witness describes the state of the witness; "": none is wanted.
func (w *watch) witness() string {
	s := w.scribe.Load()
	switch {
	case s == nil:
		return ""
	case s.ended.Load():
		return "ended"
	}
	return "ready, writes to " + s.path
}
