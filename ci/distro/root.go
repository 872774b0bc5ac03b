package distro

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"shisa/ci/vm"
)

// A Suite is one release of the distribution.
type Suite struct {
	Name   string // as the archive calls it
	Kernel string // the suite's own kernel, by its name in ci/kernels.txt
	// Extra are packages beside what every image has, for the tests of one suite.
	Extra []string
}

// Suites are the releases that the packages are made for.
var Suites = []Suite{
	{Name: "bullseye", Kernel: "5.10"},
	{Name: "bookworm", Kernel: "6.1", Extra: []string{"watchdog", "sbd", "policycoreutils", "selinux-policy-default", "selinux-utils"}},
	{Name: "trixie", Kernel: "6.12"},
}

// base is what every image has beside the smallest system, which lacks an init.
var base = []string{"systemd", "systemd-sysv", "init-system-helpers", "dbus", "udev", "kmod", "procps"}

// Available returns nil when images can be made on this machine, else what is
// missing.
func Available() error {
	if os.Geteuid() != 0 {
		return errors.New("make images of the distribution: not root")
	}
	for _, program := range []string{"debootstrap", "mkfs.ext4", "depmod"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("make images of the distribution: %w", err)
		}
	}
	return vm.Available()
}

// Bootstrap makes the root file system of a suite in the folder to, which must not
// exist, with the packages named beside the smallest system.
func Bootstrap(ctx context.Context, suite, to string, packages ...string) error {
	mirror, err := vm.MirrorOf(suite)
	if err != nil {
		return err
	}
	args := []string{"--variant=minbase", "--include=" + strings.Join(packages, ",")}
	if mirror.Keyring != "" {
		args = append(args, "--keyring="+mirror.Keyring)
	}
	_, err = run(ctx, "debootstrap", append(args, suite, to, mirror.URI)...)
	return err
}

// addPackages installs packages into a root; their services do not start there,
// nor in the guest unless a test wants them.
func addPackages(ctx context.Context, root string, packages []string) error {
	if len(packages) == 0 {
		return nil
	}
	const forbid = "#!/bin/sh\nexit 101\n"
	policy := filepath.Join(root, "usr/sbin/policy-rc.d")
	if err := os.WriteFile(policy, []byte(forbid), 0o755); err != nil {
		return err
	}
	for _, step := range [][]string{
		{"apt-get", "-q", "update"},
		append([]string{"apt-get", "-q", "-y", "--no-install-recommends", "install"}, packages...),
		{"apt-get", "clean"},
	} {
		if _, err := inside(ctx, root, step...); err != nil {
			return err
		}
	}
	return os.Remove(policy)
}

// inside runs a command in a root, with its own /proc and processes.
func inside(ctx context.Context, root string, argv ...string) (string, error) {
	const enter = `mount -t proc proc "$0/proc" && exec chroot "$0" "$@"`
	return run(ctx, "unshare", append([]string{"--mount", "--pid", "--fork", "sh", "-c", enter, root}, argv...)...)
}

// run runs a command on this machine; the error shows what it printed.
func run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, tail(out.String(), 15))
	}
	return out.String(), nil
}

// tail returns the last n lines of a text.
func tail(text string, n int) string {
	lines := strings.SplitAfter(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "")
}

// lock keeps two processes from making the same image.
func lock(path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return func() { _ = f.Close() }, nil // nothing was written
}
