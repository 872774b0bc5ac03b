package witness

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A ring is the open file of last words.
type ring struct {
	fd   int
	next uint64
	slot []byte // aligned to a page, for direct writes
}

// openRing opens the file at path and makes sure that all its blocks exist, so
// that a write in need allocates nothing: no space, no journal, no page cache
// where the file system lets us write directly.
func openRing(path string) (*ring, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content := make([]byte, FileSize+1)
	n, err := f.ReadAt(content, 0)
	if n != FileSize {
		// New, or of another size: written once in full, zeros included.
		clear(content[n:])
		if _, err = f.WriteAt(content[:FileSize], 0); err == nil {
			err = errors.Join(f.Truncate(FileSize), f.Sync())
		}
		if err != nil {
			return nil, fmt.Errorf("prepare %s: %w", path, err)
		}
	}
	r := &ring{fd: -1}
	for _, fr := range frames(content[:FileSize]) {
		r.next = fr.number
	}
	r.next++
	for _, flags := range []int{unix.O_DIRECT, 0} { // tmpfs and some others know no direct writes
		if r.fd, err = unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|flags, 0); err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	if r.slot, err = unix.Mmap(-1, 0, SlotSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE); err != nil {
		unix.Close(r.fd)
		return nil, err
	}
	return r, nil
}

// write puts text into the next slot. First the blocks go to the device, then
// the device is told to keep them: with no processor left for the kernel's own
// threads the second may never return, and the first has done its work.
func (r *ring) write(text []byte) error {
	seal(r.slot, r.next, text)
	at := int64(r.next%Slots) * SlotSize
	r.next++
	if _, err := unix.Pwrite(r.fd, r.slot, at); err != nil {
		return err
	}
	return unix.Fdatasync(r.fd)
}

// setDeadline puts the calling thread under SCHED_DEADLINE: 30 ms in each 100 ms,
// before every real-time task, so that even one of the highest priority on
// every processor does not keep it from looking and writing. Threads that it
// makes are ordinary ones.
func setDeadline() error {
	const ms = 1_000_000
	return unix.SchedSetAttr(0, &unix.SchedAttr{
		Size:     unix.SizeofSchedAttr,
		Policy:   unix.SCHED_DEADLINE,
		Flags:    unix.SCHED_FLAG_RESET_ON_FORK,
		Runtime:  30 * ms,
		Deadline: 100 * ms,
		Period:   100 * ms,
	}, 0)
}

// stepBack puts all threads just below the keeper's.
func stepBack(priority int) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	param := struct{ priority int32 }{int32(priority)}
	for _, t := range tasks {
		// Without the right to, they stay what they are, which is what the keeper is.
		unix.RawSyscall(unix.SYS_SCHED_SETPARAM, uintptr(atoi(t.Name())), uintptr(unsafe.Pointer(&param)), 0)
	}
}
