package kbuild

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"shisa/ci/vm"
)

// Sanitized is the name of the kernel that watches itself: it is in no archive.
const Sanitized = "sanitized"

// sanitizedConfig is what it has beyond the smallest of all kernels.
//
//go:embed sanitized.config
var sanitizedConfig []byte

// MakeSanitized returns a kernel that finds wrong accesses to memory (KASAN), wrong
// locking (lockdep), sleep where none is allowed, undefined behaviour and misuse of timers and
// work. It is made from the distribution's source code, as its package linux-source
// leaves it in /usr/src, when it is not in the cache: that takes some minutes.
func MakeSanitized(ctx context.Context) (vm.Kernel, error) {
	cache, err := vm.CacheDir()
	if err != nil {
		return vm.Kernel{}, err
	}
	dir := filepath.Join(cache, "kernels", Sanitized)
	made, err := os.ReadFile(fragment(dir))
	if err == nil && bytes.Equal(made, sanitizedConfig) {
		if k, err := vm.Cached(Sanitized); !errors.Is(err, vm.ErrNotCached) {
			return k, err
		}
	}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return vm.Kernel{}, err
	}
	if err := makeSanitized(ctx, dir); err != nil {
		return vm.Kernel{}, fmt.Errorf("make a kernel that watches itself in %s: %w", dir, err)
	}
	return vm.Cached(Sanitized)
}

func sanitizedTree(dir string) string { return filepath.Join(dir, "source") }

// fragment is where the options are that a kernel was made with.
func fragment(dir string) string { return filepath.Join(dir, "fragment") }

func makeSanitized(ctx context.Context, dir string) error {
	archives, err := filepath.Glob("/usr/src/linux-source-*.tar.xz")
	if err != nil || len(archives) == 0 {
		return errors.Join(errors.New("no source code in /usr/src: install the package linux-source"), err)
	}
	tree := sanitizedTree(dir)
	if err := os.Mkdir(tree, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(fragment(dir), sanitizedConfig, 0o644); err != nil {
		return err
	}
	in := func(args ...string) []string { return append([]string{"-C", tree, "-s"}, args...) }
	for _, step := range [][]string{
		{"tar", "-xf", archives[len(archives)-1], "-C", tree, "--strip-components=1"},
		append([]string{"make"}, in("tinyconfig")...),
		{"env", "-C", tree, "scripts/kconfig/merge_config.sh", "-m", ".config", fragment(dir)},
		append([]string{"make"}, in("olddefconfig")...),
	} {
		if _, err := command(ctx, step[0], step[1:]...); err != nil {
			return err
		}
	}
	if err := leaveOut(filepath.Join(tree, "drivers/acpi/acpica/Makefile")); err != nil {
		return err
	}
	if err := granted(filepath.Join(tree, ".config")); err != nil {
		return err
	}
	if _, err := command(ctx, "make", in("-j"+strconv.Itoa(runtime.NumCPU()), "bzImage", "modules")...); err != nil {
		return err
	}
	if _, err := command(ctx, "make", in("modules_install", "INSTALL_MOD_PATH="+dir)...); err != nil {
		return err
	}
	release, err := os.ReadFile(filepath.Join(tree, "include/config/kernel.release"))
	if err != nil {
		return err
	}
	cache := filepath.Dir(filepath.Dir(dir))
	return errors.Join(
		os.RemoveAll(filepath.Join(cache, "modules", strings.TrimSpace(string(release)))), // for former options
		os.Rename(filepath.Join(tree, "arch/x86/boot/bzImage"), filepath.Join(dir, "vmlinuz")),
		os.WriteFile(filepath.Join(dir, "release"), release, 0o644)) // last: with it the kernel is in the cache
}

// leaveOut has the code of one folder not watched: ACPI's interpreter gives up on the
// firmware's programs when they take longer than 30 s.
func leaveOut(makefile string) error {
	text, err := os.ReadFile(makefile)
	if err != nil {
		return err
	}
	return os.WriteFile(makefile, append(text, "\nKASAN_SANITIZE := n\nUBSAN_SANITIZE := n\n"...), 0o644)
}

// granted fails when an option got lost, because another one that it needs is missing.
func granted(path string) error {
	config, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var lost []string
	for line := range strings.Lines(string(sanitizedConfig)) {
		if strings.HasPrefix(line, "CONFIG_") && !strings.Contains("\n"+string(config), "\n"+line) {
			lost = append(lost, strings.TrimSpace(line))
		}
	}
	if len(lost) > 0 {
		return fmt.Errorf("this source code does not grant %s", strings.Join(lost, ", "))
	}
	return nil
}
