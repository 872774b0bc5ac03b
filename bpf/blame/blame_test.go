package blame

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shisa/bpf/timeline"
	"shisa/bpf/trial"
)

// TestMain also serves as a guest's daemon that witnesses the shutdown.
func TestMain(m *testing.M) {
	if os.Getenv("BLAME_ROLE") != "hold" {
		os.Exit(m.Run())
	}
	k, err := trial.Open()
	if err != nil {
		panic(err)
	}
	w, err := Load(k)
	if err != nil {
		panic(err)
	}
	if err := w.Begin(); err != nil {
		panic(err)
	}
	log, err := Log()
	if err != nil {
		panic(err)
	}
	fmt.Println("ready")
	err = w.Watch(context.Background(), func(m timeline.Mark) { fmt.Fprintln(log, "user", m.Text()) })
	panic(err)
}

func load(t *testing.T) *Witness {
	t.Helper()
	k, err := trial.Open()
	if errors.Is(err, trial.ErrPrivilege) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	w, err := Load(k)
	t.Logf("loaded in %v", time.Since(begin))
	for _, c := range w.Choices() {
		t.Log(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func TestUserPhase(t *testing.T) {
	w := load(t)
	marks := make(chan timeline.Mark, 4096)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Watch(ctx, func(m timeline.Mark) { marks <- m }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	kill := func() int {
		cmd := exec.Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cmd.Process.Signal(unix.SIGTERM)
		cmd.Wait()
		return cmd.Process.Pid
	}
	before := kill()
	if err := w.Begin(); err != nil {
		t.Fatal(err)
	}
	pid := kill()
	unix.Sync()
	if err := w.Abandon(); err != nil {
		t.Fatal(err)
	}
	// The kernel's functions may be out of reach (no trampolines, no probes).
	last, syncs := timeline.Exit, w.has("sync-end")
	if syncs {
		last = timeline.SyncEnd
	}
	var got []timeline.Mark
	for timeout := time.After(20 * time.Second); !slices.ContainsFunc(got, func(m timeline.Mark) bool { return m.Kind == last && (m.PID == pid || m.PID == os.Getpid()) }); {
		select {
		case m := <-marks:
			got = append(got, m)
		case <-timeout:
			t.Fatalf("%v was not told: %+v", last, got)
		}
	}
	has := func(kind timeline.Kind, pid int) bool {
		return slices.ContainsFunc(got, func(m timeline.Mark) bool { return m.Kind == kind && m.PID == pid })
	}
	if has(timeline.Exit, before) {
		t.Error("told of an exit before the beginning")
	}
	if !has(timeline.Signal, pid) || !has(timeline.Exit, pid) || syncs && !has(timeline.SyncBegin, os.Getpid()) {
		t.Errorf("got %+v", got)
	}
	report := timeline.Analyse(got)
	if syncs && !slices.ContainsFunc(report.Spans, func(s timeline.Span) bool { return s.Class == timeline.Sync && !s.Unfinished }) {
		t.Errorf("got %+v", report)
	}
}

func TestDetachedProgramIsNoticed(t *testing.T) {
	w := load(t)
	if !w.has("signal") {
		t.Skip("this kernel has no program for signals")
	}
	if err := w.Alive(); err != nil {
		t.Error(err)
	}
	if err := w.loaded.Link("signal").Close(); err != nil {
		t.Fatal(err)
	}
	if w.Alive() == nil {
		t.Error("a program that sees nothing any more counts as alive")
	}
}

// TestKernelIsReached fails where a kernel with trampolines does not let the
// witness into device shutdown, or without timers for programs.
func TestKernelIsReached(t *testing.T) {
	if os.Getenv("SHISA_GUEST") == "" {
		t.Skip("this machine may refuse trampolines")
	}
	w := load(t)
	for _, part := range []string{"restart", "power-off", "devices-begin", "devices-end", "device", "sync-begin", "sync-end", "signal", "exit"} {
		if !w.has(part) {
			t.Errorf("%s has no program", part)
		}
	}
}
