package tcp

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/monitor/monitortest"
)

func TestType(t *testing.T) {
	silent := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	banner := listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "220 wel"); _, _ = io.WriteString(c, "come\r\n") })
	echo := listen(t, func(c net.Conn) { _, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}) }) // without splice(2), which keeps pipes
	flood := listen(t, func(c net.Conn) {
		for junk := strings.Repeat("x", 4096); ; {
			if _, err := io.WriteString(c, junk); err != nil {
				return
			}
		}
	})
	monitortest.Run(t, Type, []monitortest.Case{
		{Name: "open port", Params: map[string]any{"port": silent}, Want: monitor.OK, Detail: "answers in"},
		{Name: "closed port", Params: map[string]any{"port": 1}, Want: monitor.Failed, Detail: "refused"},
		{Name: "expected text", Params: map[string]any{"port": banner, "expect": "welcome"}, Want: monitor.OK},
		{Name: "question and answer", Params: map[string]any{"port": echo, "send": "PING\r\n", "expect": "PING"}, Want: monitor.OK},
		{Name: "unexpected text", Params: map[string]any{"port": banner, "expect": "goodbye"}, Want: monitor.Failed, Detail: "without the expected text"},
		{Name: "endless answer", Params: map[string]any{"port": flood, "expect": "y"}, Want: monitor.Failed, Detail: "do not contain"},
		{Name: "silent port", Params: map[string]any{"port": silent, "expect": "hello"}, TimedOut: true, Timeout: 100 * time.Millisecond},
		{Name: "no port", Params: map[string]any{}, WantErr: "port: required"},
		{Name: "port too large", Params: map[string]any{"port": 70000}, WantErr: "port: 70000 is outside 1 to 65535"},
		{Name: "typo", Params: map[string]any{"port": 1, "hots": "x"}, WantErr: "hots: no such key"},
	})
}

// listen serves connections on the loopback until the test ends.
func listen(t *testing.T, serve func(net.Conn)) (port int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); serve(c) }()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}
