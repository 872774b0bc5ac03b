package api

import (
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"
)

func TestGateCounts(t *testing.T) {
	g := newGate(nil)
	fill := func(uid, want int) {
		t.Helper()
		n := 0
		for g.enter(uid) {
			n++
		}
		if n != want {
			t.Errorf("user %d: %d connections, want %d", uid, n, want)
		}
	}
	fill(1000, userConns)
	fill(1001, userConns)
	fill(-1, userConns) // those whom the kernel does not vouch for count as one
	fill(1002, strangerConns-3*userConns)
	fill(1003, 0)
	fill(0, rootConns) // whatever others have
	for range userConns {
		g.leave(1000)
	}
	fill(1003, userConns)
	if g.strangers != strangerConns || g.by[1000] != 0 {
		t.Errorf("%d strangers, %v", g.strangers, g.by)
	}
}

// A connection is counted once, however often it is closed.
func TestGateLetsInAgain(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	g := newGate(l)
	g.by[0], g.by[peerUID(t, l)] = rootConns, rootConns // full, for whoever runs this test, but it is the daemon itself
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			c, err := g.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	select {
	case v := <-accepted:
		if v.Close() != nil || v.Close() == nil {
			t.Error("a visit closes once")
		}
	case <-time.After(10 * time.Second):
		t.Error("the daemon itself was not let in")
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read: %v", err)
	}
}

// peerUID is the user that connections of this process come from.
func peerUID(t *testing.T, l net.Listener) int {
	t.Helper()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	return peer(a).UID
}
