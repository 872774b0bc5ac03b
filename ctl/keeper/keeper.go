// Package keeper is how the daemon speaks to shisa-keeper, the small real-time
// process that holds the countdowns. What the keeper does is in ctl/keeper/guard;
// the two share only ctl/keeper/wire, so that the keeper stays small.
package keeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"shisa/ctl/keeper/wire"
)

// Names of the protocol that callers need.
type (
	Guard  = wire.Guard
	Orders = wire.Orders
	Status = wire.Status
	Engine = wire.Engine
	State  = wire.State
)

// Socket is where the keeper listens unless told otherwise.
const Socket = wire.Socket

// ErrAbsent says that no keeper answers.
var ErrAbsent = errors.New("shisa-keeper does not answer")

// ErrRefused says that the keeper answered, and did not do what was asked, or
// only in part: see the status.
var ErrRefused = errors.New("refused")

// Timeout is how long an answer is waited for when the context has no deadline:
// longer than a BMC takes to answer a command or to time out.
const Timeout = 15 * time.Second

// A Client speaks to the keeper. It holds no connection, so that a keeper that
// comes back needs nothing from it. The zero Client uses [Socket].
type Client struct {
	Socket string
}

// Status asks for the status.
func (c Client) Status(ctx context.Context) (Status, error) {
	return c.do(ctx, wire.Request{Verb: wire.Hello})
}

// Attach says that this process is the daemon: its end counts as absence.
func (c Client) Attach(ctx context.Context) (Status, error) {
	return c.do(ctx, wire.Request{Verb: wire.Hello, Attach: true})
}

// Arm has the keeper guard as ordered from what is armed now on, and attaches
// this process. An engine that is armed already is re-armed in place; one that
// is not ordered any more is disarmed. When some engines could not be armed the
// error wraps [ErrRefused], the others are armed, and the status tells each.
func (c Client) Arm(ctx context.Context, o Orders) (Status, error) {
	return c.do(ctx, wire.Request{Verb: wire.Arm, Attach: true, Orders: o})
}

// Disarm stops all countdowns on purpose; the keeper then only measures.
func (c Client) Disarm(ctx context.Context, reason string) (Status, error) {
	return c.do(ctx, wire.Request{Verb: wire.Disarm, Reason: reason})
}

// Shutdown re-arms as ordered for a shutdown: the countdown runs without pings
// until the machine is down, whatever becomes of the daemon and the keeper.
func (c Client) Shutdown(ctx context.Context, o Orders) (Status, error) {
	return c.do(ctx, wire.Request{Verb: wire.Shutdown, Orders: o})
}

// Stop ends the keeper. It refuses while a countdown is armed.
func (c Client) Stop(ctx context.Context, reason string) (Status, error) {
	return c.do(ctx, wire.Request{Verb: wire.Stop, Reason: reason})
}

// Upgrade has the keeper go on as program (empty: its own file anew) without
// letting go of any countdown, and returns the status of the new image.
func (c Client) Upgrade(ctx context.Context, program string) (Status, error) {
	s, err := c.do(ctx, wire.Request{Verb: wire.Upgrade, Program: program})
	if !errors.Is(err, io.EOF) {
		return s, err
	}
	return c.Status(ctx) // the connection ended with the old image
}

// replies has room for replies: every few seconds a new one would be most of the daemon's garbage.
var replies = sync.Pool{New: func() any { return new([wire.MaxMessage]byte) }}

func (c Client) do(ctx context.Context, r wire.Request) (Status, error) {
	fail := func(err error) (Status, error) {
		return Status{}, fmt.Errorf("%s: %w: %w", r.Verb, ErrAbsent, err)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, Timeout)
		defer cancel()
	}
	path := c.Socket
	if path == "" {
		path = Socket
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unixpacket", path)
	if err != nil {
		return fail(err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	out, err := r.Encode()
	if err != nil {
		return Status{}, fmt.Errorf("%s: %w", r.Verb, err)
	}
	if _, err := conn.Write(out); err != nil {
		return fail(err)
	}
	in := replies.Get().(*[wire.MaxMessage]byte)
	defer replies.Put(in)
	n, err := receive(conn, in[:])
	if err != nil {
		return fail(err)
	}
	var reply wire.Reply
	if err := reply.Decode(in[:n]); err != nil {
		return Status{}, fmt.Errorf("%s: %w", r.Verb, err)
	}
	if reply.Error != "" {
		return reply.Status, fmt.Errorf("%s: %w: %s", r.Verb, ErrRefused, reply.Error)
	}
	return reply.Status, nil
}

// receive reads one packet. An end may be told although a packet was sent before it: the
// kernel looks for a packet, then whether the other side has closed, and both may come in
// between (net/unix/af_unix.c, unix_dgram_recvmsg). So an end is believed the second time.
func receive(conn io.Reader, in []byte) (n int, err error) {
	for range 2 {
		if n, err = conn.Read(in); n > 0 || err != nil && err != io.EOF {
			return n, err
		}
	}
	return 0, io.EOF
}

// Spawn starts program as a keeper at socket in a session of its own, so that
// neither the end of this process nor a signal to its group reaches it, and
// waits until it answers. It is for machines without systemd, which would
// otherwise run it.
func Spawn(ctx context.Context, program, socket string) (Status, error) {
	child, err := os.StartProcess(program, []string{"shisa-keeper", "run", "--socket", socket}, detached())
	if err != nil {
		return Status{}, fmt.Errorf("start shisa-keeper: %w", err)
	}
	ended := make(chan error, 1)
	go func() { // ends with the keeper or with this process
		state, err := child.Wait()
		if err == nil {
			err = fmt.Errorf("it ended at once: %s", state)
		}
		ended <- err
	}()
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	for {
		s, err := Client{Socket: socket}.Status(ctx)
		if err == nil {
			return s, nil
		}
		select {
		case err := <-ended:
			return Status{}, fmt.Errorf("start shisa-keeper: %w", err)
		case <-ctx.Done():
			return Status{}, fmt.Errorf("start shisa-keeper: %w", err)
		case <-time.After(2 * time.Millisecond):
		}
	}
}
