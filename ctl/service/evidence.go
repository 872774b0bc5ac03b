package service

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/keepalive/drivers/ipmi"
	"shisa/ctl/keepalive/drivers/wdt"
	"shisa/ctl/keeper"
	"shisa/ctl/store"
	"shisa/ctl/why"
)

// lastWordsName is the keeper's file in the state directory.
const lastWordsName = "last-words"

// sameWords is how far apart the records of one moment may stand in places that
// keep time in their own way: the event log of a BMC knows whole seconds.
const sameWords = 2 * time.Second

// A scene is where evidence is gathered: this machine, or a fixture of one. It
// is only looked at.
type scene struct {
	root  string                       // "/"
	state string                       // the state directory
	now   why.Boot                     // the running kernel
	bmc   func() (*ipmi.BMC, error)    // an error: there is none
	fails func(what string, err error) // is told of what is there and cannot be read
}

// scene is this machine.
func (p *process) scene(state string) scene {
	return scene{root: "/", state: state, now: why.Boot{ID: bootID(), Booted: time.Now().Add(-uptime())},
		bmc:   func() (*ipmi.BMC, error) { return ipmi.OpenBMC(bmcDevice) },
		fails: func(what string, err error) { p.log.Error(what+" cannot be read", err, nil) }}
}

// gather collects what survived the last time that the machine went down. What
// cannot be read is left out. Seen is the newest entry of the BMC's log when
// this was done last, and is returned as it is now; nil: unknown.
func (s scene) gather(run *store.Run, seen []byte) (why.Evidence, []byte) {
	e := why.Evidence{Now: s.now, Run: journal(run)}
	if run == nil || run.Boot == s.now.ID {
		return e, seen // nothing went down
	}
	records := s.pstore()
	e.Watchdog, e.Logins, e.Unclean = s.watchdogs(), s.logins(), s.unclean()
	e.Closed = len(e.Unclean) == 0 && s.journals()
	for _, r := range records {
		if c, ok := r.crash(); ok {
			e.Crashes = append(e.Crashes, c)
		}
	}
	bmc := s.askBMC(run.First.Time, seen)
	e.BMC = bmc.evidence
	e.Words = words(s.written(run, records), kernelWords(run, records), bmc.words)
	return e, bmc.newest
}

// written returns the records that the keeper's witness wrote in that boot, to
// the disk and, as a kernel that has one lets it, to the part of pstore that
// is for user space (Documentation/ABI/testing/pstore, "pmsg").
func (s scene) written(run *store.Run, records []record) []why.Words {
	all, err := keeper.ReadLastWords(filepath.Join(s.state, lastWordsName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.fails("the file of the keeper's last words", err)
	}
	var list []why.Words
	add := func(w keeper.LastWords, from string) {
		if w.Boot == run.Boot {
			list = append(list, why.Words{At: w.Time, Phase: w.Phase, Stall: w.Cause, Text: w.Text, Beat: w.Beat, From: from,
				Age: time.Duration(w.Age) * time.Millisecond, Limit: time.Duration(w.Limit) * time.Millisecond})
		}
	}
	for _, w := range all {
		add(w, "")
	}
	for _, r := range records {
		for _, w := range r.messages() {
			if !slices.ContainsFunc(list, func(have why.Words) bool { return have.At.Equal(w.Time) && have.Phase == w.Phase }) {
				add(w, "pstore")
			}
		}
	}
	return list
}

// words puts what several places say in order, oldest first. Places are given
// with the one that says most first; the others only add what came later.
func words(places ...[]why.Words) []why.Words {
	var all []why.Words
	for _, place := range places {
		var last time.Time // of the places before
		for _, w := range all {
			last = latest(last, w.At)
		}
		for _, w := range place {
			if last.IsZero() || w.At.After(last.Add(sameWords)) {
				all = append(all, w)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b why.Words) int { return a.At.Compare(b.At) })
	return all
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// journal translates what our journal says of the boot that ended.
func journal(r *store.Run) *why.Run {
	if r == nil {
		return nil
	}
	w := &why.Run{Boot: r.Boot, First: r.First.Time, Last: r.Last.Time}
	if r.Armed != nil {
		for _, a := range r.Armed.Engines {
			w.Armed = append(w.Armed, why.Countdown{Role: a.Role, Driver: a.Driver, Device: a.Device, Identity: a.Identity,
				Timeout: a.Timeout, Action: a.Action, Hardware: a.Hardware, Shutdown: a.Guards == "shutdown"})
		}
	}
	if l := r.Leaving; l != nil {
		w.Leaving = &why.Leaving{At: r.LeftAt.Time, How: l.How, By: l.By, Reason: l.Reason, Phase: l.Phase}
	}
	for _, i := range r.Intents {
		w.Intents = append(w.Intents, why.Intent{At: i.At.Time, Action: i.Action, Reason: i.Reason, Subject: i.Subject, By: i.By, Outcome: i.Outcome})
	}
	return w
}

func (s scene) watchdogs() []why.Watchdog {
	devices, err := wdt.List(s.root)
	if err != nil {
		s.fails("the list of watchdog devices", err)
	}
	var all []why.Watchdog
	for _, d := range devices {
		w := why.Watchdog{Device: d.Name, Identity: d.Identity, Hardware: d.Hardware(), Fired: d.BootStatus&unix.WDIOF_CARDRESET != 0}
		switch {
		case d.BootStatus&unix.WDIOF_OVERHEAT != 0:
			w.Other = "overheated"
		case d.BootStatus&(unix.WDIOF_POWERUNDER|unix.WDIOF_POWEROVER) != 0:
			w.Other = "power"
		}
		all = append(all, w)
	}
	return all
}

// glob returns the files below the root that match one of the patterns. A
// pattern is ours and never malformed.
func (s scene) glob(patterns ...string) []string {
	var all []string
	for _, p := range patterns {
		names, _ := filepath.Glob(filepath.Join(s.root, p))
		all = append(all, names...)
	}
	return all
}

// named is a path as it is on the machine, without the root.
func (s scene) named(path string) string {
	if rest, ok := strings.CutPrefix(path, strings.TrimSuffix(s.root, "/")); ok {
		return rest
	}
	return path
}

// read returns the beginning of a file; nil: it cannot be read.
func read(path string, limit int64) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	text := make([]byte, limit)
	n, _ := f.ReadAt(text, 0) // what is missing was not there
	return text[:n]
}

// tail returns whole records of a size from the end of a file.
func tail(path string, limit, size int64) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	whole := info.Size() / size * size
	text := make([]byte, min(whole, limit/size*size))
	n, _ := f.ReadAt(text, whole-int64(len(text)))
	return text[:n]
}
