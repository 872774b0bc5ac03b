package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"

	"shisa/ci/vm/wire"
)

// A link is the host's side of the line protocol with the guest's init.
type link struct {
	w      io.Writer
	events *eventLog

	mu    sync.Mutex
	boot  string        // guarded by mu: of the guest that is ready now
	next  int           // guarded by mu
	procs map[int]*Proc // guarded by mu: commands without an exit message yet
	ended bool          // guarded by mu
}

func newLink(w io.Writer, events *eventLog) *link {
	return &link{w: w, events: events, procs: map[int]*Proc{}}
}

// read reads the guest's messages until QEMU ends.
func (l *link) read(r io.Reader) {
	lines := wire.Lines(r)
	for lines.Scan() {
		if m, err := wire.Decode[wire.Message](lines.Bytes()); err == nil {
			l.message(m, time.Now())
		} // else a line that a reset cut
	}
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.abort(ErrEnded)
}

func (l *link) message(m wire.Message, now time.Time) {
	switch m.Kind {
	case wire.Ready:
		l.abort(ErrReset) // who still waits asked an earlier boot
		l.mu.Lock()
		l.boot = m.Boot
		l.mu.Unlock()
		l.events.add(Event{Time: now, Kind: KindReady, Text: m.Text})
	case wire.Mark:
		l.events.add(Event{Time: now, Kind: KindMark, Text: m.Text})
	case wire.Out, wire.Err, wire.Exit:
		l.mu.Lock()
		p := l.procs[m.ID]
		if m.Kind == wire.Exit {
			delete(l.procs, m.ID)
		}
		l.mu.Unlock()
		if p != nil {
			p.message(m)
		}
	}
}

// abort ends all commands under way.
func (l *link) abort(err error) {
	l.mu.Lock()
	procs := l.procs
	l.procs = map[int]*Proc{}
	l.mu.Unlock()
	for _, p := range procs {
		p.end(Result{}, err)
	}
}

// send sends a command; its answers go to the Proc that is returned.
func (l *link) send(c wire.Command) (*Proc, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return nil, ErrEnded
	}
	l.next++
	p := &Proc{id: l.next, link: l, done: make(chan struct{}), started: make(chan struct{})}
	c.ID, c.Boot = l.next, l.boot
	l.procs[p.id] = p
	if err := wire.Write(l.w, c); err != nil {
		delete(l.procs, p.id)
		return nil, err
	}
	return p, nil
}

// A Result is what a command in the guest printed and how it ended.
type Result struct {
	Stdout, Stderr string
	Exit           int // 128+n: signal n
}

// maxOutput bounds what is kept of one command's output, in bytes.
const maxOutput = 4 << 20

// A Proc is a command that runs in the guest.
type Proc struct {
	id   int
	link *link

	mu      sync.Mutex
	pid     int           // guarded by mu
	out     []byte        // guarded by mu
	errOut  []byte        // guarded by mu
	result  Result        // guarded by mu until done is closed
	err     error         // guarded by mu until done is closed
	started chan struct{} // closed when the pid is known or the command is done
	done    chan struct{} // closed when the command is done
}

func (p *Proc) message(m wire.Message) {
	p.mu.Lock()
	switch {
	case m.Kind == wire.Out && m.PID != 0:
		p.pid = m.PID
		close(p.started)
	case m.Kind == wire.Out && len(p.out) < maxOutput:
		p.out = append(p.out, m.Data...)
	case m.Kind == wire.Err && len(p.errOut) < maxOutput:
		p.errOut = append(p.errOut, m.Data...)
	}
	p.mu.Unlock()
	if m.Kind != wire.Exit {
		return
	}
	var err error
	if m.Error != "" {
		err = errors.New(m.Error)
	}
	p.end(Result{Exit: m.Exit}, err)
}

func (p *Proc) end(r Result, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.Stdout, r.Stderr = string(p.out), string(p.errOut)
	p.result, p.err = r, err
	if p.pid == 0 {
		close(p.started)
	}
	close(p.done)
}

// Wait waits for the command's end. A command that ran and failed is not an error:
// see Result.Exit. The error wraps ErrReset or ErrEnded when the guest went away.
func (p *Proc) Wait(ctx context.Context) (Result, error) {
	select {
	case <-p.done:
		return p.result, p.err
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

// PID waits until the command has been started and returns its process in the
// guest, 0 if it could not be started.
func (p *Proc) PID(ctx context.Context) (int, error) {
	select {
	case <-p.started:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.pid, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Output returns what the command has printed so far.
func (p *Proc) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.out)
}

// Signal sends a signal to the command's process.
func (p *Proc) Signal(ctx context.Context, sig syscall.Signal) error {
	_, err := p.link.call(ctx, wire.Command{Op: wire.OpKill, Target: p.id, Signal: int(sig)})
	return err
}

// call sends a command and waits for its end.
func (l *link) call(ctx context.Context, c wire.Command) (Result, error) {
	p, err := l.send(c)
	if err != nil {
		return Result{}, fmt.Errorf("%s in the guest: %w", c.Op, err)
	}
	r, err := p.Wait(ctx)
	if err != nil {
		return r, fmt.Errorf("%s in the guest: %w", c.Op, err)
	}
	return r, nil
}

// Go starts a command in the guest and returns at once.
func (g *Guest) Go(argv ...string) (*Proc, error) {
	return g.link.send(wire.Command{Op: wire.OpStart, Argv: argv})
}

// Run runs a command in the guest to its end. That it failed is in Result.Exit,
// not in the error.
func (g *Guest) Run(ctx context.Context, argv ...string) (Result, error) {
	r, err := g.link.call(ctx, wire.Command{Op: wire.OpStart, Argv: argv})
	if err != nil {
		return r, fmt.Errorf("%v: %w", argv, err)
	}
	return r, nil
}

// Sh runs a shell command and returns its standard output; a state other than 0 is
// an error with what it printed.
func (g *Guest) Sh(ctx context.Context, script string) (string, error) {
	r, err := g.Run(ctx, "sh", "-c", script)
	if err == nil && r.Exit != 0 {
		err = fmt.Errorf("%q in the guest: exit state %d\n%s%s", script, r.Exit, r.Stdout, r.Stderr)
	}
	return r.Stdout, err
}

// WriteFile writes a file in the guest, of any size.
func (g *Guest) WriteFile(ctx context.Context, path string, data []byte) error {
	for first := true; first || len(data) > 0; first = false {
		n := min(len(data), wire.ChunkSize)
		c := wire.Command{Op: wire.OpWrite, Path: path, Data: data[:n], Append: !first}
		if _, err := g.link.call(ctx, c); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// ReadFile returns a file of the guest, at most 4 MiB of it.
func (g *Guest) ReadFile(ctx context.Context, path string) ([]byte, error) {
	r, err := g.link.call(ctx, wire.Command{Op: wire.OpRead, Path: path})
	return []byte(r.Stdout), err
}

// PowerOff turns the guest off at once, without stopping anything, and waits until
// QEMU has ended.
func (g *Guest) PowerOff(ctx context.Context) error {
	if _, err := g.link.send(wire.Command{Op: wire.OpHalt}); err != nil {
		return err
	}
	_, err := g.events.wait(ctx, func(e Event) bool { return e.Kind == KindExit })
	return err
}
