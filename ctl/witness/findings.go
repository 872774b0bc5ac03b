package witness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"shisa/bpf"
	"shisa/bpf/blockio"
	"shisa/bpf/cgroup"
	"shisa/bpf/exits"
	"shisa/bpf/flight"
	"shisa/bpf/stall"
	"shisa/bpf/trial"
	"shisa/ctl/event"
	"shisa/ctl/proc"
)

// deaths passes on who died, and tells of who was killed for want of memory.
func (w *Witness) deaths(ctx context.Context, set *bpf.Set) error {
	var victims victims
	if kernel, ok := set.Exits.(*exits.Kernel); ok {
		kernel.OOM = func(e exits.Exit) {
			// The kernel's event has the number only.
			if s, err := proc.Read(e.PID); err == nil && s.Comm != "" && victims.add(e.PID) {
				w.oom(e.PID, s.Comm)
			}
		}
	}
	defer w.waited(set)()
	return set.Exits.Watch(ctx, func(e exits.Exit) {
		if e.Start != 0 {
			announce(proc.ID{PID: e.PID, Start: e.Start})
		}
		if e.OOM {
			entry := flight.Entry{At: e.At, Kind: flight.OOM, Subject: fmt.Sprintf("%s[%d]", e.Comm, e.PID), Cgroup: path(e.Cgroup)}
			w.note(entry)
			w.store.remember(entry)
			if victims.add(e.PID) {
				w.oom(e.PID, e.Comm)
			}
		}
	})
}

// waited has the kernel wake us at once for the deaths that somebody waits for, and
// for others when convenient. It returns how to end that.
func (w *Witness) waited(set *bpf.Set) (end func()) {
	kernel, ok := set.Exits.(*exits.Kernel)
	if !ok {
		return func() {}
	}
	watcher, err := proc.Default()
	if err != nil {
		return func() {} // nobody is told of any death
	}
	interest, err := kernel.Only()
	if err != nil {
		return func() {} // an old kernel: each death wakes us
	}
	watcher.Follow(interest.Set)
	return func() {
		watcher.Follow(nil)
		w.say("let go of the deaths that are waited for", interest.Close())
	}
}

func (w *Witness) oom(pid int, comm string) {
	w.o.Emit(event.OOMKill.New("", "pid", fmt.Sprint(pid), "comm", comm))
}

// victims are the processes that were told of last: the kernel names each when it
// chooses it, and when it dies.
type victims struct {
	pids [16]int
	next int
}

// add reports whether it is news.
func (v *victims) add(pid int) bool {
	if i := slices.Index(v.pids[:], pid); i >= 0 {
		v.pids[i] = 0 // the number may be used again
		return false
	}
	v.pids[v.next%len(v.pids)] = pid
	v.next++
	return true
}

// note puts evidence on record.
func (w *Witness) note(e flight.Entry) {
	w.say("record evidence", w.record.Add(e))
	w.store.changed()
}

// scan looks at tasks and disks until ctx is done.
func (w *Witness) scan(ctx context.Context, set *bpf.Set) {
	var symbols stall.Symbols
	tasks, cgroups, disks := newEpisodes(), newEpisodes(), newEpisodes()
	// A look by the iterator takes a millisecond, and through /proc a hundred.
	realtime := set.Tasks == nil || len(set.Tasks.Choices()) > 0
	pause := func() time.Duration { return w.current().Interval }
	w.say("look at tasks and disks", onThread(ctx, pause, realtime, func() {
		// Both at once: to name addresses for the first time takes a while.
		stalled, terr := []stall.Task(nil), error(nil)
		if set.Tasks != nil {
			stalled, terr = set.Tasks.Scan()
		}
		late, berr := []blockio.Request(nil), error(nil)
		if set.Blocks != nil {
			late, berr = set.Blocks.Scan()
		}
		// One that could not look says nothing: what it found before goes on.
		if berr == nil {
			w.disks(late, disks, time.Now())
		}
		if terr == nil {
			w.tasks(stalled, tasks, &symbols, time.Now())
			w.cgroups(stalled, path, cgroups, time.Now())
		}
	}))
}

// TraceQueues measures how long tasks wait for a CPU, until d has passed or ctx is
// done. The second result counts waits that found no room.
func (w *Witness) TraceQueues(ctx context.Context, d time.Duration) (stall.Histogram, uint64, error) {
	k, err := trial.Open()
	if err != nil {
		return stall.Histogram{}, 0, err
	}
	defer k.Close()
	k.Without = w.current().Without
	return stall.TraceQueues(ctx, k, d)
}

// tasks turns the stalled tasks of one scan into evidence and events.
func (w *Witness) tasks(stalled []stall.Task, e *episodes, symbols *stall.Symbols, now time.Time) {
	e.begin()
	for _, t := range stalled {
		if len(t.StackText) == 0 && len(t.Stack) > 0 {
			if t.StackText = stall.Stack(t.PID, t.TID); len(t.StackText) == 0 {
				t.StackText = symbols.Names(t.Stack)
			}
		}
		entry := flight.Entry{At: now, Kind: kinds[t.Kind], Subject: taskName(t), Cgroup: path(t.Cgroup),
			For: t.For, Detail: detail(t), Stack: t.StackText}
		w.note(entry)
		if e.add(fmt.Sprint(t.TID, "@", t.Start, t.Kind), entry.Subject, t.For, now) {
			w.store.remember(entry)
			where := ""
			if s := flight.Suspects([]flight.Entry{entry}, now, time.Minute); len(s) > 0 && s[0].Where != "" {
				where = " in " + s[0].Where
			}
			if entry.Cgroup != "" {
				where += " (" + entry.Cgroup + ")"
			}
			w.o.Emit(event.TaskStalled.New("task/"+entry.Subject, "task", entry.Subject, "what", whats[t.Kind], "for", round(t.For), "where", where))
		}
	}
	for _, over := range e.end() {
		w.o.Emit(event.TaskGoesOn.New("task/"+over.subject, "task", over.subject, "for", round(over.lasted)))
	}
	w.untold(e.untold(now), "tasks stalled")
}

