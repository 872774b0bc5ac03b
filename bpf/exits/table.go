package exits

import (
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// table turns the connector's per-thread events, which name processes by
// number alone, into deaths of whole processes with their start times.
type table struct {
	handle func(Exit)
	alive  map[int]*entry
	look   func(pid int) (stat, error) // /proc/PID/stat
	rest   func(tgid, except int) int  // live threads of a process but one
	boot   time.Duration               // CLOCK_BOOTTIME less CLOCK_MONOTONIC
}

type entry struct {
	stat
	leaderGone bool
	code       uint32 // the leader's
}

func newTable(handle func(Exit)) *table {
	return &table{
		handle: handle,
		alive:  make(map[int]*entry),
		look:   func(pid int) (s stat, err error) { err = s.read(pid); return s, err },
		rest:   liveThreads,
		boot:   suspended(),
	}
}

// ticks converts an event's time to the unit of start times.
func (t *table) ticks(monotonic uint64) uint64 {
	return (monotonic + uint64(t.boot)) / uint64(tick)
}

func (t *table) apply(e procEvent) {
	switch e.what {
	case eventFork:
		if e.pid == e.tgid {
			t.born(e)
		}
	case eventExit:
		t.exited(e)
	}
}

// born notes a process's start time, unless the number has already changed
// hands before we came to look: that one started after the event.
func (t *table) born(e procEvent) {
	if was := t.alive[e.tgid]; was != nil {
		// The kernel reports an exit after the parent may have collected
		// the process, so a number can be born again before its death.
		t.vanished(was)
	}
	entry := &entry{stat: stat{ID: ID{PID: e.tgid}, Parent: e.parent}}
	if s, err := t.look(e.tgid); err == nil && s.Start <= t.ticks(e.at) {
		entry.stat = s
		entry.Parent = e.parent // /proc says 0 once it is being collected
	}
	t.alive[e.tgid] = entry
}

// exited handles the end of one thread. The process is dead when its leader
// and all others are; the leader may be the first to go.
func (t *table) exited(e procEvent) {
	p := t.alive[e.tgid]
	if p == nil {
		return // not a process that we saw alive: announced before
	}
	if t.ticks(e.at) < p.Start {
		return // the late report of the number's former owner
	}
	if e.pid == e.tgid {
		if s, err := t.look(e.tgid); err == nil && s.Start == p.Start {
			if s.State != 'Z' && s.State != 'X' {
				return // the former owner's too: this one lives
			}
			p.Comm = s.Comm // it may have changed by exec since the fork
		}
		p.leaderGone, p.code = true, e.code
	}
	if !p.leaderGone || t.rest(e.tgid, e.pid) > 0 {
		return
	}
	delete(t.alive, e.tgid)
	exit := p.exit()
	exit.Status = Status{WaitStatus: syscall.WaitStatus(p.code), Known: true}
	exit.At = fromMonotonic(e.at)
	t.handle(exit)
}

// vanished announces a process whose own report is missing.
func (t *table) vanished(was *entry) {
	exit := was.exit()
	exit.Status = Status{}
	exit.At = time.Now()
	t.handle(exit)
}

// reconcile brings the table in line with /proc: at the beginning, and after
// events were lost. Processes that are gone are announced, with status unknown.
func (t *table) reconcile() error {
	now := make(map[int]*entry)
	err := processes(func(pid int) {
		if s, err := t.look(pid); err == nil && !s.dead() {
			now[pid] = &entry{stat: s}
		}
	})
	if err != nil {
		return err
	}
	t.boot = suspended()
	for pid, was := range t.alive {
		if is := now[pid]; is != nil && is.Start == was.Start {
			now[pid] = was
			continue
		}
		t.vanished(was)
	}
	t.alive = now
	return nil
}

// liveThreads counts the threads of a process that run on, but for one that is
// known to be ending. Threads that have already ended leave /proc at once,
// except a leader, which stays as a zombie.
func liveThreads(tgid, except int) (n int) {
	dir := "/proc/" + strconv.Itoa(tgid) + "/task"
	names, err := os.ReadDir(dir)
	if err != nil {
		return 0 // collected already
	}
	for _, name := range names {
		if tid, err := strconv.Atoi(name.Name()); err != nil || tid == except || tid == tgid {
			continue
		}
		n++
	}
	return n
}

// suspended is how far boot time is ahead of monotonic time.
func suspended() time.Duration {
	var boot, monotonic unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil ||
		unix.ClockGettime(unix.CLOCK_MONOTONIC, &monotonic) != nil {
		return 0
	}
	return time.Duration(boot.Nano() - monotonic.Nano())
}
