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
	args := []string{"-s", "M=" + dir, "W=1", "modules"}
	words, native := command(ctx, "make", append([]string{"-C", headers}, args...)...)
	if native != nil {
		// Headers of a newer distribution bring tools that want its C library.
		if words, err = b.inSid(ctx, headers, args); err != nil {
			return "", fmt.Errorf("build %s for %s: %w", name, k.Name, errors.Join(native, err))
		}
	}
	if strings.Contains(words, "warning:") {
		return "", fmt.Errorf("build %s for %s: warnings:\n%s", name, k.Name, words)
	}
	return filepath.Join(dir, name+".ko"), nil
}

// guestFiles returns what guests get beside the module: the eBPF program, where there
// is a compiler for it, and our tool as a 32-bit program.
func (b builder) guestFiles(ctx context.Context) (map[string]vm.File, error) {
	object, tool := filepath.Join(b.work, "kfunc.bpf.o"), filepath.Join(b.work, "guest32")
	if _, err := os.Stat(tool); err != nil {
		if _, err := command(ctx, "env", "GOARCH=386", "CGO_ENABLED=0", "go", "build", "-trimpath", "-ldflags=-s -w", "-o", tool, "./ci/kmod/guest"); err != nil {
			return nil, err
		}
		_, err := command(ctx, "clang", "-target", "bpf", "-g", "-O2", "-mcpu=v2", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
			"-I", "bpf/src", "-c", "ci/kmod/kfunc/kfunc.bpf.c", "-o", object)
		if err != nil && !errors.Is(err, exec.ErrNotFound) {
			return nil, err
		}
	}
	files := map[string]vm.File{}
	for path, file := range map[string]string{tool32: tool, program: object} {
		data, err := os.ReadFile(file)
		if err != nil && path != program {
			return nil, err
		}
		if err == nil {
			files[path] = vm.File{Data: data, Mode: 0o755}
		}
	}
	return files, nil
}

// inSid runs make in a small installation of the newest distribution, in a mount
// namespace of its own. Headers know the path where they are normally installed, so
// they are mounted there, and where ci/vm keeps them as well, read-only.
func (b builder) inSid(ctx context.Context, headers string, args []string) (string, error) {
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
	const script = `set -e; root=$1; headers=$2; work=$3; shift 3
bind() { mkdir -p "$root$2"; mount --bind "$1" "$root$2"; mount -o "remount,bind,$3" "$root$2"; }
mount -t proc proc "$root/proc"
bind "$headers" "$headers" ro
bind "$headers/src" /usr/src ro
for kbuild in "$headers"/lib/linux-kbuild-*; do bind "$kbuild" "/usr/lib/${kbuild##*/}" ro; done
bind "$work" "$work" rw
exec chroot "$root" make "$@"`
	usr := filepath.Dir(filepath.Dir(headers))
	args = append([]string{"-C", "/usr/src/" + filepath.Base(headers), "CC=" + filepath.Base(slices.Max(compilers))}, args...)
	return command(ctx, "unshare", append([]string{"-m", "sh", "-c", script, "sh", root, usr, b.work}, args...)...)
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
