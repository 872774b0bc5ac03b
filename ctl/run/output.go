package run

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// An output collects what a command writes, through a pipe. A nil output is
// that of a command which writes elsewhere.
type output struct {
	r     *os.File
	w     io.Writer // nil: kept
	limit int
	leave atomic.Bool // go on collecting after the command has exited

	mu      sync.Mutex
	kept    []byte
	dropped int64

	once    sync.Once
	drained chan struct{} // closed when all that the command itself wrote is here
}

// openOutput prepares the command's output streams. It returns what the command
// is to write to, and what has to be called once the command has it.
func (p *Process) openOutput() (fd uintptr, release func(), err error) {
	if f, ok := p.command.Output.(*os.File); ok {
		return f.Fd(), func() { f.Close() }, nil
	}
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return 0, nil, os.NewSyscallError("pipe2", err)
	}
	// Our end belongs to Go's poller; the command's end must block.
	if err := unix.SetNonblock(ends[0], true); err != nil {
		unix.Close(ends[0])
		unix.Close(ends[1])
		return 0, nil, os.NewSyscallError("fcntl", err)
	}
	limit := p.command.OutputLimit
	if limit == 0 {
		limit = DefaultOutputLimit
	}
	p.output = &output{
		r: os.NewFile(uintptr(ends[0]), "output of "+p.command.Path), w: p.command.Output,
		limit: limit, drained: make(chan struct{}),
	}
	return uintptr(ends[1]), func() { unix.Close(ends[1]) }, nil
}

// collect reads until nobody can write any more, or until drain has given up
// waiting for those whom the command left behind.
func (o *output) collect() {
	defer o.abandon()
	defer o.once.Do(func() { close(o.drained) })
	buf := make([]byte, 4096)
	for {
		n, err := o.r.Read(buf)
		o.keep(buf[:n])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			o.rest(buf)
			if o.leave.Load() {
				o.once.Do(func() { close(o.drained) })
				err = o.r.SetReadDeadline(time.Time{})
			}
		}
		if err != nil {
			return
		}
	}
}

// rest takes what already stands in the pipe: on a busy machine the deadline may
// pass before this goroutine has run at all.
func (o *output) rest(buf []byte) {
	conn, err := o.r.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) {
		for range pipeSize / len(buf) {
			n, err := unix.Read(int(fd), buf)
			if n <= 0 && !errors.Is(err, unix.EINTR) {
				return
			}
			o.keep(buf[:max(n, 0)])
		}
	})
}

// pipeSize is how many bytes a pipe holds: pipe(7).
const pipeSize = 64 << 10

func (o *output) keep(b []byte) {
	if o.w != nil {
		_, _ = o.w.Write(b) // a log that cannot be written keeps its own count
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	n := min(len(b), o.limit-len(o.kept))
	o.kept = append(o.kept, b[:n]...)
	o.dropped += int64(len(b) - n)
}

// drain waits until all is there that the ended command has written. What it
// left behind may go on writing if leave is set, and is not waited for.
func (o *output) drain(leave bool) (kept []byte, dropped int64) {
	if o == nil {
		return nil, 0
	}
	o.leave.Store(leave)
	_ = o.r.SetReadDeadline(time.Now().Add(DrainWait)) // fails only when it is closed, and thus drained
	select {
	case <-o.drained:
	case <-time.After(KillWait): // the log's file system hangs
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.kept[:len(o.kept):len(o.kept)], o.dropped
}

// abandon lets go of the pipe and of the writer.
func (o *output) abandon() {
	if o == nil {
		return
	}
	o.r.Close()
	if c, ok := o.w.(io.Closer); ok {
		c.Close()
	}
}
