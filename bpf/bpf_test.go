package bpf

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"

	"shisa/bpf/exits"
	"shisa/bpf/trial"
)

func privileged(t *testing.T) {
	t.Helper()
	if _, err := trial.Open(); errors.Is(err, trial.ErrPrivilege) {
		t.Skip(err)
	}
}

func TestOpen(t *testing.T) {
	privileged(t)
	s := Open(Options{})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, status := range s.Report() {
		t.Log(status)
		for _, c := range status.Choices {
			t.Logf("    %.200s", c)
		}
	}
	t.Logf("loaded in %v", s.Took())
	if err := s.Alive(); err != nil {
		t.Error(err)
	}
	if lost, err := s.Lost(); err != nil || len(lost) != 0 {
		t.Errorf("lost %v, %v", lost, err)
	}
	bytes, err := s.MapBytes()
	if err != nil || bytes > 2<<20 {
		t.Errorf("the maps hold %d bytes, %v; at most 2 MiB are promised", bytes, err)
	}
	t.Logf("the maps hold %d KiB", bytes>>10)
}

// TestOpenWithoutPrograms takes every program away: all must still work.
func TestOpenWithoutPrograms(t *testing.T) {
	s := Open(Options{Without: []string{"*"}})
	t.Cleanup(func() { s.Close() })
	if s.Exits == nil || s.Tasks == nil || s.Blocks != nil || s.Beats != nil || s.Blame != nil {
		t.Errorf("got %+v", s)
	}
	if _, err := s.Tasks.Scan(); err != nil {
		t.Error(err)
	}
	for _, status := range s.Report() {
		t.Log(status, status.Reasons)
		if !status.Reduced && status.Active != "" || len(status.Reasons) == 0 {
			t.Errorf("%s does not say that it is reduced, or why", status.Witness)
		}
	}
	if err := s.Alive(); err != nil {
		t.Error(err)
	}
}

func TestProbe(t *testing.T) {
	privileged(t)
	choices, err := Probe("exit_tp_btf")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range choices {
		if c.Job == "process" && c.Part == "exit" && (c.Program == "exit_tp_btf" || len(c.Refused) == 0) {
			t.Errorf("got %v", c)
		}
	}
}

// TestUnprivileged runs Open as nobody: a clear reason, and a fallback.
func TestUnprivileged(t *testing.T) {
	if os.Getuid() != 0 {
		if _, err := trial.Open(); !errors.Is(err, trial.ErrPrivilege) {
			t.Errorf("got %v", err)
		}
		source, passed := exits.Open(nil, 0)
		if source == nil || len(passed) == 0 || !errors.Is(passed[0].Err, trial.ErrPrivilege) {
			t.Errorf("got %v, %v", source, passed)
		}
		return
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "shisa-bpf") // not below a folder that only root may enter
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "test")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(path, self, 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-test.run=^(TestUnprivileged|TestOpenWithoutPrograms)$", "-test.v")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestEveryProgramExists guards the tables against slips of the pen: a part's
// program that no object has would never be tried.
func TestEveryProgramExists(t *testing.T) {
	for _, job := range Jobs {
		specs := make(map[string]*ebpf.CollectionSpec)
		known := make(map[string]bool)
		for _, object := range job.Objects {
			spec, err := object.Spec()
			if err != nil {
				t.Fatal(err)
			}
			specs[object.Name] = spec
			for name := range spec.Programs {
				known[name] = true
			}
		}
		used := make(map[string]bool)
		for _, part := range job.Parts {
			for _, name := range part.Programs {
				used[name] = true
				if !known[name] {
					t.Errorf("%s/%s: no object has %s", job.Name, part.Name, name)
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(known)) {
			if !used[name] {
				t.Errorf("%s: %s is in no part", job.Name, name)
			}
		}
	}
}

// TestObjectsAreReproducible compiles the sources anew and compares. It needs
// the compiler that the committed objects were made with.
func TestObjectsAreReproducible(t *testing.T) {
	version, err := exec.Command("clang", "--version").Output()
	if err != nil || !strings.Contains(string(version), "clang version 14.") {
		if os.Getenv("CI") != "" {
			t.Fatalf("clang 14 is not installed: %v", err)
		}
		t.Skip("clang 14 is not installed")
	}
	if testing.Short() {
		t.Skip("compiles for some seconds")
	}
	// The folder names must be alike: the path of a source is in its object.
	dir := t.TempDir()
	for _, sub := range []string{"src", "internal/obj"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	copyFiles(t, "src", filepath.Join(dir, "src"))
	out := filepath.Join(dir, "internal/obj")
	regenerate(t, out)
	made, err := filepath.Glob(filepath.Join(out, "*"))
	if err != nil || len(made) == 0 {
		t.Fatalf("nothing was made: %v", err)
	}
	for _, path := range made {
		fresh, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		committed, err := os.ReadFile(filepath.Join("internal/obj", filepath.Base(path)))
		if err != nil || !bytes.Equal(fresh, committed) {
			t.Errorf("%s is not what its source compiles to (go generate ./bpf/internal/obj): %v", filepath.Base(path), err)
		}
	}
}

func copyFiles(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(filepath.Join(to), os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// regenerate carries out the go:generate lines of internal/obj for another
// folder.
func regenerate(t *testing.T, out string) {
	t.Helper()
	text, err := os.ReadFile("internal/obj/gen.go")
	if err != nil {
		t.Fatal(err)
	}
	generator := filepath.Join(t.TempDir(), "bpf2go")
	if words, err := exec.Command("go", "build", "-o", generator, "github.com/cilium/ebpf/cmd/bpf2go").CombinedOutput(); err != nil {
		t.Fatalf("build the generator: %v\n%s", err, words)
	}
	var flags string
	for line := range strings.Lines(string(text)) {
		directive, ok := strings.CutPrefix(strings.TrimSpace(line), "//go:generate ")
		if !ok {
			continue
		}
		if alias, ok := strings.CutPrefix(directive, "-command bpf2go go run github.com/cilium/ebpf/cmd/bpf2go "); ok {
			flags = alias
			continue
		}
		arguments, ok := strings.CutPrefix(directive, "bpf2go ")
		if !ok || flags == "" {
			t.Fatalf("a directive that this test does not understand: %s", directive)
		}
		cmd := exec.CommandContext(context.Background(), "sh", "-c", "exec "+generator+" "+flags+" "+arguments)
		cmd.Dir = out
		cmd.Env = append(os.Environ(), "GOPACKAGE=obj")
		if words, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", directive, err, words)
		}
	}
}
