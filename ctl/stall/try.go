package stall

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// chunk is how much is written at a time, in bytes.
const chunk = 64 << 10

// touchFile makes the file at path, writes size bytes and waits until they are
// on disk if it is to, closes and removes it.
func touchFile(path string, write bool, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	if write {
		err = fill(f, size)
	}
	return errors.Join(err, f.Close(), os.Remove(path))
}

func fill(f *os.File, size int64) error {
	zeros := make([]byte, min(size, chunk))
	for size > 0 {
		n, err := f.Write(zeros[:min(size, chunk)])
		if err != nil {
			return err
		}
		size -= int64(n)
	}
	if err := unix.Fdatasync(int(f.Fd())); err != nil {
		return fmt.Errorf("fdatasync %s: %w", f.Name(), err)
	}
	return nil
}

// makeThread has the kernel make a task and sees it end. It is a process that
// is to execute a directory: making it takes all that making a thread takes
// (copy_process in kernel/fork.c serves both), and executing it fails at once.
// A thread of Go's own would not do: when the kernel refuses one, the Go run
// time ends the daemon.
func makeThread() error {
	pid, err := syscall.ForkExec("/", []string{"shisa-thread-check"}, &syscall.ProcAttr{Env: []string{}})
	switch {
	case errors.Is(err, syscall.EACCES): // what executing a directory yields
		return nil
	case err == nil:
		return fmt.Errorf("process %d executes a directory", pid)
	}
	return fmt.Errorf("make a thread: %w", err)
}
