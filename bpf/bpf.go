// Package bpf puts the witnesses in the kernel to work: for each job the best
// program that this kernel accepts, else what stands in for it. A witness never
// acts and never pings; everything works without it, less sharply, and what is
// really at work is always said.
//
//	exits     who died, at once          · else process connector, else /proc
//	stall     blocked, starved, hogs     · else /proc
//	blockio   requests a disk sits on    · else none
//	beats     a missed beat, in-kernel   · else none: the countdown's own timer
//	blame     where a shutdown hangs     · else none
//	flight    the evidence of the last minutes, and timeline: pure packages
//
// Programs are written in C in src, compiled into internal/obj, and chosen by
// package trial.
package bpf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"shisa/bpf/beats"
	"shisa/bpf/blame"
	"shisa/bpf/blockio"
	"shisa/bpf/exits"
	"shisa/bpf/stall"
	"shisa/bpf/trial"
)

// Jobs are all jobs that programs are tried for.
var Jobs = []trial.Job{exits.Job, stall.Job, blockio.Job, beats.Job, blame.Job}

// The witnesses, as reports name them.
const (
	Exits   = "exits"
	Stall   = "stall"
	BlockIO = "blockio"
	Beats   = "beats"
	Blame   = "blame"
)

// Witnesses are all of them, in the order of reports.
func Witnesses() []string { return []string{Exits, Stall, BlockIO, Beats, Blame} }

// Options say what to watch for. The zero value is usable.
type Options struct {
	Stall    stall.Limits  // zero: stall.DefaultLimits
	IO       time.Duration // longest time with a disk's driver; zero: 10 s
	Scan     time.Duration // between two looks at /proc, if it comes to that; zero: 1 s
	BeatsDir string        // folder in a BPF file system that keeps the beats; "": keep nothing
	Off      []string      // witnesses that are not put to work
	Without  []string      // programs not to be tried; see trial.Kernel
}

const defaultIO = 10 * time.Second

// Set is the witnesses at work.
type Set struct {
	Exits  exits.Source     // nil: switched off
	Tasks  *stall.Witness   // nil: switched off
	Blocks *blockio.Witness // nil: none
	Beats  *beats.Witness   // nil: none
	Blame  *blame.Witness   // nil: none

	working []working
	report  []Status
	took    time.Duration
}

// working is a witness by its name.
type working struct {
	name    string
	witness interface {
		Alive() error
		Counters() (trial.Counters, error)
		MapBytes() (uint64, error)
		Close() error
	}
}

// Status is one witness as an operator sees it.
type Status struct {
	Witness string
	Active  string // what does the job; "" nothing does
	Reduced bool   // not by programs in the kernel, or not for every part
	Off     bool   // nobody is to do it
	Reasons []string
	Choices []trial.Choice
}

// String is the status in one line.
func (s Status) String() string {
	switch {
	case s.Off:
		return s.Witness + ": switched off"
	case s.Active == "":
		return s.Witness + ": none"
	case s.Reduced:
		return s.Witness + ": only " + s.Active
	}
	return s.Witness + ": " + s.Active
}

// Open puts all witnesses to work, each as well as this kernel lets it. It
// takes up to some seconds and needs nothing of the daemon: arm first. It does
// not fail; Report says what is missing, and why.
func Open(o Options) *Set {
	begin := time.Now()
	s := new(Set)
	k, err := trial.Open()
	if err != nil {
		k = nil
	} else {
		k.Without = o.Without
		defer k.Close()
	}
	if o.Stall == (stall.Limits{}) {
		o.Stall = stall.DefaultLimits
	}
	if o.IO <= 0 {
		o.IO = defaultIO
	}
	for _, job := range []struct {
		name string
		open func(*trial.Kernel, Options)
	}{{Exits, s.openExits}, {Stall, s.openTasks}, {BlockIO, s.openBlocks}, {Beats, s.openBeats}, {Blame, s.openBlame}} {
		if slices.Contains(o.Off, job.name) {
			s.report = append(s.report, Status{Witness: job.name, Off: true})
			continue
		}
		job.open(k, o)
	}
	s.took = time.Since(begin)
	return s
}

func (s *Set) openExits(k *trial.Kernel, o Options) {
	source, passed := exits.Open(k, o.Scan)
	s.Exits = source
	status := Status{Witness: Exits, Active: source.Name(), Reduced: len(passed) > 0}
	for _, p := range passed {
		status.Reasons = append(status.Reasons, fmt.Sprintf("%s: %v", p.Name, p.Err))
		status.Choices = append(status.Choices, p.Choices...)
	}
	if kernel, ok := source.(*exits.Kernel); ok {
		status.Choices = kernel.Choices()
		s.working = append(s.working, working{Exits, kernel})
	}
	s.report = append(s.report, status)
}

