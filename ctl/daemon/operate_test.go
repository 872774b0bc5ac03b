package daemon

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/config"
	"shisa/ctl/event"
	"shisa/ctl/log"
	"shisa/ctl/monitor"
	"shisa/ctl/store"
)

// inFolder returns a daemon that does not run, whose configuration is in dir.
func inFolder(t *testing.T) (d *Daemon, dir string) {
	s, err := store.Open(filepath.Join(t.TempDir(), "state"), store.Options{Stamp: func() store.Stamp { return store.Stamp{Time: time.Now(), Boot: "test"} }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	dir = t.TempDir()
	return &Daemon{model: &config.Model{Dir: dir}, parts: Parts{Store: s, Bus: event.NewBus(func(e *event.Event) { e.Time = time.Now() }), Log: log.Discard()}}, dir
}

// TestStretchEnds: probes have more time, and the configured one again when the
// stretch is over.
func TestStretchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, oneService, nil)
		defer w.end()
		if _, err := w.daemon.Stretch(t.Context(), api.StretchCommand{Ratio: 3, ForMS: api.Millis(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		ratio := func() int {
			s, err := w.daemon.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return s.Stretch.Ratio
		}
		time.Sleep(59 * time.Minute)
		if got := ratio(); got != 3 {
			t.Errorf("within the hour: ratio %d, want 3", got)
		}
		time.Sleep(2 * time.Minute)
		if got := ratio(); got != 1 {
			t.Errorf("after the hour: ratio %d, want 1", got)
		}
		events, err := w.daemon.Events(t.Context(), api.EventQuery{Codes: []string{event.TimeoutsNormal.Code}})
		if err != nil || len(events) != 1 {
			t.Errorf("the end is announced %d times (%v), want once", len(events), err)
		}
	})
}

func TestStretchRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, oneService, nil)
		defer w.end()
		for _, c := range []api.StretchCommand{
			{Ratio: 0}, {Ratio: 10001, ForMS: api.Millis(time.Hour)}, {Ratio: 2}, {Ratio: 2, ForMS: api.Millis(31 * 24 * time.Hour)},
			{Ratio: 2, ForMS: api.Millis(-time.Second)},
		} {
			if _, err := w.daemon.Stretch(t.Context(), c); api.CodeOf(err) != api.BadRequest {
				t.Errorf("%+v: %v", c, err)
			}
		}
	})
}

func TestNote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, oneService, nil)
		defer w.end()
		for _, text := range []string{"", " \n", strings.Repeat("x", api.NoteLimit+1)} {
			if _, err := w.daemon.Note(t.Context(), api.NoteCommand{Text: text}); api.CodeOf(err) != api.BadRequest {
				t.Errorf("%d bytes: %v", len(text), err)
			}
		}
		if _, err := w.daemon.Note(t.Context(), api.NoteCommand{Text: "batch\nis late", Severity: event.Error, ID: 7}); err != nil {
			t.Fatal(err)
		}
		events, err := w.daemon.Events(t.Context(), api.EventQuery{Codes: []string{event.OperatorNote.Code}})
		if err != nil || len(events) != 1 {
			t.Fatalf("%d events (%v)", len(events), err)
		}
		if e := events[0]; e.Text != "batch is late" || e.Severity != event.Error || e.Fields["id"] != "7" {
			t.Errorf("%+v", e)
		}
	})
}

// TestFix067ScriptsWhereDocumented: a script in the documented folder runs.
func TestFix067ScriptsWhereDocumented(t *testing.T) {
	d, dir := inFolder(t)
	told, err := d.parts.Bus.Subscribe(10)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, api.ScriptDir)
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "hello"), []byte("#!/bin/sh\necho hello from $PWD\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := d.Script(t.Context(), api.ScriptCommand{Name: "hello"})
	if err != nil || r.Status != 3 || r.OK || r.Output != "hello from "+folder+"\n" {
		t.Errorf("%+v, %v", r, err)
	}
	if err := os.WriteFile(filepath.Join(folder, "well"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if r, err := d.Script(t.Context(), api.ScriptCommand{Name: "well"}); err != nil || !r.OK {
		t.Errorf("%+v, %v", r, err)
	}
	told.Close()
	var ends []string
	for {
		d, err := told.Next(t.Context())
		if err != nil {
			break
		}
		if e := d.Event; e.Code != event.OperatorCommand.Code {
			ends = append(ends, e.Code+" "+e.Fields["name"]+" "+e.Fields["outcome"])
		}
	}
	if !slices.Equal(ends, []string{"script-failed hello exited with status 3", "script-done well exited with status 0"}) {
		t.Errorf("told of %q", ends)
	}
	for name, want := range map[string]api.ErrorCode{"nosuch": api.NotFound, "../hello": api.BadRequest, "a/b": api.BadRequest, "..": api.BadRequest, ".hidden": api.BadRequest} {
		if _, err := d.Script(t.Context(), api.ScriptCommand{Name: name}); api.CodeOf(err) != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if _, err := d.Script(context.Background(), api.ScriptCommand{Name: "hello", TimeMS: api.Millis(2 * time.Hour)}); api.CodeOf(err) != api.BadRequest {
		t.Errorf("two hours: %v", err)
	}
}

func TestSpeed(t *testing.T) {
	d, dir := inFolder(t)
	d.parts.SysDir = dir
	if _, err := d.Speed(t.Context(), api.SpeedCommand{Mode: api.SpeedHigh}); api.CodeOf(err) != api.Conflict {
		t.Errorf("without governors: %v", err)
	}
	policy := filepath.Join(dir, "devices/system/cpu/cpufreq/policy0")
	if err := os.MkdirAll(policy, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"scaling_available_governors": "performance powersave", "scaling_governor": "powersave"} {
		if err := os.WriteFile(filepath.Join(policy, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := d.Speed(t.Context(), api.SpeedCommand{Mode: api.SpeedHigh})
	if err != nil || r.Text != "Governors of the processors: performance." {
		t.Errorf("%q, %v", r.Text, err)
	}
}

// TestFix029ClearedCountersBeginAnew: counters that are cleared after the final
// action are cleared for good: recovery begins again at its first step.
func TestFix029ClearedCountersBeginAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, strings.Replace(oneService, `final_action = "reboot"`, `final_action = "none"`, 1), nil)
		defer w.end()
		time.Sleep(time.Minute)
		w.set("web", func(s *scripted) { s.verdict = monitor.Failed })
		counters := func() api.Counters {
			s, err := w.daemon.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return s.Monitors[0].Counters
		}
		time.Sleep(10 * time.Minute)
		if n := counters(); !n.Exhausted || n.Restarts != 2 {
			t.Fatalf("recovery has not come to its end: %+v", n)
		}
		starts := w.look("web").starts
		if _, err := w.daemon.Monitor(t.Context(), api.MonitorCommand{Name: "web", Verb: api.ResetMonitor}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if again := w.look("web").starts - starts; again != 2 || !counters().Exhausted {
			t.Errorf("%d restarts after the counters were cleared, want the whole recovery of 2 again: %+v", again, counters())
		}
	})
}
