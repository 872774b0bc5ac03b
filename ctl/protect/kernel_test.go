package protect_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/beat"
	"shisa/ctl/config"
	"shisa/ctl/keeper"
	"shisa/ctl/protect"
)

// TestPageInTheKernel: where a BPF file system is mounted the keeper judges the
// page that the kernel can judge, too.
func TestPageInTheKernel(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a BPF file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("bpf", dir, "bpf", 0, "mode=0700"); err != nil {
		t.Skip("no BPF file system here: ", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	b := newBench(t)
	b.options.Kernel = filepath.Join(dir, "shisa", "page")
	b.Protect = protect.New(b.options)
	if age, pinger := b.HandOver(); age != 0 || pinger != 0 {
		t.Errorf("handed over at age %v although nothing is armed", age)
	}
	b.Beat("loop")()
	b.Configure(t.Context(), model(func(m *config.Model) { m.Stall.Absence = 90 * time.Second }), "")
	status, err := keeper.Client{Socket: b.options.Socket}.Status(t.Context())
	if err != nil || status.Page != b.options.Kernel || !b.Page().Kernel() {
		t.Errorf("the keeper judges %q, %v", status.Page, err)
	}
	if age, pinger := b.HandOver(); age != 90*time.Second || pinger != status.PID {
		t.Errorf("handed over at age %v, by %d; want the longest that the keeper allows, of %d", age, pinger, status.PID)
	}
	page, err := beat.Open(b.options.Kernel)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	for end := time.Now().Add(20 * time.Second); page.Keeper().Round.Load() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the keeper writes nothing on it")
		}
	}
	b.Shutdown(t.Context(), "test")
	if age, _ := b.HandOver(); age != 0 {
		t.Errorf("handed over at age %v although the countdown guards the shutdown", age)
	}
}

// TestKernelPageElsewhere: without a BPF file system the page is a file.
func TestKernelPageElsewhere(t *testing.T) {
	b := newBench(t)
	b.options.Kernel = filepath.Join(t.TempDir(), "shisa", "page")
	b.Protect = protect.New(b.options)
	b.Beat("loop")()
	b.Configure(t.Context(), model(), "")
	status, err := keeper.Client{Socket: b.options.Socket}.Status(t.Context())
	if err != nil || status.Page != b.options.Page || b.Page().Kernel() {
		t.Errorf("the keeper judges %q, %v", status.Page, err)
	}
}
