package bpftest

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"shisa/bpf/timeline"
	"shisa/ci/vm"
)

// TestStuckShutdown hangs a guest in a driver's shutdown callback. While it
// hangs, the kernel's log must name the device; nobody in user space can any
// more.
func TestStuckShutdown(t *testing.T) {
	if os.Getenv("SHISA_VM") != "1" {
		t.Skip("boots guests only with SHISA_VM=1 (make vm-test)")
	}
	binaries := build(t)
	for _, kernel := range kernels(t) {
		t.Run(kernel.Name, func(t *testing.T) {
			module := module(t, kernel, "ci/kmod/faults", "faults")
			ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
			defer cancel()
			g, err := vm.Start(ctx, vm.Config{
				Kernel:      kernel,
				Machine:     vm.Machine{MemoryMiB: 768},
				Cmdline:     "tp_printk loglevel=7",
				Files:       map[string]vm.File{"/t/blame": binaries["/t/blame"]},
				Modules:     []string{"faults"},
				ModuleFiles: []string{module},
				Env:         []string{"BLAME_ROLE=hold", "TMPDIR=/tmp"},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			stuck(ctx, t, g)
		})
	}
}

func stuck(ctx context.Context, t *testing.T, g *vm.Guest) {
	holder, err := g.Go("/t/blame")
	if err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(holder.Output(), "ready") {
		if ctx.Err() != nil {
			t.Fatalf("the witness does not load: %s", holder.Output())
		}
		time.Sleep(100 * time.Millisecond)
	}
	if _, err := g.Sh(ctx, "echo hang-in-device > /sys/module/faults/parameters/now; (sleep 0.2; reboot -f) &"); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	for _, text := range []string{" devices-begin ", ` stuck 1`} {
		if line, err := g.Expect(ctx, text); err != nil {
			t.Fatalf("%q: %v\n%s", text, err, g.Console())
		} else {
			t.Logf("%.1f s: %s", time.Since(begin).Seconds(), line)
		}
	}
	marks, damaged := timeline.ParseAll(g.Console())
	report := timeline.Analyse(marks)
	var b strings.Builder
	if err := report.Render(&b, timeline.Options{Width: 100, Top: 5}); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d marks, %d damaged\n%s", len(marks), damaged, b.String())
	if report.Request != "restart" || report.Done || !strings.Contains(report.Summary(), "ends in faults (driver faults)") {
		t.Errorf("got %s", report.Summary())
	}
}
