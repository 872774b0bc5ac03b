package stall

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"shisa/ctl/beat"
	"shisa/ctl/config"
	"shisa/ctl/event"
)

// bubble returns a page whose clock is that of the synctest bubble, begun at.
func bubble(at beat.Time) (*beat.Page, func() beat.Time) {
	begun := time.Now()
	now := func() beat.Time { return at.Add(time.Since(begun)) }
	return beat.New(now), now
}

const uptime = beat.Time(1000 * time.Second)

func settings() config.Stall {
	return config.Stall{Enabled: true, Interval: 3 * time.Second, Timeout: 90 * time.Second, OpenFile: true, CreateThread: true}
}

func fine() error { return nil }

func calm(string, bool, int64) error { return nil }

// readings returns what stands on the page.
func readings(page *beat.Page) map[string]beat.Reading {
	all := map[string]beat.Reading{}
	var r beat.Reading
	for i := range beat.MaxSlots {
		if page.Read(i, &r) {
			all[r.Name()] = r
		}
	}
	return all
}

func TestChecksBeatEachRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page, _ := bubble(uptime)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- Checks{file: calm, thread: fine}.Run(ctx, settings(), page) }()
		time.Sleep(time.Hour)
		synctest.Wait()
		for _, name := range []string{beat.FileCheck, beat.ThreadCheck} {
			r := readings(page)[name]
			if r.Count != 1201 || r.MaxDelay > 3*time.Second || r.Limit != 90*time.Second {
				t.Errorf("%s: %d beats, largest delay %v, limit %v", name, r.Count, r.MaxDelay, r.Limit)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if left := readings(page); len(left) != 0 {
			t.Errorf("slots are left: %v", left)
		}
	})
}

func TestHungCheckStopsOnlyItsOwnBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page, now := bubble(uptime)
		release := make(chan struct{})
		tries := 0
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		c := Checks{thread: fine, file: func(string, bool, int64) error { tries++; <-release; return nil }}
		go func() { done <- c.Run(ctx, settings(), page) }()
		time.Sleep(100 * time.Second)
		synctest.Wait()
		all := readings(page)
		file, thread := all[beat.FileCheck], all[beat.ThreadCheck]
		if age := now().Sub(file.Last); age < 90*time.Second || tries != 1 {
			t.Errorf("the hung check is %v old after %d tries", age, tries)
		}
		if age := now().Sub(thread.Last); age > 3*time.Second {
			t.Errorf("the other check is %v old, too", age)
		}
		cancel()
		before := time.Now()
		<-done
		if waited := time.Since(before); waited != grace {
			t.Errorf("waited %v for a check that hangs", waited)
		}
		successor, err := page.Slot("somebody else", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		last := successor.Last()
		time.Sleep(time.Minute)
		close(release)
		synctest.Wait()
		if successor.Last() != last {
			t.Error("a check that came back after its end beats on the slot of another")
		}
	})
}

func TestFailingCheckDoesNotBeatAndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page, now := bubble(uptime)
		var full atomic.Bool
		full.Store(true)
		var told []string
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c := Checks{
			thread: fine,
			file: func(string, bool, int64) error {
				if full.Load() {
					return syscall.ENOSPC
				}
				return nil
			},
			Fail: func(check string, err error) { told = append(told, fmt.Sprint(check, " ", err)) },
		}
		go c.Run(ctx, settings(), page)
		time.Sleep(time.Minute)
		synctest.Wait()
		if age := now().Sub(readings(page)[beat.FileCheck].Last); age < time.Minute {
			t.Errorf("a full disk still beats: %v", age)
		}
		full.Store(false)
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if want := "[stall/file no space left on device stall/file <nil>]"; fmt.Sprint(told) != want {
			t.Errorf("told %v, want %v", told, want)
		}
		cancel()
		synctest.Wait()
	})
}

// TestFix012: the original's user space monitor did not start when the watch
// over shutdowns was switched off. Here the checks take no other settings than
// their own, and each runs with every other one off.
func TestFix012StartsWithEveryOtherSwitchOff(t *testing.T) {
	for i := range 8 {
		model := config.Model{Shutdown: config.Shutdown{Watch: "never"}, Stall: settings()}
		s := &model.Stall
		s.OpenFile, s.CreateThread, s.WriteFile = i&1 != 0, i&2 != 0, i&4 != 0
		synctest.Test(t, func(t *testing.T) {
			page, _ := bubble(uptime)
			ctx, cancel := context.WithCancel(t.Context())
			go Checks{file: calm, thread: fine}.Run(ctx, model.Stall, page)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			all := readings(page)
			for name, want := range map[string]bool{beat.FileCheck: s.OpenFile, beat.ThreadCheck: s.CreateThread} {
				if got := all[name].Count > 0; got != want {
					t.Errorf("open %v, thread %v, write %v: %s beats: %v", s.OpenFile, s.CreateThread, s.WriteFile, name, got)
				}
			}
			cancel()
			synctest.Wait()
		})
	}
}

// TestFix019: the original printed the delay in another unit than it said.
func TestFix019DelayIsInMilliseconds(t *testing.T) {
	e := Delay{Beat: "scheduler", Delay: 72500 * time.Millisecond, Limit: 90 * time.Second}.Event()
	if want := "Beat scheduler is late by 72500 ms of 90000 ms."; e.Text != want {
		t.Errorf("%q, want %q", e.Text, want)
	}
	if e.Code != event.StallDelay.Code || e.Severity != event.Warning || e.Fields["delay_ms"] != "72500" || e.Fields["timeout_ms"] != "90000" {
		t.Errorf("%+v", e)
	}
}

