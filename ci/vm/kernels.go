package vm

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// A Source is one line of ci/kernels.txt: where the distribution has a kernel.
type Source struct {
	Name    string         // what tests and people call it: "6.1", "6.12-rt", "newest"
	Suites  []string       // suites of the archive that may have it
	Package *regexp.Regexp // the whole name of the image package
}

// A Kernel is a kernel in the cache, ready to boot.
type Kernel struct {
	Name    string // as in ci/kernels.txt
	Release string // what uname -r says
	Dir     string // absolute folder: vmlinuz, lib/modules/<Release>
}

// Vmlinuz returns the path of the bootable image.
func (k Kernel) Vmlinuz() string { return filepath.Join(k.Dir, "vmlinuz") }

// ModuleDir returns the folder that holds the kernel's modules.
func (k Kernel) ModuleDir() string { return filepath.Join(k.Dir, "lib/modules", k.Release) }

// ErrNotCached says that a kernel has not been fetched yet.
var ErrNotCached = errors.New("kernel is not in the cache (vm fetch gets it)")

// releaseFile is written last: a kernel folder without it is not complete.
const releaseFile = "release"

// CacheDir returns the folder that outlives builds: $SHISA_CACHE, else
// .cache/shisa in the home folder.
func CacheDir() (string, error) {
	if dir := os.Getenv("SHISA_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder (set SHISA_CACHE): %w", err)
	}
	return filepath.Join(home, ".cache", "shisa"), nil
}

// ParseSources reads the format of ci/kernels.txt: name, suites separated by
// commas, and a pattern for the package, separated by blanks; # starts a comment.
// All mistakes are returned at once, each with its line.
func ParseSources(r io.Reader) ([]Source, error) {
	var list []Source
	var errs []error
	seen := map[string]bool{}
	scan := bufio.NewScanner(r)
	for line := 1; scan.Scan(); line++ {
		text, _, _ := strings.Cut(scan.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		s, err := parseSource(fields)
		if err == nil && seen[s.Name] {
			err = fmt.Errorf("kernel %s is listed twice", s.Name)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", line, err))
			continue
		}
		seen[s.Name] = true
		list = append(list, s)
	}
	return list, errors.Join(append(errs, scan.Err())...)
}

func parseSource(fields []string) (Source, error) {
	if len(fields) != 3 {
		return Source{}, fmt.Errorf("want name, suites and package pattern, got %d fields", len(fields))
	}
	if !nameRE.MatchString(fields[0]) {
		return Source{}, fmt.Errorf("name %q is not made of letters, digits, dots and dashes", fields[0])
	}
	re, err := regexp.Compile("^(?:" + fields[2] + ")$")
	if err != nil {
		return Source{}, fmt.Errorf("package pattern: %w", err)
	}
	s := Source{Name: fields[0], Package: re}
	for suite := range strings.SplitSeq(fields[1], ",") {
		if !nameRE.MatchString(suite) {
			return Source{}, fmt.Errorf("suite %q is not made of letters, digits, dots and dashes", suite)
		}
		s.Suites = append(s.Suites, suite)
	}
	return s, nil
}

// nameRE keeps names usable as a folder and in an apt source.
var nameRE = regexp.MustCompile(`^[a-zA-Z0-9][-.a-zA-Z0-9]*$`)

// Sources returns the kernels of ci/kernels.txt, in its order.
func Sources() ([]Source, error) {
	path := filepath.Join(TreeDir(), "ci", "kernels.txt")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("list kernels: %w", err)
	}
	list, err := ParseSources(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

// TreeDir returns the root of the source tree: what this file was compiled from.
func TreeDir() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// Cached returns the kernel of that name from the cache; the error wraps
// ErrNotCached when it has not been fetched.
func Cached(name string) (Kernel, error) {
	dir, err := kernelDir(name)
	if err != nil {
		return Kernel{}, err
	}
	release, err := os.ReadFile(filepath.Join(dir, releaseFile))
	if errors.Is(err, os.ErrNotExist) {
		return Kernel{}, fmt.Errorf("kernel %s: %w", name, ErrNotCached)
	}
	if err != nil {
		return Kernel{}, fmt.Errorf("kernel %s: %w", name, err)
	}
	return Kernel{Name: name, Release: strings.TrimSpace(string(release)), Dir: dir}, nil
}

// CachedKernels returns the kernels of ci/kernels.txt that are in the cache, in
// the order of the file.
func CachedKernels() ([]Kernel, error) {
	sources, err := Sources()
	if err != nil {
		return nil, err
	}
	var list []Kernel
	for _, s := range sources {
		k, err := Cached(s.Name)
		if errors.Is(err, ErrNotCached) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, k)
	}
	return list, nil
}

func kernelDir(name string) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "kernels", name), nil
}
