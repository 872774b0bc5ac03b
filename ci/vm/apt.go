package vm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// apt is a private apt: own sources, lists and cache; the machine's are not touched.
type apt struct {
	dir     string
	options []string
}

// newApt makes the private apt for the given suites below the cache folder and
// refreshes its lists. Suites that are gone do not fail it: their words are
// returned as a note, to be shown if the wanted package is nowhere else.
func newApt(ctx context.Context, cache string, suites []string) (*apt, string, error) {
	codename, err := osCodename("/etc/os-release")
	if err != nil {
		return nil, "", err
	}
	archives, err := machineArchives("/etc")
	if err != nil {
		return nil, "", err
	}
	text, err := deriveSources(archives, codename, suites)
	if err != nil {
		return nil, "", err
	}
	dir := filepath.Join(cache, "apt", strings.Join(suites, "+"))
	for _, sub := range []string{"sources", "lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, "", err
		}
	}
	for path, text := range map[string]string{"sources/kernels.sources": text, "status": ""} {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o644); err != nil {
			return nil, "", err
		}
	}
	a := &apt{dir: dir}
	for _, option := range []string{
		"Dir::Etc::sourcelist=/dev/null",
		"Dir::Etc::sourceparts=" + dir + "/sources",
		"Dir::Etc::preferences=/dev/null", // the machine's pins are not about us
		"Dir::Etc::preferencesparts=/dev/null",
		"Dir::State::lists=" + dir + "/lists",
		"Dir::State::status=" + dir + "/status", // nothing is installed here
		"Dir::Cache=" + dir + "/cache",
		"APT::Sandbox::User=", // the cache may be in a home folder that _apt cannot read
		"APT::Get::List-Cleanup=true",
		"Acquire::Languages=none",
		"Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
		"Acquire::Retries=2",
	} {
		a.options = append(a.options, "-o", option)
	}
	note, err := a.run(ctx, dir, "apt-get", "-q", "update")
	if err != nil {
		return a, note, nil
	}
	return a, "", nil
}

// run runs one apt tool; its whole output is returned.
func (a *apt) run(ctx context.Context, dir, tool string, args ...string) (string, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, tool, append(slices.Clone(a.options), args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s", tool, args[0], err, out.String())
	}
	return out.String(), nil
}

// names returns the packages of the archive whose name matches the pattern.
func (a *apt) names(ctx context.Context, pattern *regexp.Regexp) ([]string, error) {
	out, err := a.run(ctx, a.dir, "apt-cache", "search", "--names-only", "^linux-")
	if err != nil {
		return nil, err
	}
	var list []string
	for line := range strings.Lines(out) {
		name, _, _ := strings.Cut(line, " ")
		if pattern.MatchString(name) {
			list = append(list, name)
		}
	}
	return list, nil
}

// depends returns what a package depends on directly and matches the pattern.
func (a *apt) depends(ctx context.Context, pkg string, pattern *regexp.Regexp) ([]string, error) {
	out, err := a.run(ctx, a.dir, "apt-cache", "depends", "--important", pkg)
	if err != nil {
		return nil, err
	}
	var list []string
	for line := range strings.Lines(out) {
		if _, name, ok := strings.Cut(line, "Depends: "); ok {
			if name = strings.TrimSpace(name); pattern.MatchString(name) {
				list = append(list, name)
			}
		}
	}
	return list, nil
}

// unpack downloads packages and unpacks them over each other into root.
func (a *apt) unpack(ctx context.Context, root string, packages ...string) error {
	tmp, err := os.MkdirTemp(a.dir, "download-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if _, err := a.run(ctx, tmp, "apt-get", append([]string{"-q", "download"}, packages...)...); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if out, err := exec.CommandContext(ctx, "dpkg", "-x", deb, root).CombinedOutput(); err != nil {
			return fmt.Errorf("unpack %s: %w\n%s", filepath.Base(deb), err, out)
		}
	}
	return nil
}

// newestName returns the name with the highest numbers in it: 6.12.117 is newer
// than 6.12.96. It does for package names of one pattern what Debian's version
// order does for versions.
func newestName(names []string) string {
	return slices.MaxFunc(names, compareNumbered)
}

// compareNumbered compares two names, runs of digits by their value.
func compareNumbered(a, b string) int {
	for a != "" && b != "" {
		var x, y string
		x, a = leadingDigits(a)
		y, b = leadingDigits(b)
		if x != "" && y != "" {
			x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			if len(x) != len(y) {
				return len(x) - len(y)
			}
		} else if x == "" && y == "" {
			x, y = a[:1], b[:1]
			a, b = a[1:], b[1:]
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
	}
	return len(a) - len(b)
}

func leadingDigits(s string) (digits, rest string) {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return s[:n], s[n:]
}
