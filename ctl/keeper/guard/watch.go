package guard

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/beat"
	"shisa/ctl/keeper/wire"
)

// defaultWarn is the percentage of a limit at which last words are prepared
// when the orders do not say, or say that nobody is to be warned.
const defaultWarn = 80

// A watch is the thread that keeps the books: how old beats become, whether the
// daemon lives, and when its last words must be written. It pings nothing.
type watch struct {
	scene   *scene
	late    atomic.Int64
	warn    atomic.Int32
	daemon  atomic.Int32 // pidfd; 0: none
	pid     atomic.Int32 // of the daemon
	scribe  atomic.Pointer[scribe]
	running atomic.Bool

	mu      sync.Mutex
	verdict verdict // of the last round

	gaps  gaps
	phase phase
	about int // slot that the phase is about
}

// A phase is how near a stale beat is to its limit.
type phase byte

// Phases, as the witness is told them.
const (
	calm    phase = iota // it beats, or beats again
	warned               // the warning percentage is reached
	closing              // the countdown is about to fire
)

// begin takes over orders and starts the thread the first time.
func (w *watch) begin(o wire.Orders) {
	warn := o.Warn
	if warn <= 0 || warn >= 100 {
		warn = defaultWarn
	}
	w.warn.Store(int32(warn))
	w.engage(o)
	if !w.running.Swap(true) {
		go w.run()
	}
}

func (w *watch) run() {
	runtime.LockOSThread()
	debug.SetPanicOnFault(true)
	for {
		wake := beat.Now().Add(minPeriod)
		w.scene.survive(func() { wake = w.round(beat.Now()) })
		sleepUntil(wake)
		woken := beat.Now()
		w.gaps.note(wake, woken)
		if late := int64(woken.Sub(wake)); late > w.late.Load() {
			w.late.Store(late)
		}
	}
}

// round judges once and returns when to judge again.
func (w *watch) round(now beat.Time) beat.Time {
	w.attend()
	page := w.scene.page.Load()
	v := w.scene.rule().judge(page, now, &w.gaps, 0, 0)
	w.mu.Lock()
	w.verdict = v
	w.mu.Unlock()

	var b beat.Reading
	for i := range beat.MaxSlots {
		if page.Read(i, &b) && b.Last <= now {
			page.Saw(i, now.Sub(b.Last))
		}
	}
	cell := page.Keeper()
	cell.PID.Store(int64(os.Getpid()))
	cell.Round.Store(int64(now))
	cell.Period.Store(int64(maxPeriod))
	if w.stale(v, now) {
		cell.StaleSlot.Store(int64(v.slot) + 1)
		cell.StaleFrom.Store(int64(now.Add(-v.age)))
	} else {
		cell.StaleSlot.Store(0)
	}
	next := now.Add(min(max(v.limit/10, minPeriod), maxPeriod))
	if w.scene.mode.Load() != judged {
		return next
	}
	return w.tell(v, now, next)
}

// tell lets the witness know when a phase begins and returns when to look again.
func (w *watch) tell(v verdict, now, next beat.Time) beat.Time {
	warnAt, closeAt := w.warnAt(v), w.closingAt(v)
	phase := calm
	switch {
	case now >= closeAt:
		phase = closing
	case now >= warnAt:
		phase, next = warned, min(next, closeAt)
	default:
		next = min(next, warnAt, closeAt)
	}
	if phase != w.phase {
		if phase != calm {
			w.about = v.slot
		}
		w.say(phase, w.about, v)
		w.phase = phase
	}
	return next
}

// latest returns the verdict of the last round.
func (w *watch) latest() verdict {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.verdict
}

// warnAt returns when the warning percentage of v's limit is reached.
func (w *watch) warnAt(v verdict) beat.Time {
	return v.deadline.Add(-v.limit * time.Duration(100-w.warn.Load()) / 100)
}

// closingAt returns when the last words about v must be on their way. When beats have
// stopped, that may be long before the limit: an engine fires earlier if its last
// ping was not made in time, because the keeper itself got no processor, or hangs,
// because the engine's driver gets none.
func (w *watch) closingAt(v verdict) beat.Time {
	deadline := v.deadline
	if v.age > 2*w.scene.rule().fresh {
		deadline = min(deadline, w.scene.firing())
	}
	return deadline.Add(-min(v.limit/10, time.Second))
}

// stale reports whether v's beat is so late that the operator must know.
func (w *watch) stale(v verdict, now beat.Time) bool { return now >= w.warnAt(v) }

// name returns the name of a slot in words.
func (w *watch) name(slot int) string {
	if slot < 0 {
		return "daemon"
	}
	return w.scene.page.Load().Name(slot)
}

// attend looks whether the daemon is alive.
func (w *watch) attend() {
	fd := w.daemon.Load()
	if fd == 0 {
		return
	}
	poll := [1]unix.PollFd{{Fd: fd, Events: unix.POLLIN}}
	n, _ := unix.Poll(poll[:], 0) // an error means that we could not look: alive
	w.scene.absent.Store(n > 0)
}

// A peer is the process of the daemon.
type peer struct {
	pid int
	fd  int // pidfd; 0: none
}

// attach makes pid the daemon whose end counts as absence. Without pidfds
// (before Linux 5.3) its absence shows as stale beats only.
func (k *Keeper) attach(pid int) {
	if pid <= 0 || pid == k.daemon.pid && !k.scene.absent.Load() {
		return
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		fd = 0
	}
	k.watch.daemon.Store(int32(fd))
	k.watch.pid.Store(int32(pid))
	if k.daemon.fd > 0 {
		// The watch may be polling it in this very round: closing it then
		// makes that poll report an error, which counts as alive.
		unix.Close(k.daemon.fd)
	}
	k.daemon = peer{pid, fd}
	k.scene.absent.Store(false)
}
