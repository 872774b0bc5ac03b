package beat_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/beat"
)

// mountBPF mounts a BPF file system for one test.
func mountBPF(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a BPF file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("bpf", dir, "bpf", 0, "mode=0700"); errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EPERM) {
		t.Skip("this kernel or container has no BPF file system: ", err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestPageInTheKernel(t *testing.T) {
	path := filepath.Join(mountBPF(t), "shisa", "page")
	daemon, err := beat.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	keeper, err := beat.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer keeper.Close()
	if !daemon.Kernel() || !keeper.Intact() || !keeper.Same(daemon) {
		t.Errorf("in the kernel: %v, intact: %v, the same: %v", daemon.Kernel(), keeper.Intact(), keeper.Same(daemon))
	}
	s, err := daemon.Slot("loop", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	s.Beat()
	var r beat.Reading
	if !keeper.Read(0, &r) || r.Name() != "loop" || r.Last != s.Last() || keeper.PID() != os.Getpid() {
		t.Errorf("the keeper reads %+v of process %d", r, keeper.PID())
	}
	last := s.Last()
	if err := daemon.Close(); err != nil {
		t.Fatal(err)
	}
	next, err := beat.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if keeper.Epoch() != 2 || keeper.Read(0, &r) || next.Progress() != last {
		t.Errorf("taken over: epoch %d, slot in use %v, progress %d of %d", keeper.Epoch(), keeper.Read(0, &r), next.Progress(), last)
	}
	file := filepath.Join(t.TempDir(), "page")
	other, err := beat.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if other.Kernel() || other.Same(next) || next.Same(other) {
		t.Error("a file counts as the array")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := beat.Open(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an array that is not kept: %v", err)
	}
}
