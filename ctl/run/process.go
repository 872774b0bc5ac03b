package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/proc"
)

// A Process is a command that has been started.
type Process struct {
	command Command
	id      proc.ID
	group   *cgroup // nil: the process group alone
	output  *output // nil: nothing to collect
	begin   time.Time

	ended chan struct{} // closed when the process itself has exited, before it is reaped
	stop  chan struct{} // closed when the caller wants it to end
	once  sync.Once     // of stop
	done  chan struct{} // closed when result is there

	result Result
}

// Run starts the command and waits for its end. It returns soon after ctx is
// done or the command's timeout has passed, at the latest after the grace and
// KillWait, even if the command cannot be killed.
func Run(ctx context.Context, c Command) Result {
	p, err := Start(ctx, c)
	if err != nil {
		return Result{State: CouldNotStart, Err: err}
	}
	return p.Wait()
}

// Start starts the command and returns while it runs. The command ends when
// ctx is done; a deadline counts as a time-out, a cancellation does not. The
// caller need not wait: whatever happens, the process is reaped.
func Start(ctx context.Context, c Command) (*Process, error) {
	if err := errors.Join(c.check(), ctx.Err()); err != nil {
		if closer, ok := c.Output.(io.Closer); ok {
			closer.Close()
		}
		return nil, err
	}
	p := &Process{
		command: c, begin: time.Now(),
		ended: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{}),
	}
	out, closeOut, err := p.openOutput()
	if err != nil {
		return nil, err
	}
	pid, err := p.fork(out)
	closeOut()
	if err != nil {
		p.output.abandon()
		return nil, c.explain(err)
	}
	p.watch(pid)
	if p.output != nil {
		if w, ok := c.Output.(*lines); ok {
			w.pid = pid
		}
		go p.output.collect()
	}
	go p.supervise(ctx)
	return p, nil
}

// fork starts the command in a control group if there can be one. The kernel
// does not say whether it was the group or the program that it did not like,
// so failure is tried once more without.
func (p *Process) fork(out uintptr) (pid int, err error) {
	if p.group = newCgroup(p.command.label()); p.group != nil {
		if pid, err = p.command.fork(out, p.group); err == nil {
			p.group.release()
			return pid, nil
		}
		p.group.remove()
		p.group = nil
	}
	return p.command.fork(out, nil)
}

// watch arranges for p.ended. The child is not reaped before that, so its
// number is its own.
func (p *Process) watch(pid int) {
	p.id = proc.ID{PID: pid}
	id, err := proc.Identify(pid)
	if err == nil {
		p.id = id
		var w *proc.Watcher
		if w, err = proc.Default(); err == nil {
			_, err = w.Watch(id, func() { close(p.ended) })
		}
	}
	if err != nil { // no /proc, or no pidfd (Linux before 5.3): a thread has to wait
		go func() {
			for errors.Is(unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
			}
			close(p.ended)
		}()
	}
}

// ID returns the identity of the process.
func (p *Process) ID() proc.ID { return p.id }

// Done is closed when the command has ended and its result is there.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the end and returns the result.
func (p *Process) Wait() Result {
	<-p.done
	return p.result
}

// Stop begins to end the command: SIGTERM to its process group, SIGKILL to all
// that is left of it after the grace. It does not wait; see Done. Stopping a
// command that has ended does nothing.
func (p *Process) Stop() { p.once.Do(func() { close(p.stop) }) }

// supervise takes the command to its end. It lives as long as the process.
func (p *Process) supervise(ctx context.Context) {
	var timeout <-chan time.Time
	if p.command.Timeout > 0 {
		t := time.NewTimer(p.command.Timeout - time.Since(p.begin))
		defer t.Stop()
		timeout = t.C
	}
	cause := Exited
	select {
	case <-p.ended:
	case <-timeout:
		cause = TimedOut
	case <-p.stop:
		cause = Cancelled
	case <-ctx.Done():
		cause = Cancelled
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			cause = TimedOut
		}
	}
	gone := true
	switch {
	case cause != Exited:
		gone = p.terminate()
	case !p.command.Leave:
		gone = p.sweep()
	}
	p.finish(cause, gone)
}

// finish publishes the result and reaps the process.
func (p *Process) finish(cause State, gone bool) {
	r := Result{State: cause, Stuck: !gone}
	ended := p.isEnded()
	if ended {
		r = p.reap(r)
	}
	r.Took = time.Since(p.begin)
	r.Output, r.Dropped = p.output.drain(p.command.Leave && cause == Exited)
	p.result = r
	close(p.done)
	if !ended {
		<-p.ended // may take for ever; nobody waits for it but us
		p.reap(r)
	}
	p.group.remove()
}

func (p *Process) isEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// reap takes the exit status of the process, which has ended. From here on its
// number may belong to anybody, so this comes after everything that signals.
func (p *Process) reap(r Result) Result {
	var status unix.WaitStatus
	_, err := unix.Wait4(p.id.PID, &status, 0, nil)
	for errors.Is(err, unix.EINTR) {
		_, err = unix.Wait4(p.id.PID, &status, 0, nil)
	}
	switch {
	case r.State != Exited:
	case err != nil:
		r.State, r.Err = CouldNotStart, fmt.Errorf("its exit status is lost: %w", err)
	case status.Signaled():
		r.State, r.Signal = Signalled, status.Signal()
	default:
		r.Code = status.ExitStatus()
	}
	return r
}
