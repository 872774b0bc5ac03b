package proc

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Handle holds on to one process, dead or alive: the kernel's pidfd. It can
// never mean another process.
type Handle struct {
	id ID
	fd int
}

// Open returns a handle on the process. The error is ErrGone when the process
// has been reaped, also when its number belongs to another one by now.
//
// The identity is checked after pidfd_open(2): the pidfd pins the process that
// had the number then, and a start time read afterwards either belongs to that
// process or shows that the number has passed on.
func Open(id ID) (*Handle, error) {
	fd, err := unix.PidfdOpen(id.PID, 0) // Linux 5.3; close-on-exec by nature
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.EINVAL):
		return nil, ErrGone
	case err != nil:
		return nil, fmt.Errorf("open pidfd of process %d: %w", id.PID, err)
	}
	now, err := Read(id.PID)
	if err == nil && now.Start == id.Start {
		return &Handle{id, fd}, nil
	}
	unix.Close(fd)
	if err == nil {
		err = ErrGone
	}
	return nil, err
}

// ID returns the identity of the process.
func (h *Handle) ID() ID { return h.id }

// FD returns the pidfd, which becomes readable when the process has ended. It
// stays owned by the handle.
func (h *Handle) FD() int { return h.fd }

// Signal sends a signal to the process. The error is ErrGone when the process
// has been reaped; a zombie takes signals without effect.
func (h *Handle) Signal(sig syscall.Signal) error {
	err := unix.PidfdSendSignal(h.fd, sig, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return ErrGone
	}
	if err != nil {
		return fmt.Errorf("signal process %d: %w", h.id.PID, err)
	}
	return nil
}

// Close lets go of the process.
func (h *Handle) Close() error { return unix.Close(h.fd) }

// Signal sends a signal to exactly the process that id names.
func Signal(id ID, sig syscall.Signal) error {
	h, err := Open(id)
	if err != nil {
		return err
	}
	defer h.Close()
	return h.Signal(sig)
}
