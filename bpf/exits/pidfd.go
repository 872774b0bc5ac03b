package exits

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Pidfds announces that processes which it was told of are really gone: dead
// with all their memory and files given back, ready to be collected. It is the
// one to wait for before a successor is started, and needs no privilege. It
// works on 5.3 and later.
type Pidfds struct {
	epoll, wake int

	mu    sync.Mutex
	known map[int32]ID // by descriptor
}

// NewPidfds opens the source.
func NewPidfds() (p *Pidfds, err error) {
	p = &Pidfds{epoll: -1, wake: -1, known: make(map[int32]ID)}
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("create an epoll: %w", err)
	}
	if p.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, errors.Join(fmt.Errorf("create an eventfd: %w", err), unix.Close(p.epoll))
	}
	if err = p.join(p.wake); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Pidfds) join(fd int) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("watch a descriptor: %w", err)
	}
	return nil
}

// ErrGone means that the process had ended before it could be watched.
var ErrGone = errors.New("process is already gone")

// Add begins to watch a process. The identity is checked after the pidfd is
// open, so a reused number is noticed: ErrGone. Adding one twice is harmless
// but announces it twice. May be called from any goroutine.
func (p *Pidfds) Add(id ID) error {
	fd, err := unix.PidfdOpen(id.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return ErrGone
	}
	if err != nil {
		return fmt.Errorf("open a pidfd of %v: %w", id, err)
	}
	if now, err := Identify(id.PID); err != nil || now.Start != id.Start {
		return errors.Join(ErrGone, unix.Close(fd))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.join(fd); err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	p.known[int32(fd)] = id
	return nil
}

// Name implements Source.
func (p *Pidfds) Name() string { return "pidfd" }

// Watch implements Source, for the processes added before and meanwhile. The
// status is known for children of this process only, which stay to be collected.
func (p *Pidfds) Watch(ctx context.Context, handle func(Exit)) error {
	stop := context.AfterFunc(ctx, func() { unix.Write(p.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) })
	defer stop()
	var events [64]unix.EpollEvent
	for ctx.Err() == nil {
		n, err := unix.EpollWait(p.epoll, events[:], -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for pidfds: %w", err)
		}
		for _, event := range events[:max(n, 0)] {
			if id, ok := p.take(event.Fd); ok {
				exit := Exit{ID: id, Status: childStatus(int(event.Fd)), At: time.Now()}
				unix.Close(int(event.Fd)) // after the status; leaves the epoll too
				handle(exit)
			}
		}
	}
	var drain [8]byte
	unix.Read(p.wake, drain[:]) // so that a later Watch waits again
	return nil
}

func (p *Pidfds) take(fd int32) (ID, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, ok := p.known[fd]
	delete(p.known, fd)
	return id, ok
}

// Close stops watching every process; call it after Watch has returned.
func (p *Pidfds) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for fd := range p.known {
		unix.Close(int(fd))
	}
	clear(p.known)
	return errors.Join(unix.Close(p.epoll), unix.Close(p.wake))
}

// childStatus asks how a process ended without collecting it. Only its parent
// gets an answer.
func childStatus(pidfd int) Status {
	var info unix.Siginfo
	if unix.Waitid(unix.P_PIDFD, pidfd, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil) != nil {
		return Status{}
	}
	// struct siginfo of a SIGCHLD: si_code tells which of the three ends,
	// and si_status is the exit code or the signal.
	const exited, killed, dumped = 1, 2, 3
	value := childValue(&info)
	switch info.Code {
	case exited:
		return Status{syscall.WaitStatus(value&0xff) << 8, true}
	case killed:
		return Status{syscall.WaitStatus(value), true}
	case dumped:
		return Status{syscall.WaitStatus(value | 0x80), true}
	}
	return Status{}
}

// childValue is si_status: after si_pid and si_uid in the union, which is
// aligned to a pointer (uapi/asm-generic/siginfo.h).
func childValue(info *unix.Siginfo) int32 {
	const word = unsafe.Sizeof(uintptr(0))
	const union = (3*4 + word - 1) &^ (word - 1)
	return *(*int32)(unsafe.Add(unsafe.Pointer(info), union+8))
}
