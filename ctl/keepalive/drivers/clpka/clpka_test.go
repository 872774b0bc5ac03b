package clpka

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/keepalive"
	"shisa/kmod/uapi"
)

func TestConfig(t *testing.T) {
	tests := []struct {
		name string
		r    keepalive.Request
		want uapi.Config
	}{
		{"reset", keepalive.Request{Timeout: 90 * time.Second, Action: keepalive.Reset},
			uapi.Config{TimeoutMs: 90000, Action: uapi.ActionReset}},
		{"none", keepalive.Request{Timeout: time.Second, Action: keepalive.None}, uapi.Config{TimeoutMs: 1000}},
		{"panic with pretimeout", keepalive.Request{Timeout: 1500 * time.Millisecond, Action: keepalive.Panic,
			Pretimeout: keepalive.Messaging, Before: 250 * time.Millisecond},
			uapi.Config{TimeoutMs: 1500, PretimeoutMs: 250, Action: uapi.ActionPanic}},
		{"rounded up", keepalive.Request{Timeout: 3*time.Second + 1, Action: keepalive.PowerOff},
			uapi.Config{TimeoutMs: 3001, Action: uapi.ActionPowerOff}},
		{"pretimeout stays below", keepalive.Request{Timeout: time.Second, Before: time.Second - 1, Action: keepalive.Reset},
			uapi.Config{TimeoutMs: 1000, PretimeoutMs: 999, Action: uapi.ActionReset}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := config(tt.r); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestConfigure(t *testing.T) {
	request := keepalive.Request{Timeout: time.Second, Action: keepalive.Panic, Pretimeout: keepalive.Messaging, Before: 200 * time.Millisecond}
	tests := []struct {
		name string
		call func(*uapi.Config) error
		want keepalive.Granted
		err  string
	}{
		{"as asked", func(*uapi.Config) error { return nil },
			keepalive.Granted{Timeout: time.Second, Action: keepalive.Panic, Pretimeout: keepalive.Messaging, Before: 200 * time.Millisecond}, ""},
		{"longer, without pretimeout", func(c *uapi.Config) error { c.TimeoutMs, c.PretimeoutMs = 2000, 0; return nil },
			keepalive.Granted{Timeout: 2 * time.Second, Action: keepalive.Panic, Pretimeout: keepalive.NoPretimeout}, ""},
		{"another action", func(c *uapi.Config) error { c.Action = uapi.ActionReset; return nil },
			keepalive.Granted{Timeout: time.Second, Action: keepalive.Panic, Pretimeout: keepalive.Messaging, Before: 200 * time.Millisecond},
			"granted action 1 instead of panic"},
		{"refused", func(*uapi.Config) error { return unix.EINVAL }, keepalive.Granted{}, "arm /dev/clpka with 1s and panic: invalid argument"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := Open(t.TempDir(), "/dev/clpka")
			e.call = func(_ int, c *uapi.Config) error { return tt.call(c) }
			got, err := e.configure(request)
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
		})
	}
}

func TestNote(t *testing.T) {
	for _, text := range []string{"", "beat decide is missing", strings.Repeat("x", uapi.NoteMax), strings.Repeat("x", uapi.NoteMax+1)} {
		n := note(text)
		want := text[:min(len(text), uapi.NoteMax)]
		if got := string(n.Text[:n.Length]); got != want {
			t.Errorf("%d bytes: got %q", len(text), got)
		}
	}
}

func TestArmWithoutDevice(t *testing.T) {
	e := Open(t.TempDir(), "/dev/clpka")
	if err := e.Note("nobody reads it"); !errors.Is(err, keepalive.ErrNotArmed) {
		t.Errorf("note: got %v, want %v", err, keepalive.ErrNotArmed)
	}
	_, err := e.Arm(keepalive.Request{Timeout: time.Second, Action: keepalive.Panic})
	if !errors.Is(err, keepalive.ErrAbsent) {
		t.Errorf("got %v, want %v", err, keepalive.ErrAbsent)
	}
	if _, err := e.Arm(keepalive.Request{Timeout: time.Second, Action: keepalive.PowerCycle}); err == nil || !strings.Contains(err.Error(), "power_cycle") {
		t.Errorf("an action it does not have: got %v", err)
	}
	if err := e.Ping(); !errors.Is(err, keepalive.ErrNotArmed) {
		t.Errorf("ping: got %v, want %v", err, keepalive.ErrNotArmed)
	}
}
