package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"shisa/ci/vm"
)

// base is what a root has beside the smallest system.
const base = "systemd,systemd-sysv,init-system-helpers,kmod,udev"

// roots are the installed systems from which copies are made.
type roots struct{ dir string }

// with runs f on a copy of the root of a suite, which it makes if there is none.
func (r roots) with(ctx context.Context, suite string, f func(root string)) error {
	from := filepath.Join(r.dir, suite)
	if _, err := os.Stat(filepath.Join(from, ".done")); err != nil {
		if err := r.bootstrap(ctx, suite, from); err != nil {
			return err
		}
	}
	copied, err := os.MkdirTemp("", "tryout-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(copied) }() // a scratch folder
	if out, err := run(ctx, "cp", "-a", from+"/.", copied); err != nil {
		return fmt.Errorf("copy %s: %w: %s", from, err, out)
	}
	f(copied)
	return nil
}

func (r roots) bootstrap(ctx context.Context, suite, to string) error {
	mirror, err := vm.MirrorOf(suite)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return err
	}
	if out, err := run(ctx, "debootstrap", "--variant=minbase", "--include="+base, suite, to, mirror.URI); err != nil {
		return fmt.Errorf("debootstrap %s: %w: %s", suite, err, out)
	}
	return os.WriteFile(filepath.Join(to, ".done"), nil, 0o644)
}

// run runs a command and returns all that it printed.
func run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// inside runs a command in a root, with its own /proc and processes: what runs
// on this machine is not to be seen there.
func inside(ctx context.Context, root string, args ...string) (string, error) {
	const enter = `mount -t proc proc "$0/proc" && exec chroot "$0" "$@"`
	return run(ctx, "unshare", append([]string{"--mount", "--pid", "--fork", "sh", "-c", enter, root}, args...)...)
}

// leftovers are folders in which package managers and the system keep their own
// records of what happened; they say nothing about what a package left behind.
// usr/share/licenses belongs to the package filesystem, which the root lacks.
var leftovers = []string{
	"dev", "proc", "root", "run/systemd", "run/zypp.pid", "sys", "tmp", "usr/share/licenses",
	"etc/dnf", "etc/zypp", "usr/lib/sysimage", "var/adm", "var/cache", "var/lib/dnf", "var/lib/dpkg", "var/lib/rpm", "var/lib/zypp", "var/log",
	"var/lib/systemd/deb-systemd-helper-enabled", "var/lib/systemd/deb-systemd-helper-masked",
}

// listing returns every path of a root outside leftovers.
func listing(root string) ([]string, error) {
	var all []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if slices.Contains(leftovers, rel) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		all = append(all, rel)
		return nil
	})
	return all, err
}

// difference lists what is in b and not in a.
func difference(a, b []string) []string {
	have := make(map[string]bool, len(a))
	for _, x := range a {
		have[x] = true
	}
	return slices.DeleteFunc(slices.Clone(b), func(x string) bool { return have[x] })
}
