// Package witness puts the witnesses in the kernel (package bpf) to work for the
// daemon: deaths are passed on to whoever watches processes, stalled tasks and
// hung disks become events and evidence on the flight record, missed beats are
// noticed in the kernel, and a shutdown leaves its timeline.
//
// A witness never pings and never decides. It starts after the countdown is
// armed, in the background, and whatever it lacks is said by the doctor:
// everything else works without it.
package witness

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"shisa/bpf"
	"shisa/bpf/beats"
	"shisa/bpf/flight"
	"shisa/bpf/trial"
	"shisa/ctl/api"
	"shisa/ctl/beat"
	"shisa/ctl/event"
	"shisa/ctl/proc"
	"shisa/ctl/tick"
)

// Intervals of Run.
const (
	tendEvery  = time.Second      // beats that are back, and orders
	careEvery  = 10 * time.Second // the witnesses themselves, and pressure
	flushEvery = 5 * time.Second  // the record, if there is something new
)

// Options say for whom a Witness works. All functions may be called by any
// goroutine of the Witness and must not block.
type Options struct {
	Boot     string     // id of this boot
	StateDir string     // for what is to be read after the next boot
	Socket   string     // for beats of other processes; empty: none are taken
	Keep     string     // folder in a BPF file system for the page of beats; empty: nothing is kept there
	Page     *beat.Page // of our own loops; one that is kept in Keep is judged in the kernel
	Settings Settings   // to begin with
	// HandOver says from which age on a missed beat of ours is handed over, and
	// which process pings; age 0: not at all. nil: never.
	HandOver func() (age time.Duration, pinger int)
	Emit     func(event.Event)   // never nil
	Log      func(string, error) // never nil
	Program  string              // to start for the timeline of a shutdown; empty: none
}

// A Witness is at work from Run on.
type Witness struct {
	o      Options
	record flight.Recorder
	store  store
	blame  blamer
	guests guests

	mu       sync.Mutex
	settings Settings
	set      *bpf.Set // nil: not loaded yet, or no more
	state    []api.Check
	missing  map[slotKey]missing
	told     map[slotKey]time.Time // when a miss was told of last
	misses   budget                // of other processes
	orders   beats.Orders          // given last
	down     bool                  // nothing is handed over any more
}

// New returns a Witness that does not work yet.
func New(o Options) *Witness {
	w := &Witness{o: o, settings: o.Settings.whole(), missing: map[slotKey]missing{}, told: map[slotKey]time.Time{},
		store: store{dir: o.StateDir, boot: o.Boot}}
	w.blame = blamer{dir: o.StateDir, boot: o.Boot, program: o.Program, log: o.Log, again: make(chan struct{}, 1)}
	w.guests = guests{witness: w, slots: map[int]*guest{}, came: make(chan struct{}, 1)}
	w.state = []api.Check{{Area: "eBPF", Name: "witnesses", Level: api.LevelOK, Text: "being loaded"}}
	return w
}

// Run loads the witnesses and lets them work until ctx is done. Nothing waits
// for it, and nothing that fails in it is more than a line for the doctor.
func (w *Witness) Run(ctx context.Context) {
	keep, s := w.o.Keep, w.current()
	if w.o.Page == nil || !w.o.Page.Kernel() {
		keep = "" // our own beats are not in the kernel
	}
	if s.off(bpf.Beats) {
		w.Forget() // the timer of a daemon before
	}
	set := bpf.Open(bpf.Options{Stall: s.Stall, IO: s.IO, BeatsDir: keep, Off: s.Off, Without: s.Without})
	w.put(set)
	w.Configure(w.current()) // it may have been given others meanwhile
	debug.FreeOSMemory()     // the kernel's type information, decoded, is several MiB
	w.o.Emit(event.WitnessReady.New("", "took", set.Took().Round(time.Millisecond).String(), "report", summary(set.Report())))

	var wg sync.WaitGroup
	if set.Exits != nil {
		wg.Go(func() { w.watch(ctx, "deaths", func() error { return w.deaths(ctx, set) }) })
	}
	if set.Tasks != nil || set.Blocks != nil {
		wg.Go(func() { w.scan(ctx, set) })
	}
	wg.Go(func() { w.care(ctx, set) })
	wg.Go(func() { w.store.run(ctx, &w.record, w.o.Log) })
	wg.Go(func() { w.serveGuests(ctx, set) })
	wg.Go(func() { w.tend(ctx, set) })
	if set.Beats != nil {
		wg.Go(func() { w.watch(ctx, "beats", func() error { return set.Beats.Watch(ctx, w.missed) }) })
	}
	if set.Blame != nil {
		wg.Go(func() { w.watch(ctx, "the shutdown", func() error { return w.blame.watch(ctx, set.Blame) }) })
	}
	wg.Wait()
	w.blame.wait()
	w.put(nil)
	w.say("unload the witnesses", set.Close())
}

