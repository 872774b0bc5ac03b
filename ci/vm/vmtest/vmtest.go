// Package vmtest runs the tests of a package inside guests, one for each kernel of
// ci/kernels.txt.
package vmtest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"shisa/ci/vm"
)

// limit bounds the tests in one guest, its boot among them.
const limit = 5 * time.Minute

// A Guest is what the tests find.
type Guest struct {
	Machine vm.Machine
	Present []string // modules that are there and not loaded
	Run     []string // patterns for -test.run; each is run by itself, one after the other
}

// InGuests builds the tests of the package in this folder, boots each kernel, or the
// one that SHISA_VM_KERNEL names, and runs them there with SHISA_DEVICES=1. Without
// SHISA_VM=1 (make vm-test), and for a kernel that cannot be had, it skips.
func InGuests(t *testing.T, guest Guest) {
	t.Helper()
	if os.Getenv("SHISA_VM") != "1" {
		t.Skip("boots guests only with SHISA_VM=1 (make vm-test)")
	}
	file := filepath.Join(t.TempDir(), "tests")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", file, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	program, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sources, err := vm.Sources()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sources {
		if only := os.Getenv("SHISA_VM_KERNEL"); only != "" && only != s.Name {
			continue
		}
		t.Run(s.Name, func(t *testing.T) { guest.run(t, s.Name, program) })
	}
}

// run boots one kernel and runs program there.
func (guest Guest) run(t *testing.T, kernel string, program []byte) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	k, err := vm.Get(ctx, kernel)
	if errors.Is(err, vm.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	g, err := vm.Start(ctx, vm.Config{
		Kernel:  k,
		Machine: guest.Machine,
		Present: guest.Present,
		Files:   map[string]vm.File{"/tests": {Data: program, Mode: 0o755}},
		Env:     []string{"SHISA_DEVICES=1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for _, pattern := range guest.Run {
		r, err := g.Run(ctx, "/tests", "-test.v", "-test.run="+pattern)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s", r.Stdout)
		if r.Exit != 0 {
			t.Errorf("%s ended with %d\n%s", pattern, r.Exit, r.Stderr)
		}
	}
}
