package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"shisa/ci/vm"
)

// A builder builds kernel modules with a kernel's headers.
type builder struct {
	tree string // root of the source tree
	work string // scratch folder; one below it for each kernel and module
}

// build returns the path of the module made from a folder of the tree.
func (b builder) build(ctx context.Context, source vm.Source, k vm.Kernel, folder, name string) (string, error) {
	headers, err := vm.Headers(ctx, source, k)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(b.work, k.Name, name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(b.tree, folder))); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	args := []string{"-s", "-C", headers, "M=" + dir, "W=1", "modules"}
	words, native := command(ctx, "make", args...)
	if native != nil {
		// Headers of a newer distribution bring tools that want its C library.
		if words, err = b.inSid(ctx, args); err != nil {
			return "", fmt.Errorf("build %s for %s: %w", name, k.Name, errors.Join(native, err))
		}
	}
	if strings.Contains(words, "warning:") {
		return "", fmt.Errorf("build %s for %s: warnings:\n%s", name, k.Name, words)
	}
	return filepath.Join(dir, name+".ko"), nil
}

// inSid runs make in a small installation of the newest distribution, at the same
// paths, in a mount namespace of its own.
func (b builder) inSid(ctx context.Context, args []string) (string, error) {
	cache, err := vm.CacheDir()
	if err != nil {
		return "", err
	}
	root := filepath.Join(cache, "build-sid")
	if err := makeSid(ctx, root); err != nil {
		return "", err
	}
	compilers, err := filepath.Glob(filepath.Join(root, "usr/bin/x86_64-linux-gnu-gcc-[0-9]*"))
	if err != nil || len(compilers) == 0 {
		return "", fmt.Errorf("%s has no compiler: remove it to have it made anew", root)
	}
	const script = `set -e; root=$1; cache=$2; work=$3; shift 3
mkdir -p "$root$cache" "$root$work"
mount -t proc proc "$root/proc"
mount --rbind "$cache" "$root$cache"
mount --bind "$work" "$root$work"
exec chroot "$root" make "$@"`
	args = append(slices.Clone(args), "CC="+filepath.Base(slices.Max(compilers)))
	kernels := filepath.Join(cache, "kernels")
	return command(ctx, "unshare", append([]string{"-m", "sh", "-c", script, "sh", root, kernels, b.work}, args...)...)
}

// makeSid installs the newest distribution's compiler, once.
func makeSid(ctx context.Context, root string) error {
	if _, err := os.Stat(filepath.Join(root, "usr/bin/pahole")); err == nil {
		return nil
	}
	archives, err := command(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Component: main")
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(archives, "\n")
	fmt.Fprintln(os.Stderr, "kmod: installing a compiler for the newest kernels into", root)
	if _, err := command(ctx, "debootstrap", "--variant=minbase", "--include=make,libc6-dev,gcc-16,pahole", "sid", root, first); err != nil {
		return errors.Join(err, os.RemoveAll(root))
	}
	return nil
}

// command runs a program of the host and returns all it printed.
func command(ctx context.Context, name string, args ...string) (string, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out.String())
	}
	return out.String(), nil
}