// watch runs one reader. One that breaks is told of and not taken up again: what
// it read has another source, or is read by nobody else.
func (w *Witness) watch(ctx context.Context, of string, read func() error) {
	if err := read(); err != nil && ctx.Err() == nil {
		w.o.Emit(event.WitnessSilent.New("", "error", fmt.Sprintf("the witness of %s: %v", of, err)))
	}
}

func (w *Witness) put(set *bpf.Set) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.set = set
	if set != nil {
		w.state = checks(set.Report(), trial.Surroundings())
	}
}

func (w *Witness) say(what string, err error) {
	if err != nil {
		w.o.Log(what, err)
	}
}

// Checks says what does each job, for the doctor.
func (w *Witness) Checks() []api.Check {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]api.Check{}, w.state...)
}

// summary is the report in one line.
func summary(report []bpf.Status) string {
	var parts []string
	for _, s := range report {
		parts = append(parts, s.String())
	}
	return strings.Join(parts, "; ")
}

// checks turns the report into lines for the doctor: one for each witness, one
// for each part of its job, and one for each thing about this place that limits
// them.
func checks(report []bpf.Status, surroundings []string) []api.Check {
	var all []api.Check
	for _, s := range report {
		c := api.Check{Area: "eBPF", Name: s.Witness, Level: api.LevelOK, Text: after(s.String(), ": ")}
		switch {
		case s.Active == "" && !s.Off:
			c.Level = api.LevelWarning
		case s.Reduced, s.Off:
			c.Level = api.LevelInfo
		}
		if len(s.Reasons) > 0 {
			c.Text += ": " + strings.Join(s.Reasons, "; ")
		}
		all = append(all, c)
		for _, choice := range s.Choices {
			c := api.Check{Area: "eBPF", Name: s.Witness + " " + choice.Part, Level: api.LevelOK, Text: after(choice.String(), ": ")}
			if choice.Program == "" { // it is done without; that of the witness says whether that matters
				c.Level = api.LevelInfo
			}
			all = append(all, c)
		}
	}
	for _, text := range surroundings {
		all = append(all, api.Check{Area: "eBPF", Name: "surroundings", Level: api.LevelOK, Text: text})
	}
	return all
}

// after is what follows the first sep: the doctor has names of its own.
func after(s, sep string) string {
	_, rest, _ := strings.Cut(s, sep)
	return rest
}

// care looks after the witnesses themselves, and at the pressure on the machine.
func (w *Witness) care(ctx context.Context, set *bpf.Set) {
	lost, silent := map[string]uint64{}, ""
	for tick.Wait(ctx, careEvery) {
		now, err := set.Lost()
		w.say("count what witnesses lost", err)
		for name, n := range now {
			if n > lost[name] {
				w.o.Emit(event.WitnessLost.New("", "witness", name, "count", fmt.Sprint(n-lost[name])))
			}
		}
		lost = now
		said := ""
		if err := set.Alive(); err != nil {
			said = err.Error()
		}
		if said != "" && said != silent {
			w.o.Emit(event.WitnessSilent.New("", "error", said))
		}
		silent = said
		w.pressure(time.Now())
	}
}

// Flush has the record on disk, or gives up when ctx is done: what is about to be
// done to the machine must not wait for a disk that hangs.
func (w *Witness) Flush(ctx context.Context) {
	done := make(chan error, 1)
	go func() { done <- w.store.flush(&w.record) }() // a disk that hangs keeps it
	select {
	case err := <-done:
		w.say("keep the flight record", err)
	case <-ctx.Done():
	}
}

// announce passes a death on to whoever watches processes.
func announce(id proc.ID) {
	if watcher, err := proc.Default(); err == nil {
		watcher.Announce(id)
	}
}
