package keeper_test

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

// TestInGuests boots each kernel with a BMC and runs the tests of a keeper that
// holds real countdowns there. It needs SHISA_VM=1 (make vm-test).
func TestInGuests(t *testing.T) {
	if os.Getenv("SHISA_VM") != "1" {
		t.Skip("boots guests only with SHISA_VM=1 (make vm-test)")
	}
	program := filepath.Join(t.TempDir(), "keeper.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(program)
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
		t.Run(s.Name, func(t *testing.T) { inGuest(t, s.Name, data) })
	}
}

func inGuest(t *testing.T, kernel string, program []byte) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
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
		Machine: vm.Machine{BMC: true},
		Present: []string{"softdog"},
		Files:   map[string]vm.File{"/keeper.test": {Data: program, Mode: 0o755}},
		Env:     []string{"SHISA_DEVICES=1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	// Each by itself, with a keeper of its own.
	for _, name := range []string{"TestOnDevicesKeeperIsRealTimeAndSmall", "TestOnDevicesUpgradeLeavesNoGap", "TestOnDevicesDeathLeavesTheCountdown", "TestLastWords", "TestMeasuringProcess"} {
		r, err := g.Run(ctx, "/keeper.test", "-test.v", "-test.run=^"+name+"$")
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s", r.Stdout)
		if r.Exit != 0 {
			t.Errorf("%s ended with %d\n%s", name, r.Exit, r.Stderr)
		}
	}
}
