package message

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// ReceiverArg is the first argument with which shisad starts itself as a
// receiver of traps; the sources that may be heard follow.
const ReceiverArg = "receive-traps"

// receiverName is what the process is called: the name that execve(2) gives it, "exe",
// would tell an operator, and our doctor, nothing (proc(5), comm).
const receiverName = "shisa-traps"

// What a receiver passes on at most: a flood ends here, and one sender does not
// crowd out another. All that does not come from a known source is dropped
// before it counts.
const (
	burstOfSource = 20              // traps that one source may send at once
	pauseOfSource = 2 * time.Second // for one more of it
	burstOfAll    = 200             // of all sources together
	pauseOfAll    = 20 * time.Millisecond
	sourcesKept   = 256 // sources that are told apart; a further one replaces the one longest silent
)

// packetLimit bounds a trap in bytes: RFC 3417 asks for 484, a BMC sends less
// than 200.
const packetLimit = 8192

// Receive is the process that reads traps from the port that comes with its
// orders on in, and writes what they say to out, one JSON object a line, until
// it is killed. It returns the exit status.
func Receive(args []string, in *os.File, out, errOut io.Writer) int {
	sources, err := parsePrefixes(args)
	if err != nil {
		fmt.Fprintln(errOut, err)
		return 2
	}
	_ = os.WriteFile("/proc/self/comm", []byte(receiverName), 0) // it helps people only
	confine()
	conn, users, err := orders(in)
	if err != nil {
		fmt.Fprintln(errOut, err)
		return 1
	}
	defer conn.Close()
	go untilAlone(out, conn)
	r := newReceiver(sources, users)
	buf := make([]byte, packetLimit+1)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			fmt.Fprintln(errOut, err)
			return 1
		}
		if t, ok := r.take(buf[:n], from.Addr().Unmap().WithZone(""), time.Now()); ok {
			line, err := json.Marshal(t)
			if err != nil {
				continue
			}
			if _, err := out.Write(append(line, '\n')); err != nil {
				return 1 // nobody wants to know any more
			}
		}
	}
}

// confine gives up what a receiver does not need. It is a second fence behind
// the user that it runs as, so what cannot be given up is no reason to stop.
func confine() {
	_ = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	for resource, limit := range map[int]uint64{unix.RLIMIT_NOFILE: 16, unix.RLIMIT_FSIZE: 0, unix.RLIMIT_CORE: 0} {
		_ = unix.Setrlimit(resource, &unix.Rlimit{Cur: limit, Max: limit})
	}
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, 10)
}

// untilAlone closes conn, which ends the receiver, as soon as nobody reads out
// any more: the daemon is gone, and the next one will want the port.
func untilAlone(out io.Writer, conn net.PacketConn) {
	f, ok := out.(*os.File)
	if !ok {
		return
	}
	fds := []unix.PollFd{{Fd: int32(f.Fd())}} // errors are always told: poll(2)
	for fds[0].Revents == 0 {
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
	conn.Close()
}

func parsePrefixes(texts []string) (all []netip.Prefix, err error) {
	for _, text := range texts {
		n, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

// A receiver decides what to pass on.
type receiver struct {
	sources []netip.Prefix
	users   []user
	clocks  clocks
	all     bucket
	of      map[netip.Addr]*bucket
}

func newReceiver(sources []netip.Prefix, users []user) *receiver {
	return &receiver{sources: sources, users: users, clocks: clocks{},
		all: bucket{burst: burstOfAll, pause: pauseOfAll}, of: map[netip.Addr]*bucket{}}
}

// take returns what a packet says if it is to be passed on.
func (r *receiver) take(packet []byte, from netip.Addr, now time.Time) (t trap, ok bool) {
	if len(packet) > packetLimit || !slices.ContainsFunc(r.sources, func(n netip.Prefix) bool { return n.Contains(from) }) {
		return trap{}, false
	}
	if !r.source(from, now).take(now) || !r.all.take(now) {
		return trap{}, false
	}
	defer func() {
		if recover() != nil { // a foreign parser met a hostile packet: that is one packet less
			ok = false
		}
	}()
	t, err := r.parse(packet, now)
	t.From = from
	return t, err == nil
}

// parse takes a packet apart that one of the users, or somebody with a
// community, has sent.
func (r *receiver) parse(packet []byte, now time.Time) (trap, error) {
	for _, u := range r.users {
		p, at, err := u.open(packet)
		if err != nil {
			continue
		}
		if !r.clocks.timely(at, now) {
			return trap{}, errors.New("it is a repetition of an old trap")
		}
		return decode(trap{User: u.id()}, p)
	}
	return parse(packet)
}

func (r *receiver) source(from netip.Addr, now time.Time) *bucket {
	if b := r.of[from]; b != nil {
		return b
	}
	if len(r.of) >= sourcesKept {
		var oldest netip.Addr
		for a, b := range r.of {
			if !oldest.IsValid() || b.last.Before(r.of[oldest].last) {
				oldest = a
			}
		}
		delete(r.of, oldest)
	}
	b := &bucket{burst: burstOfSource, pause: pauseOfSource}
	r.of[from] = b
	return b
}

// A bucket allows burst things at once and one more each pause.
type bucket struct {
	burst int
	pause time.Duration
	used  int
	last  time.Time // of the last refill
}

func (b *bucket) take(now time.Time) bool {
	if back := int(now.Sub(b.last) / b.pause); back > 0 {
		b.used = max(0, b.used-back)
		b.last = b.last.Add(time.Duration(back) * b.pause)
		if b.used == 0 {
			b.last = now
		}
	}
	if b.used >= b.burst {
		return false
	}
	b.used++
	return true
}