func (s *Set) openTasks(k *trial.Kernel, o Options) {
	tasks, err := stall.Load(k, o.Stall)
	status := Status{Witness: Stall, Choices: tasks.Choices()}
	if err != nil {
		tasks = stall.FromProc(o.Stall)
		status.Reduced = true
		status.Reasons = []string{err.Error()}
	}
	s.Tasks = tasks
	s.working = append(s.working, working{Stall, tasks})
	status.Active = tasks.Name()
	s.report = append(s.report, status)
}

func (s *Set) openBlocks(k *trial.Kernel, o Options) {
	blocks, err := blockio.Load(k, o.IO)
	if s.add(BlockIO, blocks.Choices(), err) {
		s.Blocks = blocks
		s.working = append(s.working, working{BlockIO, blocks})
	}
}

func (s *Set) openBeats(k *trial.Kernel, o Options) {
	page, err := beats.Load(k, o.BeatsDir)
	if s.add(Beats, page.Choices(), err) {
		s.Beats = page
		s.working = append(s.working, working{Beats, page})
	}
}

func (s *Set) openBlame(k *trial.Kernel, _ Options) {
	down, err := blame.Load(k)
	if s.add(Blame, down.Choices(), err) {
		s.Blame = down
		s.working = append(s.working, working{Blame, down})
	}
}

// add notes a witness that nothing stands in for, and reports whether it works.
func (s *Set) add(name string, choices []trial.Choice, err error) bool {
	status := Status{Witness: name, Choices: choices}
	var at, missing []string
	for _, c := range choices {
		if c.Program == "" {
			missing = append(missing, c.Part)
		} else {
			at = append(at, c.Part)
		}
	}
	switch {
	case err != nil:
		status.Reasons = []string{err.Error()}
	case len(missing) > 0:
		status.Active, status.Reduced = "programs in the kernel for "+strings.Join(at, ", "), true
		status.Reasons = []string{"this kernel accepts none for " + strings.Join(missing, ", ")}
	default:
		status.Active = "programs in the kernel"
	}
	s.report = append(s.report, status)
	return err == nil
}

// Report says what does each job, and why nothing better does.
func (s *Set) Report() []Status { return s.report }

// Took is how long Open took.
func (s *Set) Took() time.Duration { return s.took }

// SetLimits changes what counts as stalled and as late from the next look on;
// what goes on is not forgotten.
func (s *Set) SetLimits(tasks stall.Limits, io time.Duration) {
	if s.Tasks != nil {
		s.Tasks.SetLimits(tasks)
	}
	if s.Blocks != nil {
		s.Blocks.SetLimit(io)
	}
}

// Alive checks that each program still sees what it is there to see. Call it
// now and then: a program that was detached is silent, not in error.
func (s *Set) Alive() error {
	var errs []error
	for _, w := range s.working {
		errs = append(errs, w.witness.Alive())
	}
	return errors.Join(errs...)
}

// Lost sums the records that found no room, by witness. None is normal.
func (s *Set) Lost() (map[string]uint64, error) {
	lost := make(map[string]uint64)
	for _, w := range s.working {
		c, err := w.witness.Counters()
		if err != nil {
			return lost, fmt.Errorf("read the account of %s: %w", w.name, err)
		}
		if c.Lost > 0 {
			lost[w.name] = c.Lost
		}
	}
	return lost, nil
}

// MapBytes is the memory in the kernel that all maps hold.
func (s *Set) MapBytes() (total uint64, err error) {
	var errs []error
	for _, w := range s.working {
		bytes, err := w.witness.MapBytes()
		total += bytes
		errs = append(errs, err)
	}
	return total, errors.Join(errs...)
}

// Close unloads everything; call it after each Watch has returned.
func (s *Set) Close() error {
	var errs []error
	if connector, ok := s.Exits.(*exits.Connector); ok {
		errs = append(errs, connector.Close())
	}
	for _, w := range s.working {
		errs = append(errs, w.witness.Close())
	}
	return errors.Join(errs...)
}

// Probe finds out which programs this kernel accepts and leaves nothing behind:
// for an operator who asks without a daemon. The error says why no program can
// be loaded at all.
func Probe(without ...string) ([]trial.Choice, error) {
	k, err := trial.Open()
	if err != nil {
		return nil, err
	}
	defer k.Close()
	k.Without = without
	var all []trial.Choice
	for _, job := range Jobs {
		choices, err := k.Try(job)
		if err != nil && !errors.Is(err, trial.ErrNone) {
			return all, err
		}
		all = append(all, choices...)
	}
	return all, nil
}
