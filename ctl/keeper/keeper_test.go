package keeper_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shisa/ctl/beat"
	"shisa/ctl/keepalive"
	"shisa/ctl/keepalive/drivers"
	"shisa/ctl/keeper"
	"shisa/ctl/keeper/guard"
	"shisa/ctl/keeper/wire"
)

// TestMain lets the test's own program be the keeper: then the real process is
// tested without building it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[0] == "shisa-keeper" {
		os.Exit(guard.Main("test", os.Args[1:], drivers.Open))
	}
	os.Exit(m.Run())
}

// spawn starts a keeper that is stopped at the end of the test.
func spawn(t *testing.T) (keeper.Client, keeper.Status) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "keeper.sock")
	s, err := keeper.Spawn(t.Context(), program, socket)
	if err != nil {
		t.Fatal(err)
	}
	c := keeper.Client{Socket: socket}
	t.Cleanup(func() {
		// One test kills it; in the others a keeper that is gone fails the test before.
		if _, err := c.Stop(context.Background(), "end of the test"); err != nil && !errors.Is(err, keeper.ErrAbsent) {
			t.Errorf("stop: %v", err)
		}
	})
	return c, s
}

func measure(page string) keeper.Orders {
	return keeper.Orders{Page: page, Fresh: 2 * time.Second, Guards: []keeper.Guard{{
		Role: keepalive.Primary, Driver: "none", Request: keepalive.Request{Timeout: 3 * time.Second, Action: keepalive.None},
	}}}
}

func TestMeasuringProcess(t *testing.T) {
	c, s := spawn(t)
	if s.State != wire.Idle || s.PID == os.Getpid() {
		t.Fatalf("a fresh keeper is %v in process %d", s.State, s.PID)
	}
	t.Logf("lacks: %q", s.Degraded)
	path := filepath.Join(t.TempDir(), "beats")
	page, err := beat.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	slot, err := page.Slot("loop", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	slot.Beat()
	s, err = c.Arm(t.Context(), measure(path))
	if err != nil {
		t.Fatal(err)
	}
	if s.State != wire.Measuring || s.Daemon != os.Getpid() || len(s.Engines) != 1 || !s.Engines[0].Armed {
		t.Errorf("status %+v", s)
	}
	if s, err = c.Upgrade(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if s.State != wire.Measuring || s.Daemon != os.Getpid() || len(s.Engines) != 1 || !s.Engines[0].Armed {
		t.Errorf("after the upgrade: %+v", s)
	}
	if s, err = c.Upgrade(t.Context(), "/bin/false"); !errors.Is(err, keeper.ErrRefused) || s.State != wire.Idle {
		t.Logf("%+v", s)
		if err == nil || !strings.Contains(err.Error(), "does not run") {
			t.Errorf("upgrade to a program that is broken: %v", err)
		}
	}
	if s, err = c.Disarm(t.Context(), "test"); err != nil || len(s.Engines) != 0 {
		t.Errorf("disarm: %v, %+v", err, s.Engines)
	}
}

// TestLastWords lets a real keeper find a stale beat, and its witness write.
func TestLastWords(t *testing.T) {
	c, _ := spawn(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "beats")
	page, err := beat.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	slot, err := page.Slot("scheduler", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	o := measure(path)
	o.LastWords = filepath.Join(dir, "last-words")
	if _, err := c.Arm(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	await := func(what string, seen func([]keeper.LastWords) bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			words, err := keeper.ReadLastWords(o.LastWords)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			if seen(words) {
				return
			}
		}
		words, err := keeper.ReadLastWords(o.LastWords)
		t.Fatalf("%s was not written: %+v, %v", what, words, err)
	}
	await("the end", func(words []keeper.LastWords) bool {
		n := len(words)
		return n > 0 && words[n-1].Phase == "final" && words[n-1].Complete && words[n-1].Beat == "scheduler" && words[n-1].Daemon.PID == os.Getpid()
	})
	s, err := c.Status(t.Context())
	if err != nil || s.Stale != "scheduler" || s.StaleFor < 800*time.Millisecond || s.Largest < 800*time.Millisecond {
		t.Errorf("status %+v, %v", s, err)
	}
	slot.SetLimit(time.Hour)
	slot.Beat()
	await("the recovery", func(words []keeper.LastWords) bool { return words[len(words)-1].Phase == "recovered" })
}

func TestRefusals(t *testing.T) {
	c, _ := spawn(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "beats")
	page, err := beat.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	junk := filepath.Join(dir, "junk")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c1 := range map[string]struct {
		change func(*keeper.Orders)
		want   string
	}{
		"no page":        {func(o *keeper.Orders) { o.Page = "" }, "no page of beats"},
		"missing page":   {func(o *keeper.Orders) { o.Page = path + "x" }, "no such file"},
		"foreign page":   {func(o *keeper.Orders) { o.Page = junk }, "not a page of beats"},
		"unknown driver": {func(o *keeper.Orders) { o.Guards[0].Driver = "magic" }, `no keepalive driver "magic"; there are: `},
		"wrong action":   {func(o *keeper.Orders) { o.Guards[0].Request.Action = keepalive.Panic }, "none cannot panic; it can: none"},
		"no device": {func(o *keeper.Orders) {
			o.Guards[0].Driver, o.Guards[0].Device = "wdt", filepath.Join(dir, "watchdog9")
			o.Guards[0].Request.Action = keepalive.Reset
		}, "not present"},
		"three engines": {func(o *keeper.Orders) { o.Guards = append(o.Guards, o.Guards[0], o.Guards[0]) }, "two are the most"},
		"one device twice": {func(o *keeper.Orders) {
			o.Guards[0].Device = "/dev/null"
			o.Guards = append(o.Guards, o.Guards[0])
		}, "ordered twice"},
	} {
		o := measure(path)
		c1.change(&o)
		s, err := c.Arm(t.Context(), o)
		if !errors.Is(err, keeper.ErrRefused) || !strings.Contains(err.Error(), c1.want) {
			t.Errorf("%s: %v, want %q", name, err, c1.want)
		}
		for _, e := range s.Engines {
			if e.Armed {
				t.Errorf("%s: %s is armed", name, e.Driver)
			}
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	_, err := keeper.Client{Socket: filepath.Join(t.TempDir(), "none")}.Status(t.Context())
	if !errors.Is(err, keeper.ErrAbsent) {
		t.Errorf("%v, want ErrAbsent", err)
	}
}
