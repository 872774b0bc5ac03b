package main

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// A chronicle is what the kernel says of every process of the machine, on its own
// clock: when it began to run its first program, and when it ended. That is through
// the process connector (drivers/connector/cn_proc.c), which needs root.
type chronicle struct {
	conn *netlink.Conn

	mu    sync.Mutex
	execs map[int]time.Duration // by pid
	exits map[int]time.Duration
}

// uapi/linux/connector.h and uapi/linux/cn_proc.h.
const (
	procIndex   = 1 // CN_IDX_PROC, and CN_VAL_PROC
	procListen  = 1 // PROC_CN_MCAST_LISTEN
	procExec    = 0x00000002
	procExit    = 0x80000000
	procHeader  = 20 // struct cn_msg
	procBuffer  = 16 << 20
	procMinimum = procHeader + 24
)

// chronicler begins to listen.
func chronicler() (*chronicle, error) {
	conn, err := netlink.Dial(unix.NETLINK_CONNECTOR, &netlink.Config{Groups: procIndex})
	if err != nil {
		return nil, fmt.Errorf("listen to the process connector: %w", err)
	}
	request := binary.NativeEndian.AppendUint32(nil, procIndex)
	request = binary.NativeEndian.AppendUint32(request, procIndex)
	request = binary.NativeEndian.AppendUint64(request, 0) // seq, ack
	request = binary.NativeEndian.AppendUint32(request, 4) // length of what follows, and no flags
	request = binary.NativeEndian.AppendUint32(request, procListen)
	if err = conn.SetReadBuffer(procBuffer); err == nil {
		_, err = conn.Send(netlink.Message{Header: netlink.Header{Type: netlink.Done}, Data: request})
	}
	if err != nil {
		return nil, fmt.Errorf("listen to the process connector: %w", err)
	}
	c := &chronicle{conn: conn, execs: map[int]time.Duration{}, exits: map[int]time.Duration{}}
	go c.listen()
	return c, nil
}

func (c *chronicle) close() error { return c.conn.Close() }

// listen ends when the connection is closed. What is lost on the way is a sample less.
func (c *chronicle) listen() {
	for {
		messages, err := c.conn.Receive()
		if err != nil {
			return
		}
		c.mu.Lock()
		for _, m := range messages {
			if len(m.Data) < procMinimum {
				continue
			}
			event := m.Data[procHeader:] // what, cpu, timestamp; then pid and tgid of whom it is about
			what, at := binary.NativeEndian.Uint32(event), time.Duration(binary.NativeEndian.Uint64(event[8:]))
			thread, pid := int(binary.NativeEndian.Uint32(event[16:])), int(binary.NativeEndian.Uint32(event[20:]))
			switch _, known := c.execs[pid]; {
			case what == procExec && !known:
				c.execs[pid] = at
			case what == procExit && thread == pid:
				c.exits[pid] = at
			}
		}
		c.mu.Unlock()
	}
}

// between returns how long after the end of one process another began to run its
// program; false: the kernel told nothing of one of them.
func (c *chronicle) between(dead, born int) (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	end, ended := c.exits[dead]
	begin, began := c.execs[born]
	return begin - end, ended && began
}
