package exits

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"shisa/bpf/trial"
)

// Connector is the kernel's process connector (drivers/connector/cn_proc.c): a
// netlink message for each fork, exec and exit. It knows no start times, so we
// note each at the fork; a process born before Watch is noted then. It needs
// CAP_NET_ADMIN and a kernel with CONFIG_PROC_EVENTS.
type Connector struct {
	conn *netlink.Conn
	lost atomic.Uint64
}

// The protocol: uapi/linux/connector.h and uapi/linux/cn_proc.h.
const (
	procIndex, procValue = 1, 1 // CN_IDX_PROC, CN_VAL_PROC

	listen = 1 // PROC_CN_MCAST_LISTEN

	eventNone = 0
	eventFork = 0x00000001
	eventExit = 0x80000000

	headerBytes = 20 // struct cn_msg
	eventBytes  = 16 // what, cpu, timestamp
)

// connectorBytes is the socket's buffer: a fork and an exit are about 200
// bytes of it each with the kernel's own overhead of some 800.
const connectorBytes = 4 << 20

// Connect subscribes. It fails at once where the kernel has no connector, does
// not let us, or does not answer within a second.
func Connect() (*Connector, error) {
	if !trial.InitialPIDNamespace() {
		return nil, errNamespace
	}
	conn, err := netlink.Dial(unix.NETLINK_CONNECTOR, &netlink.Config{Groups: procIndex})
	if err != nil {
		return nil, fmt.Errorf("open the process connector: %w", err)
	}
	c := &Connector{conn: conn}
	if err := c.subscribe(); err != nil {
		return nil, errors.Join(fmt.Errorf("subscribe to the process connector: %w", err), conn.Close())
	}
	return c, nil
}

func (c *Connector) subscribe() error {
	if err := c.conn.SetReadBuffer(connectorBytes); err != nil {
		return err
	}
	request := binary.NativeEndian.AppendUint32(nil, procIndex)
	request = binary.NativeEndian.AppendUint32(request, procValue)
	request = binary.NativeEndian.AppendUint64(request, 0) // seq, ack
	request = binary.NativeEndian.AppendUint16(request, 4) // length of what follows
	request = binary.NativeEndian.AppendUint16(request, 0) // flags
	request = binary.NativeEndian.AppendUint32(request, listen)
	message := netlink.Message{Header: netlink.Header{Type: netlink.Done}, Data: request}
	if _, err := c.conn.Send(message); err != nil {
		return err
	}
	return c.acknowledged()
}

// acknowledged waits for the kernel's answer. Other events may come first.
func (c *Connector) acknowledged() error {
	if err := c.conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	for {
		messages, err := c.conn.Receive()
		if err != nil {
			return fmt.Errorf("the kernel does not answer: %w", err)
		}
		for _, m := range messages {
			event, ok := parseEvent(m.Data)
			if !ok || event.what != eventNone {
				continue
			}
			if event.code != 0 {
				return syscall.Errno(event.code)
			}
			return c.conn.SetReadDeadline(time.Time{})
		}
	}
}

// procEvent is what we read of struct proc_event.
type procEvent struct {
	what      uint32
	at        uint64 // CLOCK_MONOTONIC
	pid, tgid int    // of the child for a fork, of the thread otherwise
	parent    int    // of a fork
	code      uint32 // exit: wait status; none: errno of the request
}

func parseEvent(data []byte) (e procEvent, ok bool) {
	if len(data) < headerBytes+eventBytes+8 {
		return e, false
	}
	u32 := binary.NativeEndian.Uint32
	if u32(data) != procIndex || u32(data[4:]) != procValue {
		return e, false
	}
	data = data[headerBytes:]
	e.what, e.at = u32(data), binary.NativeEndian.Uint64(data[8:])
	data = data[eventBytes:]
	switch e.what {
	case eventNone:
		e.code = u32(data)
	case eventFork: // parent's pid and tgid, then the child's
		if len(data) < 16 {
			return e, false
		}
		e.parent = int(u32(data[4:]))
		data = data[8:]
		fallthrough
	case eventExit:
		e.pid, e.tgid = int(u32(data)), int(u32(data[4:]))
		if e.what == eventExit {
			if len(data) < 12 {
				return e, false
			}
			e.code = u32(data[8:])
		}
	}
	return e, true
}

// Name implements Source.
func (*Connector) Name() string { return "process connector" }

// Lost counts the times that the socket's buffer was full. Each time the table
// of processes is read again from /proc and the missed deaths are announced.
func (c *Connector) Lost() uint64 { return c.lost.Load() }

// Close ends the subscription; call it after Watch has returned.
func (c *Connector) Close() error { return c.conn.Close() }

// Watch implements Source.
func (c *Connector) Watch(ctx context.Context, handle func(Exit)) error {
	stop := context.AfterFunc(ctx, func() { c.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()

	table := newTable(handle)
	if err := table.reconcile(); err != nil {
		return err
	}
	for {
		messages, err := c.conn.Receive()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS):
			c.lost.Add(1)
			if err := table.reconcile(); err != nil {
				return err
			}
			continue
		case err != nil:
			return fmt.Errorf("read the process connector: %w", err)
		}
		for _, m := range messages {
			if event, ok := parseEvent(m.Data); ok {
				table.apply(event)
			}
		}
	}
}
