package daemon

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/decide"
	"shisa/ctl/monitor"
)

// TestRebootWindow: a reboot that is decided outside of its window waits for
// it, is shown, and is taken in it.
func TestRebootWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := time.Now().Add(3 * time.Hour)
		window := "daily " + open.Format("15:04") + "-" + open.Add(time.Hour).Format("15:04")
		w := begin(t, strings.Replace(oneService, "[[group]]", "[reboot]\nwindows = [\""+window+"\"]\n[[group]]", 1), nil)
		defer w.end()
		time.Sleep(time.Minute)
		w.set("web", func(s *scripted) { s.verdict = monitor.Failed })
		time.Sleep(2 * time.Hour)
		if got := w.actions(); len(got) != 0 {
			t.Fatalf("before the window: %v", got)
		}
		s, err := w.daemon.Status(t.Context())
		if err != nil || !strings.Contains(strings.Join(s.Suppression.Reasons, " "), "no reboot window is open") {
			t.Errorf("status does not say what waits: %v, %v", s.Suppression.Reasons, err)
		}
		time.Sleep(time.Until(open) + 30*time.Second)
		if got := w.actions(); len(got) != 1 || got[0] != "reboot" {
			t.Errorf("in the window: %v", got)
		}
	})
}

// TestBlockers: files and programs forbid, and what cannot be found out does.
func TestBlockers(t *testing.T) {
	dir := t.TempDir()
	program := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	there := program("there", "")
	d := &Daemon{model: &config.Model{Dir: dir}}
	for _, tt := range []struct {
		name string
		ask  decide.AskBlockers
		want string
	}{
		{"nothing", decide.AskBlockers{}, ""},
		{"no file", decide.AskBlockers{Files: []string{dir + "/absent"}}, ""},
		{"a file", decide.AskBlockers{Files: []string{dir + "/absent", there}}, "there exists"},
		{"exit 0", decide.AskBlockers{Program: program("free", "exit 0")}, ""},
		{"beside the configuration", decide.AskBlockers{Program: "free"}, ""},
		{"exit 3", decide.AskBlockers{Program: program("busy", "exit 3")}, "status 3"},
		{"absent", decide.AskBlockers{Program: dir + "/absent"}, "no such file"},
		{"too slow", decide.AskBlockers{Program: program("slow", "sleep 60"), Timeout: 300 * time.Millisecond}, "slow"},
	} {
		if tt.ask.Timeout == 0 {
			tt.ask.Timeout = time.Minute
		}
		got := d.forbidden(context.Background(), tt.ask)
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
