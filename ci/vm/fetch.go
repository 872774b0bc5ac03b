package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// ErrUnavailable says that the distribution has no such kernel (any more). The
// caller decides whether its tests can do without.
var ErrUnavailable = errors.New("the distribution's archive has no such kernel")

// Get returns the kernel of that name in ci/kernels.txt, from the cache if it is
// there. Its errors are those of Fetch.
func Get(ctx context.Context, name string) (Kernel, error) {
	if k, err := Cached(name); !errors.Is(err, ErrNotCached) {
		return k, err
	}
	sources, err := Sources()
	if err != nil {
		return Kernel{}, err
	}
	for _, s := range sources {
		if s.Name == name {
			return Fetch(ctx, s, false)
		}
	}
	return Kernel{}, fmt.Errorf("ci/kernels.txt has no kernel %q", name)
}

// Fetch returns a kernel from the cache and gets it from the distribution's
// packages first when it is not there, or when refresh asks for a newer one. It
// needs apt-get, dpkg and a configured Debian mirror, not root. Several processes
// may fetch at the same time.
func Fetch(ctx context.Context, s Source, refresh bool) (Kernel, error) {
	unlock, err := lockCache()
	if err != nil {
		return Kernel{}, err
	}
	defer unlock()
	if k, err := Cached(s.Name); !errors.Is(err, ErrNotCached) && !refresh {
		return k, err
	}
	cache, err := CacheDir()
	if err != nil {
		return Kernel{}, err
	}
	apt, note, err := newApt(ctx, cache, s.Suites)
	if err != nil {
		return Kernel{}, fmt.Errorf("fetch kernel %s: %w", s.Name, err)
	}
	images, err := apt.names(ctx, s.Package)
	if err != nil {
		return Kernel{}, fmt.Errorf("fetch kernel %s: %w", s.Name, err)
	}
	if len(images) == 0 {
		return Kernel{}, fmt.Errorf("fetch kernel %s: %w: no package %s in %s\n%s",
			s.Name, ErrUnavailable, s.Package, strings.Join(s.Suites, ", "), note)
	}
	release := strings.TrimPrefix(newestName(images), "linux-image-")
	if err := install(ctx, apt, filepath.Join(cache, "kernels"), s.Name, release); err != nil {
		return Kernel{}, fmt.Errorf("fetch kernel %s: %w", s.Name, err)
	}
	return Cached(s.Name)
}

// install unpacks the packages of one kernel and moves what is needed into place.
// Up to 6.x everything is in linux-image-*; from 7.x that only names
// linux-binary-*, linux-modules-* and linux-base-* (the lists of what is built in).
func install(ctx context.Context, apt *apt, dir, name, release string) error {
	parts := regexp.MustCompile(`^linux-(image|binary|modules|base)-` + regexp.QuoteMeta(release) + `$`)
	packages, err := apt.names(ctx, parts)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(dir, "."+name+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	root, out := filepath.Join(tmp, "root"), filepath.Join(tmp, "out")
	if err := apt.unpack(ctx, root, packages...); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(out, "lib/modules"), 0o755); err != nil {
		return err
	}
	moves := []struct {
		to   string
		from []string // the first that exists
	}{
		{"vmlinuz", []string{"boot/vmlinuz-" + release, "usr/lib/modules/" + release + "/vmlinuz"}},
		{"lib/modules/" + release, []string{"lib/modules/" + release, "usr/lib/modules/" + release}},
	}
	for _, m := range moves {
		if err := moveFirst(root, m.from, filepath.Join(out, m.to)); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(out, releaseFile), []byte(release+"\n"), 0o644); err != nil {
		return err
	}
	final := filepath.Join(dir, name)
	if err := os.RemoveAll(final); err != nil {
		return err
	}
	return os.Rename(out, final)
}

func moveFirst(root string, from []string, to string) error {
	for _, f := range from {
		err := os.Rename(filepath.Join(root, f), to)
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return fmt.Errorf("the packages hold none of %s", strings.Join(from, ", "))
}

// Headers returns the folder to give to `make -C`, with which a module is built
// for the kernel, and gets the packages first when they are not in the cache.
// They must be of the kernel's exact release: when the archive has moved on, the
// kernel has to be fetched anew (Fetch with refresh).
func Headers(ctx context.Context, s Source, k Kernel) (string, error) {
	unlock, err := lockCache()
	if err != nil {
		return "", err
	}
	defer unlock()
	pkg := "linux-headers-" + k.Release
	root := filepath.Join(k.Dir, "headers")
	kdir := filepath.Join(root, "usr/src", pkg)
	if _, err := os.Stat(kdir); err == nil {
		return kdir, nil
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	apt, note, err := newApt(ctx, cache, s.Suites)
	if err != nil {
		return "", fmt.Errorf("fetch headers of %s: %w", k.Name, err)
	}
	deps, err := apt.depends(ctx, pkg, regexp.MustCompile(`^linux-(headers|kbuild)-`))
	if err != nil {
		return "", fmt.Errorf("fetch headers of %s: %w: the archive has no %s (any more): %w\n%s",
			k.Name, ErrUnavailable, pkg, err, note)
	}
	tmp, err := os.MkdirTemp(k.Dir, ".headers-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if err := apt.unpack(ctx, tmp, append(deps, pkg)...); err != nil {
		return "", fmt.Errorf("fetch headers of %s: %w", k.Name, err)
	}
	if err := relocate(filepath.Join(tmp, "usr/src", pkg), root); err != nil {
		return "", fmt.Errorf("fetch headers of %s: %w", k.Name, err)
	}
	return kdir, os.Rename(tmp, root)
}

// relocate makes an unpacked headers package work below root: its Makefile
// includes /usr/src/..., and it insists on the very compiler of the kernel, where
// the machine's own does as well.
func relocate(dir, root string) error {
	makefile := filepath.Join(dir, "Makefile")
	text, err := os.ReadFile(makefile)
	if err != nil {
		return err
	}
	moved := strings.ReplaceAll(string(text), " /usr/src/", " "+root+"/usr/src/")
	if err := os.WriteFile(makefile, []byte(moved), 0o644); err != nil {
		return err
	}
	variables := filepath.Join(dir, ".kernelvariables")
	text, err = os.ReadFile(variables)
	if err != nil {
		return err
	}
	moved = regexp.MustCompile(`gcc-[0-9]+`).ReplaceAllStringFunc(string(text), func(cc string) string {
		if _, err := exec.LookPath(cc); err != nil {
			return "gcc"
		}
		return cc
	})
	return os.WriteFile(variables, []byte(moved), 0o644)
}

// lockCache keeps two processes from writing the cache at once.
func lockCache() (unlock func(), err error) {
	cache, err := CacheDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, "kernels")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil
}
