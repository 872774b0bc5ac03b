package message

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"shisa/ctl/run"
)

// A listener is one open port with the process that reads from it, for all
// monitors that await traps there.
type listener struct {
	address string
	conn    *net.UDPConn

	turn sync.Mutex // one check at a time

	mu       sync.Mutex
	takers   map[*prober]bool
	orders   asked        // that the receiver was started with
	receiver *run.Process // nil: none
	started  time.Time    // of receiver
	told     []string     // identities of the latest platform events, to know repeated ones
}

// listeners are those in use, by address.
var listeners = struct {
	mu sync.Mutex
	by map[string]*listener
}{by: map[string]*listener{}}

// tuneIn returns the listener at address, which from now on hands traps to p.
func tuneIn(address string, p *prober) (*listener, error) {
	listeners.mu.Lock()
	defer listeners.mu.Unlock()
	l := listeners.by[address]
	if l == nil {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return nil, fmt.Errorf("await traps: %w", err)
		}
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		if err != nil {
			return nil, fmt.Errorf("await traps: %w", err)
		}
		l = &listener{address: address, conn: conn, takers: map[*prober]bool{}}
		listeners.by[address] = l
	}
	l.mu.Lock()
	l.takers[p] = true
	l.mu.Unlock()
	return l, nil
}

// leave ends handing traps to p; the last one closes the port.
func (l *listener) leave(p *prober) error {
	listeners.mu.Lock()
	defer listeners.mu.Unlock()
	l.mu.Lock()
	delete(l.takers, p)
	last := len(l.takers) == 0
	l.mu.Unlock()
	if !last {
		return nil
	}
	delete(listeners.by, l.address)
	l.end()
	return l.conn.Close()
}

// restartGap is the least time between two starts of a receiver that has
// ended by itself.
const restartGap = 10 * time.Second

// check sees to it that the receiver runs, and for what is asked for now.
func (l *listener) check() error {
	l.turn.Lock()
	defer l.turn.Unlock()
	l.mu.Lock()
	running, started, orders, wanted := l.receiver, l.started, l.orders, l.wanted()
	l.mu.Unlock()
	if running != nil {
		select {
		case <-running.Done():
			if time.Since(started) < restartGap {
				return fmt.Errorf("the receiver of traps %v", running.Wait())
			}
		default:
			if orders.equal(wanted) {
				return nil
			}
			l.end()
		}
	}
	return l.start(wanted)
}

// asked is what monitors ask of a receiver.
type asked struct {
	sources []string
	users   []user
}

func (a asked) equal(b asked) bool {
	return slices.Equal(a.sources, b.sources) && slices.Equal(a.users, b.users)
}

// wanted is what all takers together ask for.
func (l *listener) wanted() (a asked) {
	for p := range l.takers {
		for _, n := range p.sources {
			a.sources = append(a.sources, n.String())
		}
		if p.user != (user{}) {
			a.users = append(a.users, p.user)
		}
	}
	slices.Sort(a.sources)
	a.sources = slices.Compact(a.sources)
	slices.SortFunc(a.users, func(x, y user) int { return strings.Compare(x.id(), y.id()) })
	a.users = slices.Compact(a.users)
	return a
}

// start starts the receiver.
func (l *listener) start(a asked) error {
	in, err := order(l.conn, a.users)
	if err != nil {
		return fmt.Errorf("await traps: %w", err)
	}
	defer in.Close()
	c := run.Command{
		Name: "receiver of traps", Path: "/proc/self/exe", Args: append([]string{ReceiverArg}, a.sources...), Input: in,
		Env:    append(run.BaseEnv(), "GOMAXPROCS=1", "GOMEMLIMIT=24MiB"),
		Output: &reports{listener: l},
	}
	if os.Geteuid() == 0 {
		c.User = nobody
	}
	p, err := run.Start(context.Background(), c)
	if err != nil {
		return fmt.Errorf("start the receiver of traps: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.receiver, l.orders, l.started = p, a, time.Now()
	return nil
}

// nobody is whom the receiver runs as: the number of the user without rights on
// every distribution.
const nobody = "65534"

// end ends the receiver.
func (l *listener) end() {
	l.mu.Lock()
	p := l.receiver
	l.receiver = nil
	l.mu.Unlock()
	if p != nil {
		p.Stop()
		p.Wait()
	}
}

// dispatch hands a trap to all takers, unless it is one that was repeated.
func (l *listener) dispatch(t trap) {
	const known = 32 // events; a BMC repeats one a few times within seconds
	l.mu.Lock()
	defer l.mu.Unlock()
	if id := t.From.String() + "/" + t.Event; t.Event != "" {
		if slices.Contains(l.told, id) {
			return
		}
		l.told = append(l.told, id)
		l.told = l.told[max(0, len(l.told)-known):]
	}
	for p := range l.takers {
		p.arrive(t)
	}
}

// reports takes the lines of a receiver. It trusts them as far as it must: that
// process has seen the network.
type reports struct {
	listener *listener
	part     []byte // of a line that has not ended
	skip     bool   // the line is too long
}

// reportLimit bounds a line in bytes.
const reportLimit = 4096

// Write implements io.Writer; it never fails.
func (r *reports) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		line, rest, ended := bytes.Cut(b, []byte{'\n'})
		if b = rest; len(r.part)+len(line) > reportLimit {
			r.skip = true
		} else {
			r.part = append(r.part, line...)
		}
		if ended {
			r.line()
		}
	}
	return n, nil
}

func (r *reports) line() {
	line, skip := r.part, r.skip
	r.part, r.skip = nil, false
	var t trap
	if skip || json.Unmarshal(line, &t) != nil || !t.From.IsValid() {
		return
	}
	t.At, t.Text = time.Now(), oneLine(t.Text)
	r.listener.dispatch(t)
}

// oneLine makes text fit to be shown.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	return strings.ToValidUTF8(text[:min(len(text), textLimit)], "")
}

func sameSecret(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
