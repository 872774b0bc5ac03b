package api

import (
	"fmt"
	"maps"
	"net"
	"os"
	"sync"
	"time"
)

// Connections at one time. Anybody on the machine may connect, so that who may not
// do something can be told so; but nobody may take all descriptors of the daemon, or
// keep it from proving its own progress through this very door.
const (
	rootConns     = 256
	userConns     = 16 // of one other user
	strangerConns = 64 // of all other users
)

// A gate lets in as many connections as each user may have and closes the others
// at once.
type gate struct {
	net.Listener

	mu        sync.Mutex
	by        map[int]int // user → connections
	strangers int
}

func newGate(l net.Listener) *gate { return &gate{Listener: l, by: map[int]int{}} }

// Accept returns the next connection that may stay.
func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		who := peer(c)
		if who.known && who.PID == os.Getpid() {
			return &visit{c, who, func() {}}, nil
		}
		if g.enter(who.UID) {
			return &visit{c, who, sync.OnceFunc(func() { g.leave(who.UID) })}, nil
		}
		c.Close() //nolint:errcheck // nothing was said on it
	}
}

func (g *gate) enter(uid int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch n := g.by[uid]; {
	case uid == 0 && n >= rootConns, uid != 0 && (n >= userConns || g.strangers >= strangerConns):
		return false
	}
	g.by[uid]++
	if uid != 0 {
		g.strangers++
	}
	return true
}

func (g *gate) leave(uid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.by[uid]--; g.by[uid] == 0 {
		delete(g.by, uid)
	}
	if uid != 0 {
		g.strangers--
	}
}

// A visit is a connection that is counted until it is closed.
type visit struct {
	net.Conn
	who   Caller
	leave func()
}

// Close closes the connection and counts it no more.
func (v *visit) Close() error {
	defer v.leave()
	return v.Conn.Close()
}

// refusalEvery is how often the refused requests of one user are reported. Anybody
// on the machine may ask for what is not allowed, as often as he likes; he must not
// push what others did out of the history by that.
const refusalEvery = time.Minute

// refusals remembers who was reported a short time ago. The zero refusals has
// reported nobody.
type refusals struct {
	mu sync.Mutex
	by map[int]*refusal // user →
}

type refusal struct {
	at    time.Time // of the last report
	since int       // refused without a report since then
}

// report returns what to call a request of uid that was refused now, and false
// when it is not to be reported.
func (r *refusals) report(uid int, request string, now time.Time) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.by[uid]
	if before != nil && now.Sub(before.at) < refusalEvery {
		before.since++
		return "", false
	}
	maps.DeleteFunc(r.by, func(_ int, old *refusal) bool {
		return old != before && now.Sub(old.at) >= refusalEvery && old.since == 0
	})
	if r.by == nil {
		r.by = map[int]*refusal{}
	}
	r.by[uid] = &refusal{at: now}
	if before != nil && before.since > 0 {
		request += fmt.Sprintf(" (and %d more since the last report)", before.since)
	}
	return request, true
}
