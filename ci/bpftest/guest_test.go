package bpftest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"shisa/ci/vm"
	"shisa/ci/vm/wire"
)

// packages are tested in the guests; each test binary is static.
var packages = []string{"blame", "beats", "blockio", "stall", "exits"}

// bootTimeLimit bounds one guest, boot and all tests.
const bootTimeLimit = 15 * time.Minute

func TestGuests(t *testing.T) {
	if os.Getenv("SHISA_VM") != "1" {
		t.Skip("boots guests only with SHISA_VM=1 (make vm-test)")
	}
	if err := vm.Available(); err != nil {
		t.Fatal(err)
	}
	binaries := build(t)
	for _, kernel := range kernels(t) {
		t.Run(kernel.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), bootTimeLimit)
			defer cancel()
			g := boot(ctx, t, kernel, binaries)
			for _, pkg := range packages {
				runTests(ctx, t, g, pkg)
			}
		})
	}
}

func kernels(t *testing.T) []vm.Kernel {
	t.Helper()
	if name := os.Getenv("SHISA_VM_KERNEL"); name != "" {
		k, err := vm.Cached(name)
		if err != nil {
			t.Fatal(err)
		}
		return []vm.Kernel{k}
	}
	all, err := vm.CachedKernels()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no kernel is in the cache: go run ./ci/vm/cmd/vm fetch")
	}
	return all
}

// build compiles the test binaries and returns them as the guest's files.
func build(t *testing.T) map[string]vm.File {
	t.Helper()
	files := make(map[string]vm.File)
	dir := t.TempDir()
	for _, pkg := range packages {
		out := filepath.Join(dir, pkg)
		cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-trimpath", "-ldflags=-s -w", "-o", out, "shisa/bpf/"+pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if words, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build the tests of %s: %v\n%s", pkg, err, words)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		files["/t/"+pkg] = vm.File{Data: data, Mode: 0o755}
	}
	return files
}

func boot(ctx context.Context, t *testing.T, kernel vm.Kernel, files map[string]vm.File) *vm.Guest {
	t.Helper()
	g, err := vm.Start(ctx, vm.Config{
		Kernel:  kernel,
		Machine: vm.Machine{MemoryMiB: 768},
		Files:   files,
		Present: []string{"null_blk"},
		Mounts: []wire.Mount{
			{Source: "debugfs", Target: "/sys/kernel/debug", Type: "debugfs"},
		},
		Env: []string{"SHISA_GUEST=1", "TMPDIR=/tmp", "GOTRACEBACK=all"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

var result = regexp.MustCompile(`(?m)^--- (PASS|FAIL|SKIP): (\S+) \(([0-9.]+s)\)`)

// runTests runs one package's tests and reports each as a subtest of ours.
func runTests(ctx context.Context, t *testing.T, g *vm.Guest, pkg string) {
	t.Run(pkg, func(t *testing.T) {
		r, err := g.Run(ctx, "/t/"+pkg, "-test.v", "-test.timeout=12m")
		if err != nil {
			t.Fatalf("%v\n%s", err, g.Console())
		}
		for _, m := range result.FindAllStringSubmatch(r.Stdout, -1) {
			fmt.Printf("    %s %s %s\n", m[1], m[2], m[3])
		}
		if testing.Verbose() || r.Exit != 0 {
			t.Log(strings.ReplaceAll(r.Stdout+r.Stderr, "\n", "\n    "))
		}
		if r.Exit != 0 {
			t.Errorf("exit state %d", r.Exit)
		}
	})
}
