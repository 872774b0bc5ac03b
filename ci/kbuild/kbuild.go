// Package kbuild builds this tree's kernel modules for the kernels of
// ci/kernels.txt, natively or, for those that want tools of a newer
// distribution, in a small installation of that. What was built is kept in the
// cache until its source changes.
package kbuild

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"shisa/ci/vm"
)

// Module returns the path of name.ko, made from a folder of source code in this tree for k.
// A compiler's warning is an error. The kernel's headers are fetched when they
// are not in the cache.
func Module(ctx context.Context, k vm.Kernel, folder, name string) (string, error) {
	path, err := module(ctx, k, filepath.Join(vm.TreeDir(), folder), name)
	if err != nil {
		return "", fmt.Errorf("build %s for %s: %w", name, k.Name, err)
	}
	return path, nil
}

func module(ctx context.Context, k vm.Kernel, folder, name string) (string, error) {
	cache, err := vm.CacheDir()
	if err != nil {
		return "", err
	}
	sum, err := digest(folder)
	if err != nil {
		return "", err
	}
	built := filepath.Join(cache, "modules", k.Release, sum, name+".ko")
	if _, err := os.Stat(built); err == nil {
		return built, nil
	}
	work, err := os.MkdirTemp("", "shisa-kbuild-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	if err := copySource(folder, filepath.Join(work, name)); err != nil {
		return "", err
	}
	if err := compile(ctx, k, filepath.Join(work, name), cache); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(built), 0o755); err != nil {
		return "", err
	}
	return built, move(filepath.Join(work, name, name+".ko"), built)
}

// isSource tells source code from what an earlier build left beside it.
func isSource(path string) bool {
	base := filepath.Base(path)
	return base == "Kbuild" || base == "Makefile" || strings.HasSuffix(base, ".h") ||
		strings.HasSuffix(base, ".c") && !strings.HasSuffix(base, ".mod.c")
}

// sources calls each with the source files of a folder, in order.
func sources(folder string, each func(path string, text []byte) error) error {
	fsys := os.DirFS(folder)
	return fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !isSource(path) {
			return err
		}
		text, err := fs.ReadFile(fsys, path)
		if err != nil {
			return err
		}
		return each(path, text)
	})
}

// digest is a sum of a folder's source code.
func digest(folder string) (string, error) {
	sum := sha256.New()
	err := sources(folder, func(path string, text []byte) error {
		fmt.Fprintf(sum, "%s %d\n", path, len(text))
		sum.Write(text)
		return nil
	})
	return hex.EncodeToString(sum.Sum(nil)[:8]), err
}

func copySource(folder, to string) error {
	return sources(folder, func(path string, text []byte) error {
		out := filepath.Join(to, path)
		return errors.Join(os.MkdirAll(filepath.Dir(out), 0o755), os.WriteFile(out, text, 0o644))
	})
}

// move is a rename that also works between file systems, and at once: another
// run may build the same.
func move(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	part, err := os.CreateTemp(filepath.Dir(to), ".part-")
	if err != nil {
		return err
	}
	_, err = io.Copy(part, source)
	if err := errors.Join(err, part.Close()); err != nil {
		return errors.Join(err, os.Remove(part.Name()))
	}
	return os.Rename(part.Name(), to)
}

// headersOf returns the folder with which a module is built for k.
func headersOf(ctx context.Context, k vm.Kernel) (string, error) {
	if k.Name == Sanitized {
		return sanitizedTree(k.Dir), nil
	}
	all, err := vm.Sources()
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(all, func(s vm.Source) bool { return s.Name == k.Name })
	if i < 0 {
		return "", errors.New("no such kernel in ci/kernels.txt")
	}
	return vm.Headers(ctx, all[i], k)
}

func compile(ctx context.Context, k vm.Kernel, dir, cache string) error {
	headers, err := headersOf(ctx, k)
	if err != nil {
		return err
	}
	args := []string{"-s", "M=" + dir, "W=1", "modules"}
	words, native := command(ctx, "make", append([]string{"-C", headers}, args...)...)
	if native != nil {
		// Headers of a newer distribution bring tools that want its C library.
		args = append([]string{"make", "-C", filepath.Join("/usr/src", filepath.Base(headers))}, args...)
		if words, err = inSid(ctx, headers, dir, filepath.Join(cache, "build-sid"), args); err != nil {
			return errors.Join(native, err)
		}
	}
	if strings.Contains(words, "warning:") {
		return fmt.Errorf("warnings:\n%s", words)
	}
	return nil
}

// inSid runs a program in a small installation of the newest distribution at root, in
// a mount namespace of its own. Headers know the path where they are normally
// installed, so they are mounted there, and where ci/vm keeps them as well,
// read-only; dir is where it is. make is told of the compiler, which goes by its plain
// names as well, and this machine's dkms is there.
func inSid(ctx context.Context, headers, dir, root string, args []string) (string, error) {
	if err := makeSid(ctx, root); err != nil {
		return "", err
	}
	compilers, err := filepath.Glob(filepath.Join(root, "usr/bin/x86_64-linux-gnu-gcc-[0-9]*"))
	if err != nil || len(compilers) == 0 {
		return "", fmt.Errorf("%s has no compiler: remove it to have it made anew", root)
	}
	const script = `set -e; root=$1; headers=$2; work=$3; compiler=$4; shift 4
bind() { mkdir -p "$root$2"; mount --bind "$1" "$root$2"; mount -o "remount,bind,$3" "$root$2"; }
mount -t proc proc "$root/proc"
bind "$headers" "$headers" ro
bind "$headers/src" /usr/src ro
for kbuild in "$headers"/lib/linux-kbuild-*; do bind "$kbuild" "/usr/lib/${kbuild##*/}" ro; done
bind "$work" "$work" rw
mount -t tmpfs tools "$root/usr/local/bin"
ln -s "/usr/bin/$compiler" "$root/usr/local/bin/gcc"
ln -s "/usr/bin/$compiler" "$root/usr/local/bin/x86_64-linux-gnu-gcc"
! dkms=$(command -v dkms) || cp "$dkms" "$root/usr/local/bin/"
[ "$1" != make ] || set -- "$@" "CC=$compiler"
exec chroot "$root" "$@"`
	usr := filepath.Dir(filepath.Dir(headers))
	return command(ctx, "unshare", append([]string{"-m", "sh", "-c", script, "sh", root, usr, dir, filepath.Base(slices.Max(compilers))}, args...)...)
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
	fmt.Fprintln(os.Stderr, "kbuild: installing a compiler for the newest kernels into", root)
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
