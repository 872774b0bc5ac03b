package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

func sample() *pkg {
	return &pkg{
		name: "shisa-sample", summary: "a sample", description: "Two\nlines.",
		deb: relations{depends: "systemd", recommends: "kmod"},
		files: []file{
			{path: "/usr/sbin/x", mode: 0o755, data: []byte("program")},
			{path: "/etc/shisa/x.toml", mode: 0o600, data: []byte("a = 1\n"), conf: true},
			{path: "/usr/sbin/y", link: "x"},
			{path: "/var/lib/x", mode: 0o700, dir: true},
		},
	}
}

func newTest(t *testing.T) *build {
	t.Helper()
	t.Chdir("../..")
	return &build{out: t.TempDir(), version: "1.2.3", commit: "0123456789abcdef", epoch: 1_700_000_000, units: []string{"a.service", "b.service"}}
}

// members splits an ar archive.
func members(t *testing.T, deb []byte) map[string][]byte {
	t.Helper()
	rest, ok := bytes.CutPrefix(deb, []byte("!<arch>\n"))
	if !ok {
		t.Fatal("not an ar archive")
	}
	all := map[string][]byte{}
	for len(rest) > 0 {
		name := strings.TrimSpace(string(rest[:16]))
		size := 0
		for _, c := range strings.TrimSpace(string(rest[48:58])) {
			size = size*10 + int(c-'0')
		}
		all[name] = rest[60 : 60+size]
		rest = rest[60+size+size%2:]
	}
	return all
}

// listing reads a tar.xz as "type mode size path target" lines.
func listing(t *testing.T, packed []byte) (lines []string, data map[string]string) {
	t.Helper()
	z, err := xz.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	data = map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return lines, data
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.ModTime.Unix() != 1_700_000_000 {
			t.Errorf("%s: owner %d:%d, time %v", h.Name, h.Uid, h.Gid, h.ModTime)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		data[h.Name] = string(b)
		lines = append(lines, strings.TrimSpace(h.FileInfo().Mode().String()+" "+h.Name+" "+h.Linkname))
	}
}

func TestDeb(t *testing.T) {
	b := newTest(t)
	deb, err := b.deb(sample(), debArch)
	if err != nil {
		t.Fatal(err)
	}
	m := members(t, deb)
	if string(m["debian-binary"]) != "2.0\n" {
		t.Errorf("members %v", m)
	}
	_, control := listing(t, m["control.tar.xz"])
	for name, want := range map[string]string{
		"./control": "Depends: systemd\nRecommends: kmod\n",
		"./md5sums": "  usr/sbin/x\n",
	} {
		if !strings.Contains(control[name], want) {
			t.Errorf("%s:\n%s\nwant %q", name, control[name], want)
		}
	}
	if strings.Contains(control["./md5sums"], "x.toml") || control["./conffiles"] != "" {
		t.Error("dpkg is to know nothing of a file of the administrator")
	}
	lines, _ := listing(t, m["data.tar.xz"])
	for _, want := range []string{"-rwxr-xr-x ./usr/sbin/x", "Lrwxrwxrwx ./usr/sbin/y x", "drwx------ ./var/lib/x/", "drwxr-xr-x ./usr/"} {
		if !slices.Contains(lines, want) {
			t.Errorf("no %q in\n%s", want, strings.Join(lines, "\n"))
		}
	}
	if text := strings.Join(lines, "\n"); strings.Contains(text, "x.toml") {
		t.Errorf("a file of the administrator in\n%s", text)
	}
	if !slices.IsSortedFunc(lines, func(a, b string) int { return strings.Compare(strings.Fields(a)[1], strings.Fields(b)[1]) }) {
		t.Errorf("not in order:\n%s", strings.Join(lines, "\n"))
	}
}

func TestSameBitsTwice(t *testing.T) {
	b := newTest(t)
	one, err := b.deb(sample(), debArch)
	if err != nil {
		t.Fatal(err)
	}
	p := sample()
	slices.Reverse(p.files) // the order in which files were found must not matter
	two, err := b.deb(p, debArch)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, two) {
		t.Error("two debs of the same files differ")
	}
}

// TestDpkgReads lets dpkg itself judge the archive.
func TestDpkgReads(t *testing.T) {
	dpkg, err := exec.LookPath("dpkg-deb")
	if err != nil {
		t.Skip("dpkg-deb is not installed")
	}
	b := newTest(t)
	deb, err := b.deb(sample(), debArch)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "x.deb")
	if err := os.WriteFile(name, deb, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--info", name}, {"--contents", name}, {"--extract", name, t.TempDir()}} {
		if out, err := exec.CommandContext(t.Context(), dpkg, args...).CombinedOutput(); err != nil {
			t.Errorf("dpkg-deb %s: %v\n%s", args[0], err, out)
		}
	}
}

// TestScripts fills every maintainer script and lets the shell and shellcheck
// judge what dpkg would run.
func TestScripts(t *testing.T) {
	b := newTest(t)
	scripts, err := filepath.Glob("packaging/deb/*/p*")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("scripts: %v, %v", scripts, err)
	}
	scripts = append(scripts, "packaging/files/usr/libexec/shisa/hook", "packaging/tarball/install", "packaging/tarball/uninstall")
	check, checkErr := exec.LookPath("shellcheck")
	for _, s := range scripts {
		text, err := os.ReadFile(s)
		if err != nil {
			t.Fatal(err)
		}
		filled := b.fill(text)
		if bytes.Contains(filled, []byte("@VERSION@")) || bytes.Contains(filled, []byte("@UNITS@")) {
			t.Errorf("%s: not filled", s)
		}
		name := filepath.Join(t.TempDir(), filepath.Base(s))
		if err := os.WriteFile(name, filled, 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), "sh", "-n", name).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", s, err, out)
		}
		if checkErr == nil {
			if out, err := exec.CommandContext(t.Context(), check, name).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", s, err, out)
			}
		}
	}
}

func TestStageTree(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	if err := stageTree(root, sample().files, 1_700_000_000); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"usr/sbin/x": 0o755, "etc/shisa/x.toml": 0o600, "var/lib/x": os.ModeDir | 0o700, "usr/sbin": os.ModeDir | 0o755} {
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v %v, want %v", name, info.Mode(), err, want)
		}
	}
	if to, err := os.Readlink(filepath.Join(root, "usr/sbin/y")); to != "x" {
		t.Errorf("link to %q, %v", to, err)
	}
}

func TestChangelogHead(t *testing.T) {
	for text, want := range map[string]string{
		"# Changelog\n\n## [1.4.0] - 2026\n## 1.3.0\n": "1.4.0",
		"## Unreleased\n\n## v0.2.1\n":                 "0.2.1",
		"# nothing\n":                                  "",
	} {
		got := ""
		if m := changelogHead.FindStringSubmatch(text); m != nil {
			got = m[1]
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
