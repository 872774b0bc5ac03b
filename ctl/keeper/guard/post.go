package guard

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/beat"
	"shisa/ctl/keepalive"
	"shisa/ctl/keeper/wire"
)

const (
	minPeriod = 100 * time.Millisecond
	maxPeriod = time.Second

	// tolerance is by how much the last allowed ping may be late: a real-time
	// thread that has asked to be woken at that instant is late by 10 ms at worst.
	tolerance = 50 * time.Millisecond
)

// States of an engine on the page.
const (
	cellNone = iota
	cellPinged
	cellWithheld
)

// A scene is what all threads of the keeper look at.
type scene struct {
	page    atomic.Pointer[beat.Page]
	fresh   atomic.Int64 // of a rule
	absence atomic.Int64
	absent  atomic.Bool
	mode    atomic.Int32
	fires   [maxEngines]atomic.Int64 // when each engine fires unless it is pinged before; 0: it is not armed
}

// maxEngines is how many engines one keeper holds: a primary and a backstop.
const maxEngines = 2

// firing returns when the first engine fires unless it is pinged before.
func (s *scene) firing() beat.Time {
	first := beat.Time(math.MaxInt64)
	for i := range s.fires {
		if at := beat.Time(s.fires[i].Load()); at > 0 {
			first = min(first, at)
		}
	}
	return first
}

// rule returns how beats are to be judged now.
func (s *scene) rule() rule {
	return rule{
		fresh:   time.Duration(s.fresh.Load()),
		absence: time.Duration(s.absence.Load()),
		absent:  s.absent.Load(),
	}
}

// survive runs f. If the page's file was cut short by somebody, touching the
// mapping raises SIGBUS; then an empty page takes its place, on which the
// daemon is missing from now on, and it has its limit to come back.
func (s *scene) survive(f func()) {
	page := s.page.Load()
	defer func() {
		if fault := recover(); fault != nil {
			if page.Intact() {
				panic(fault)
			}
			s.page.CompareAndSwap(page, beat.New(nil))
		}
	}()
	f()
}

// Modes of a scene.
const (
	judged int32 = iota // ping while the beats allow it
	always              // ping regardless: a countdown that cannot be stopped was to be stopped
	never               // do not ping: the machine is going down
)

// A post is one engine with the thread that pings it. Nobody else pings, so a
// BMC that takes seconds to answer delays nothing but itself.
type post struct {
	index int // on the page
	scene *scene
	info  keepalive.Info

	mu      sync.Mutex // held while the engine is used
	engine  keepalive.Engine
	guard   wire.Guard
	granted keepalive.Granted
	hold    beat.Time // in mode never: ping until then all the same
	armed   atomic.Bool

	shown   atomic.Pointer[wire.Engine] // for the status, which never waits for mu
	failure atomic.Pointer[string]      // of the last use of the engine

	gaps gaps
	last beat.Time // of the last successful ping
	late atomic.Int64

	ended atomic.Bool
	done  chan struct{} // closed when the thread has ended; nil: none was started
}

// period returns the distance between two rounds of a thread that serves a
// countdown of timeout.
func period(timeout time.Duration) time.Duration {
	return min(max(timeout/4, minPeriod), maxPeriod)
}

// start runs the thread.
func (p *post) start() {
	p.done = make(chan struct{})
	go p.run()
}

// stop ends the thread after its present round; it does not touch the engine.
func (p *post) stop() {
	p.ended.Store(true)
}

func (p *post) run() {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	debug.SetPanicOnFault(true)
	defer close(p.done)
	for !p.ended.Load() {
		wake := beat.Now().Add(minPeriod)
		p.scene.survive(func() { wake = p.round(beat.Now) })
		sleepUntil(wake)
		woken := beat.Now()
		p.gaps.note(wake, woken)
		if late := int64(woken.Sub(wake)); late > p.late.Load() {
			p.late.Store(late)
		}
	}
}

