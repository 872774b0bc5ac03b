// Package tcp declares the TCP monitor.
package tcp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode"

	"shisa/ctl/monitor"
	"shisa/ctl/param"
)

// AnswerLimit is how many bytes of the answer are read in search of the
// expected text.
const AnswerLimit = 64 << 10

type params struct {
	host   string
	port   int
	send   string
	expect string
}

// Type opens a TCP connection, and may hold a short conversation on it.
var Type = monitor.Define(monitor.Spec[params]{
	Name:  "tcp",
	Title: "TCP port",
	Doc: "Opens a TCP connection to a port. A connection that is refused, or closed before the expected text has come, " +
		"is a failure; one that is not answered within the timeout times out.\n\n" +
		"With `send` it sends a text first, and with `expect` it reads until the answer contains that text. " +
		"A connection that the monitor has finished with is closed at once.",
	Timing: monitor.Timing{Interval: 30 * time.Second, Timeout: 10 * time.Second, Retry: 1},
	Params: func(p *params, s *param.Set) {
		s.String(&p.host, "host", "127.0.0.1", "Address or name to connect to.").Check(func() error {
			if p.host == "" || strings.ContainsFunc(p.host, unicode.IsSpace) {
				return fmt.Errorf("%q is neither an address nor a name", p.host)
			}
			return nil
		})
		s.Int(&p.port, "port", 0, 1, 65535, "", "TCP port.").Required()
		s.String(&p.send, "send", "", "Text to send after connecting; write line ends as \\r\\n.")
		s.String(&p.expect, "expect", "", "Text that the answer must contain.").
			Check(func() error {
				if len(p.expect) > AnswerLimit {
					return fmt.Errorf("must be shorter than %d bytes", AnswerLimit)
				}
				return nil
			})
	},
	Example: map[string]any{"port": 5432},
	New: func(p params, _ monitor.Env) (monitor.Prober, error) {
		return prober{params: p, addr: net.JoinHostPort(p.host, strconv.Itoa(p.port))}, nil
	},
})

type prober struct {
	params
	addr string
}

// dialer sends no signs of life: a probe is over long before the first would be
// due.
var dialer = net.Dialer{KeepAlive: -1}

// Probe implements monitor.Prober.
func (p prober) Probe(ctx context.Context) (monitor.Finding, error) {
	begin := time.Now()
	c, err := dialer.DialContext(ctx, "tcp", p.addr)
	if err != nil {
		return monitor.Blame(ctx, err)
	}
	defer c.Close()
	// A cancelled context ends the conversation, too.
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	connected := time.Since(begin)
	monitor.Logf(ctx, "connected to %s in %v", c.RemoteAddr(), connected)
	if err := p.talk(ctx, c); err != nil {
		return monitor.Blame(ctx, err)
	}
	return monitor.Finding{Detail: fmt.Sprintf("%s answers in %v", p.addr, connected.Round(time.Microsecond))}, nil
}

func (p prober) talk(ctx context.Context, c net.Conn) error {
	if _, err := io.WriteString(c, p.send); err != nil {
		return err
	}
	if p.expect == "" {
		return nil
	}
	buf := make([]byte, AnswerLimit)
	n := 0
	for n < len(buf) {
		m, err := c.Read(buf[n:])
		n += m
		if bytes.Contains(buf[:n], []byte(p.expect)) {
			monitor.Logf(ctx, "the expected text came within %d bytes", n)
			return nil
		}
		if err != nil {
			monitor.Logf(ctx, "read %d bytes: %.200q", n, buf[:n])
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("%s closed the connection after %d bytes without the expected text", p.addr, n)
			}
			return err
		}
	}
	return fmt.Errorf("the first %d bytes do not contain the expected text", AnswerLimit)
}
