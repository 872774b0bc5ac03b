package api_test

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"shisa/ctl/api/apitest"
	"shisa/ctl/client"
)

// TestFix050ClientsLeakNothing: clients that come in crowds, say nothing, break
// off or are refused cost no descriptor once they are gone.
func TestFix050ClientsLeakNothing(t *testing.T) {
	socket, _ := serve(t, &apitest.Fake{})
	c := client.New(socket)
	defer c.Close()
	descriptors := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	settled := func(limit int) int {
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			if n := descriptors(); n <= limit || time.Now().After(deadline) {
				return n
			}
		}
	}
	const crowd = 100 // more than are let in
	round := func() {
		var conns []net.Conn
		for i := range crowd {
			conn, err := net.Dial("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			if conns = append(conns, conn); i%2 == 0 {
				_, _ = conn.Write([]byte("GET /v1/sta")) // one that was refused may be closed already
			}
		}
		for _, conn := range conns {
			conn.Close()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for {
			if _, err := c.Status(ctx); err == nil {
				break
			} else if ctx.Err() != nil {
				t.Fatal(err)
			}
		}
		c.Close()
	}
	round()
	before := settled(descriptors()) // whatever is open for good
	for range 5 {
		round()
	}
	if after := settled(before); after > before {
		t.Errorf("%d descriptors are open, %d before", after, before)
	}
}