// untold tells, now and then, how many findings were not told of.
func (w *Witness) untold(n int, what string) {
	if n > 0 {
		w.o.Emit(event.Untold.New("", "count", fmt.Sprint(n), "what", what, "window", toldWithin.String()))
	}
}

// severalTasks are as many stalled tasks of one cgroup as are told of together, too.
const severalTasks = 3

// cgroups rolls the stalled tasks of one scan up by cgroup: which service it is that
// stalls, however many tasks it has.
func (w *Witness) cgroups(stalled []stall.Task, path func(id uint64) string, e *episodes, now time.Time) {
	e.begin()
	for _, load := range stall.ByCgroup(stalled) {
		name := path(load.Cgroup)
		if name == "" || load.Blocked+load.Starved+load.Hogs < severalTasks {
			continue
		}
		what := fmt.Sprintf("%d blocked in the kernel, %d without a CPU, %d that take one for themselves", load.Blocked, load.Starved, load.Hogs)
		entry := flight.Entry{At: now, Kind: flight.Cgroup, Subject: name, For: load.Longest, Detail: what}
		w.note(entry)
		if e.add(name, name, load.Longest, now) {
			w.store.remember(entry)
			w.o.Emit(event.CgroupStalled.New("cgroup"+name, "cgroup", name, "what", what, "for", round(load.Longest)))
		}
	}
	for _, over := range e.end() {
		w.o.Emit(event.CgroupGoesOn.New("cgroup"+over.subject, "cgroup", over.subject, "count", fmt.Sprint(severalTasks), "for", round(over.lasted)))
	}
	w.untold(e.untold(now), "cgroups stalled")
}

var kinds = map[stall.Kind]flight.Kind{stall.Blocked: flight.Blocked, stall.Starved: flight.Starved, stall.Hog: flight.Hog}

var whats = map[stall.Kind]string{
	stall.Blocked: "is blocked in the kernel", stall.Starved: "gets no CPU", stall.Hog: "takes a CPU for itself",
}

// taskName is "comm[process]", with the thread where it is not the first.
func taskName(t stall.Task) string {
	if t.TID != t.PID {
		return fmt.Sprintf("%s[%d/%d]", t.Comm, t.PID, t.TID)
	}
	return fmt.Sprintf("%s[%d]", t.Comm, t.PID)
}

// policies are those of sched(7) that matter to others.
var policies = map[int]string{1: "FIFO", 2: "RR", 6: "DEADLINE"}

func detail(t stall.Task) string {
	var parts []string
	if name := policies[t.Policy]; name != "" {
		parts = append(parts, fmt.Sprintf("%s %d", name, 99-t.Priority))
	}
	if t.Kind == stall.Hog && t.Unswitched > 0 {
		parts = append(parts, "without a switch for "+round(t.Unswitched))
	}
	return strings.Join(parts, ", ")
}

// disks does the same with requests; one episode for each disk.
func (w *Witness) disks(late []blockio.Request, e *episodes, now time.Time) {
	e.begin()
	for _, r := range late {
		def, kind := event.DiskSlow, flight.SlowIO
		if r.Hung {
			def, kind = event.DiskHung, flight.HungIO
		}
		task := fmt.Sprintf("%s[%d]", r.Comm, r.PID)
		entry := flight.Entry{At: now, Kind: kind, Subject: r.Disk, Cgroup: path(r.Cgroup), For: r.Age,
			Detail: fmt.Sprintf("%v of %d bytes at sector %d, issued by %s", r.Op, r.Bytes, r.Sector, task)}
		w.note(entry)
		if e.add(r.Disk+string(kind), r.Disk, r.Age, now) {
			w.store.remember(entry)
			w.o.Emit(def.New("disk/"+r.Disk, "disk", r.Disk, "op", r.Op.String(), "bytes", fmt.Sprint(r.Bytes),
				"sector", fmt.Sprint(r.Sector), "task", task, "for", round(r.Age)))
		}
	}
	for _, over := range e.end() {
		w.o.Emit(event.DiskGoesOn.New("disk/"+over.subject, "disk", over.subject))
	}
	w.untold(e.untold(now), "requests of disks were late")
}

// The shares of ten seconds in which tasks waited that are worth a note, in
// percent: some task for a CPU, all tasks for memory or I/O.
const (
	worthSome = 50
	worthFull = 20
)

// pressure notes what the whole machine lacks.
func (w *Witness) pressure(now time.Time) {
	all, err := stall.Pressures()
	if err != nil {
		if !errors.Is(err, stall.ErrNoPressure) {
			w.say("read pressure", err)
		}
		return
	}
	for _, p := range all {
		if p.Full10 < worthFull && (p.Resource != "cpu" || p.Some10 < worthSome) {
			continue
		}
		w.note(flight.Entry{At: now, Kind: flight.Pressure, Subject: p.Resource,
			For:    time.Duration(max(p.Full10, p.Some10) / 100 * float64(10*time.Second)),
			Detail: fmt.Sprintf("some %.0f %%, all %.0f %% of the last 10 s", p.Some10, p.Full10)})
	}
}

// path names a cgroup; empty: unknown, or the root, which tells nothing.
func path(id uint64) string {
	if id == 0 {
		return ""
	}
	p, err := cgroup.Path(id)
	if err != nil || p == "/" {
		return ""
	}
	return p
}

func round(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }
