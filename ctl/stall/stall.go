// Package stall holds the optional checks of the stall monitor, the original's
// userw: each round a file is opened, written and removed, and a thread is made.
// A check proves its progress on the page of beats like every other loop of the
// daemon; what hangs or fails does not beat, and the keeper draws the conclusion.
//
// A full disk therefore counts as a stall when the file check is on, as it did
// with the original.
package stall

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"time"

	"shisa/ctl/beat"
	"shisa/ctl/config"
)

// FileName is the file of the file check below the state directory, unless
// configured.
const FileName = "stall.check"

// grace is how long Run waits at its end for a check that is under way.
const grace = time.Second

// Checks run the optional checks. The zero Checks is usable with an absolute
// file in the configuration.
type Checks struct {
	Dir string // state directory

	// Fail is told when a check begins to fail, and with nil when it
	// succeeds again. A check that hangs is not told: its beat is missing.
	Fail func(check string, err error)

	file   func(path string, write bool, size int64) error // nil: touchFile
	thread func() error                                    // nil: makeThread
}

// A check is one thing that is tried each round.
type check struct {
	name string
	try  func() error
}

// Run runs the checks that s wants, each in a goroutine of its own with at most
// one try under way, until ctx is done. Then it waits at most a second: what
// hangs in the kernel ends when the kernel lets it, and beats no more.
//
// A round begins one interval after the last one began; what was missed is
// skipped.
func (c Checks) Run(ctx context.Context, s config.Stall, page *beat.Page) error {
	var running sync.WaitGroup
	var slots []*beat.Slot
	defer func() {
		for _, slot := range slots {
			slot.Release()
		}
	}()
	var errs []error
	for _, check := range c.wanted(s) {
		slot, err := page.Slot(check.name, s.Timeout)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		slots = append(slots, slot)
		running.Go(func() { c.repeat(ctx, check, s.Interval, slot) })
	}
	<-ctx.Done()
	ended := make(chan struct{})
	go func() { // ends with the checks
		running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(grace):
	}
	return errors.Join(errs...)
}

func (c Checks) wanted(s config.Stall) []check {
	var checks []check
	if !s.Enabled {
		return nil
	}
	if s.OpenFile {
		path := s.File
		if path == "" {
			path = filepath.Join(c.Dir, FileName)
		}
		try := c.file
		if try == nil {
			try = touchFile
		}
		checks = append(checks, check{beat.FileCheck, func() error { return try(path, s.WriteFile, s.WriteSize) }})
	}
	if s.CreateThread {
		try := c.thread
		if try == nil {
			try = makeThread
		}
		checks = append(checks, check{beat.ThreadCheck, try})
	}
	return checks
}

// repeat tries one check until ctx is done.
func (c Checks) repeat(ctx context.Context, check check, interval time.Duration, slot *beat.Slot) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		begun := time.Now()
		err := check.try()
		if ctx.Err() != nil {
			return // the slot may be somebody else's by now
		}
		if err == nil {
			slot.Beat()
		}
		if c.Fail != nil && (err != nil) != failing {
			c.Fail(check.name, err)
		}
		failing = err != nil
		timer.Reset(interval - time.Since(begun)%interval)
	}
}