// round pings if it must and may, and returns when to look again.
func (p *post) round(clock func() beat.Time) beat.Time {
	now := clock()
	p.mu.Lock()
	defer p.mu.Unlock()
	timeout, cell := p.granted.Timeout, p.scene.page.Load().Engine(p.index)
	next := now.Add(period(timeout))
	if !p.armed.Load() || p.ended.Load() {
		return next
	}
	due := p.last.Add(p.every())
	until := p.until(now)
	if now <= until.Add(tolerance) && p.last < until && (now >= due || now >= until) {
		p.ping(clock, cell)
		due = p.last.Add(p.every())
	}
	cell.Timeout.Store(int64(timeout))
	if now > until.Add(tolerance) {
		if cell.State.Swap(cellWithheld) != cellWithheld {
			p.note(now)
		}
		return now.Add(minPeriod) // a beat that comes back at the last moment counts
	}
	cell.State.Store(cellPinged)
	if due > now {
		next = min(next, due)
	}
	if until > now {
		next = min(next, until)
	}
	return next
}

// until returns up to when a ping is allowed.
func (p *post) until(now beat.Time) beat.Time {
	switch p.scene.mode.Load() {
	case always:
		return now.Add(maxLimit)
	case never:
		return p.hold
	}
	return p.scene.rule().judge(p.scene.page.Load(), now, &p.gaps, p.granted.Timeout, p.guard.Margin).until
}

// note leaves why no ping comes any more with an engine that keeps words.
func (p *post) note(now beat.Time) {
	n, ok := p.engine.(keepalive.Noter)
	if !ok {
		return
	}
	text := "no pings: shutdown is guarded"
	if p.scene.mode.Load() != never {
		page := p.scene.page.Load()
		v := p.scene.rule().judge(page, now, &p.gaps, p.granted.Timeout, p.guard.Margin)
		name := "of the daemon"
		var b beat.Reading
		if v.slot >= 0 && page.Read(v.slot, &b) {
			name = b.Name()
		}
		text = fmt.Sprintf("no pings: beat %s was last seen %d ms ago, its limit is %d ms", name, v.age.Milliseconds(), v.limit.Milliseconds())
	}
	if err := n.Note(text); err != nil {
		p.failed(err)
	}
}

// every returns the distance between two pings. A BMC is fed at half its
// timeout, and not more often than it says is useful.
func (p *post) every() time.Duration {
	if p.info.FeedEvery > 0 {
		return max(p.granted.Timeout/2, minPeriod)
	}
	return period(p.granted.Timeout)
}

func (p *post) ping(clock func() beat.Time, cell *beat.Engine) {
	begun := clock()
	cell.Begun.Store(int64(begun))
	err := p.engine.Ping()
	now := clock()
	cell.Begun.Store(0)
	took := int64(now.Sub(begun))
	cell.Took.Store(took)
	cell.MaxTook.Store(max(took, cell.MaxTook.Load()))
	p.failed(err)
	if err != nil {
		cell.Errors.Add(1)
		return
	}
	// The countdown restarted at some moment of the ping: count from its
	// beginning, so that the next one is never late.
	p.pinged(begun)
	cell.LastPing.Store(int64(now))
	cell.Pings.Add(1)
}

// pinged notes that the countdown began anew at the instant at, or at most a little
// later.
func (p *post) pinged(at beat.Time) {
	p.last = at
	if p.granted.Action != keepalive.None {
		p.scene.fires[p.index].Store(int64(at.Add(p.granted.Timeout)))
	}
}

// failed keeps err for the status; nil clears it.
func (p *post) failed(err error) {
	if err == nil {
		p.failure.Store(nil)
		return
	}
	text := err.Error()
	p.failure.Store(&text)
}

// sleepUntil waits for an instant of CLOCK_MONOTONIC in the thread itself. A Go
// timer would need a second thread, and that one in time.
func sleepUntil(t beat.Time) {
	ts := unix.NsecToTimespec(int64(t))
	for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil) == unix.EINTR {
	}
}