// wraps are uptimes just before a counter of clock ticks wraps, signed or not.
func wraps() map[string]beat.Time {
	all := map[string]beat.Time{}
	for _, hz := range []int64{100, 250, 1000} {
		for _, bits := range []int{31, 32} {
			at := beat.Time((int64(1) << bits) * (int64(time.Second) / hz))
			all[fmt.Sprintf("%d bits of 1/%d s: %d days", bits, hz, time.Duration(at)/(24*time.Hour))] = at.Add(-30 * time.Second)
		}
	}
	return all
}

// TestFix085: after 198 days the original warned of delays that were none.
func TestFix085NoFalseWarningAcrossTickWraps(t *testing.T) {
	for name, at := range wraps() {
		synctest.Test(t, func(t *testing.T) {
			page, now := bubble(at)
			slot, err := page.Slot("loop", 90*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			var d Delays
			for range 20 {
				slot.Beat()
				time.Sleep(3 * time.Second)
				if got := d.Look(page, now(), 80); len(got) != 0 {
					t.Errorf("%s: %+v", name, got)
				}
			}
		})
	}
}

// TestFix086: after 198 days monitors of the original found errors that were
// none. The checks, run across each wrap, stay in time.
func TestFix086NoFalseErrorAcrossTickWraps(t *testing.T) {
	for name, at := range wraps() {
		synctest.Test(t, func(t *testing.T) {
			page, now := bubble(at)
			ctx, cancel := context.WithCancel(t.Context())
			go Checks{file: calm, thread: fine}.Run(ctx, settings(), page)
			for range 60 {
				time.Sleep(time.Second)
				synctest.Wait()
				for check, r := range readings(page) {
					if age := now().Sub(r.Last); age < 0 || age > 3*time.Second {
						t.Errorf("%s: %s is %v old", name, check, age)
					}
				}
			}
			cancel()
			synctest.Wait()
		})
	}
}

// TestEnhancement043: timeouts are judged rightly after 447 and 497 days, when
// the original was told invalid start times.
func TestEnhancement043TimeoutsAfterLongUptime(t *testing.T) {
	for _, days := range []int64{447, 497} {
		synctest.Test(t, func(t *testing.T) {
			page, now := bubble(beat.Time(days * 24 * int64(time.Hour)))
			if _, err := page.Slot("loop", 90*time.Second); err != nil {
				t.Fatal(err)
			}
			var d Delays
			time.Sleep(71 * time.Second)
			if got := d.Look(page, now(), 80); len(got) != 0 {
				t.Errorf("%d days: a warning after 71 of 90 s: %+v", days, got)
			}
			time.Sleep(time.Second)
			if got := d.Look(page, now(), 80); len(got) != 1 || got[0].Delay != 72*time.Second {
				t.Errorf("%d days: after 72 of 90 s: %+v", days, got)
			}
		})
	}
}

func TestDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		page, now := bubble(uptime)
		slot, err := page.Slot("loop", 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var d Delays
		look := func(percent int) string { return fmt.Sprint(d.Look(page, now(), percent)) }
		slot.Beat()
		step := func(name string, wait time.Duration, beats bool, percent int, want string) {
			t.Helper()
			time.Sleep(wait)
			if beats {
				slot.Beat()
			}
			if got := look(percent); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
		step("in time", 7*time.Second, false, 80, "[]")
		step("late", time.Second, false, 80, "[{loop 8s 10s false}]")
		step("told already", time.Second, false, 80, "[]")
		step("it came, and had been told", time.Second, true, 80, "[]")
		step("a second delay is told, too", 9*time.Second, false, 80, "[{loop 9s 10s false}]")
		step("over", 0, true, 80, "[]")
		step("nobody looked meanwhile", 30*time.Second, true, 80, "[{loop 30s 10s true}]")
		step("once", time.Second, false, 80, "[]")
		step("measuring", time.Second, false, 0, "[{loop 2s 10s false}]")
		step("measuring again", time.Second, false, 0, "[{loop 3s 10s false}]")
		step("never", time.Hour, false, 100, "[]")
		slot.Release()
		step("released", time.Hour, false, 0, "[]")
	})
}

func TestTouchFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "check")
	for _, size := range []int64{1, 10000, chunk + 1, 9999999} {
		if err := touchFile(path, true, size); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if err := touchFile(path, false, 0); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := touchFile(filepath.Join(dir, "missing", "check"), false, 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without its directory: %v", err)
	}
	victim := filepath.Join(dir, "victim")
	if err := errors.Join(os.WriteFile(victim, []byte("content"), 0o600), os.Symlink(victim, path)); err != nil {
		t.Fatal(err)
	}
	if err := touchFile(path, true, 5); err == nil {
		t.Error("a symbolic link was followed")
	}
}

func TestFullDisk(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full: ", err)
	}
	defer f.Close()
	if err := fill(f, 5); err == nil {
		t.Error("a full disk is no error")
	}
}

func TestMakeThread(t *testing.T) {
	if err := makeThread(); err != nil {
		t.Error(err)
	}
}
