package stream

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// The layout of a BPF ring buffer (kernel/bpf/ringbuf.c, uapi/linux/bpf.h):
// a page that we write (consumer position), a page that the kernel writes
// (producer position), then the data, mapped twice so that a record never
// breaks at the end. A record is preceded by 8 bytes, the first 4 of which hold
// its length and two flags.
const (
	recordBusy    = 1 << 31 // reserved, not written yet
	recordDiscard = 1 << 30
	recordHeader  = 8
)

// busyPause is how long a real-time reader sleeps when it meets a record that
// is still being written. It must sleep: the writer may be an ordinary task on
// this very CPU, which a spinning reader would never let finish. (The library's
// own reader spins.)
const busyPause = 20 * time.Microsecond

type ring struct {
	consumer []byte // read and write
	producer []byte // producer page and data, read only
	mask     uint64
	read     uint64 // our position: the record at it has been handed out
	pending  uint64 // length of the record handed out, with header, rounded

	epoll, wake int
}

func openRing(m *ebpf.Map) (r *ring, err error) {
	page := os.Getpagesize()
	size := int(m.MaxEntries())
	r = &ring{mask: uint64(size) - 1, epoll: -1, wake: -1}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if r.consumer, err = unix.Mmap(m.FD(), 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return r, fmt.Errorf("map the consumer page: %w", err)
	}
	if r.producer, err = unix.Mmap(m.FD(), int64(page), page+2*size, unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return r, fmt.Errorf("map the data pages: %w", err)
	}
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return r, fmt.Errorf("create an epoll: %w", err)
	}
	if r.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return r, fmt.Errorf("create an eventfd: %w", err)
	}
	for _, fd := range []int{m.FD(), r.wake} {
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
		if err = unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
			return r, fmt.Errorf("watch a descriptor: %w", err)
		}
	}
	r.read = r.consumed().Load()
	return r, nil
}

func (r *ring) consumed() *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&r.consumer[0])) }
func (r *ring) produced() *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&r.producer[0])) }

// next waits for a record and returns its bytes, in place: they belong to the
// reader until the following call gives them back to the kernel.
func (r *ring) next() ([]byte, error) {
	r.read += r.pending
	r.pending = 0
	r.consumed().Store(r.read)
	for {
		if r.read >= r.produced().Load() {
			if err := r.wait(); err != nil {
				return nil, err
			}
			continue
		}
		at := uint64(os.Getpagesize()) + r.read&r.mask
		header := (*atomic.Uint32)(unsafe.Pointer(&r.producer[at])).Load()
		if header&recordBusy != 0 {
			nap := unix.NsecToTimespec(int64(busyPause))
			unix.Nanosleep(&nap, nil) // cut short or not, we look again
			continue
		}
		length := uint64(header &^ (recordBusy | recordDiscard))
		step := (length + recordHeader + 7) &^ 7
		if header&recordDiscard != 0 {
			r.read += step
			r.consumed().Store(r.read)
			continue
		}
		r.pending = step
		return r.producer[at+recordHeader : at+recordHeader+length], nil
	}
}

// wait returns nil when there may be a record, errInterrupted after interrupt.
func (r *ring) wait() error {
	var events [2]unix.EpollEvent
	n, err := unix.EpollWait(r.epoll, events[:], -1)
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("wait for a record: %w", err)
	}
	for _, event := range events[:n] {
		if int(event.Fd) == r.wake {
			return ErrInterrupted
		}
	}
	return nil
}

// interrupt makes every wait fail from now on.
func (r *ring) interrupt() {
	unix.Write(r.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // cannot fail short of a full counter, which wakes too
}

func (r *ring) close() error {
	var errs []error
	for _, region := range [][]byte{r.consumer, r.producer} {
		if region != nil {
			errs = append(errs, unix.Munmap(region))
		}
	}
	for _, fd := range []int{r.epoll, r.wake} {
		if fd >= 0 {
			errs = append(errs, unix.Close(fd))
		}
	}
	return errors.Join(errs...)
}
