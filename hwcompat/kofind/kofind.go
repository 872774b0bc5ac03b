// Package kofind decides which file of a kernel module fits a kernel release:
// one that came built for exactly this release, one that weak-modules linked
// from a compatible release, one that DKMS built; and says why each other file
// was passed over and what would bring one.
//
// It reads and never loads: whoever loads asks for the candidates in order and
// takes the first that the kernel accepts.
package kofind

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// A Way is how a module file came to lie where it lies.
type Way string

// The ways, in order of preference. A file that came built was tested by
// whoever built it; a compatible one was built for another release of the same
// kernel ABI; DKMS builds whatever the machine's compiler makes of it.
const (
	Prebuilt Way = "prebuilt"
	Weak     Way = "weak-modules"
	DKMS     Way = "dkms"
)

// A Candidate is a file that may be loaded.
type Candidate struct {
	Path      string // absolute
	Way       Way
	Vermagic  string    // empty: not readable, the file is compressed
	Signature Signature // appended by the build
	Why       string
}

// A Rejected is a file of the right name that must not be loaded.
type Rejected struct {
	Path, Why string
}

// A Result is what Find found.
type Result struct {
	Candidates []Candidate // best first
	Rejected   []Rejected
	Mend       string // without a candidate: the command that would bring one
	Rebuild    string // the command that builds one on this machine, or what it lacks for that
}

// Find looks for the module name for a kernel release, with fsys as the root of
// the machine.
func Find(fsys fs.FS, release, name string) Result {
	f := &finder{fsys: fsys, release: release, name: name}
	for _, tree := range []string{"lib/modules", "usr/lib/modules"} {
		// With merged /usr one is a link to the other: look once.
		if _, err := fs.ReadDir(fsys, tree); err == nil {
			f.installed(tree)
			f.foreign(tree)
			break
		}
	}
	f.built()
	slices.SortStableFunc(f.Candidates, func(a, b Candidate) int { return rank(a.Way) - rank(b.Way) })
	f.Rebuild = f.mend()
	if len(f.Candidates) == 0 {
		f.Mend = f.Rebuild
	}
	return f.Result
}

func rank(w Way) int { return slices.Index([]Way{Prebuilt, Weak, DKMS}, w) }

type finder struct {
	Result
	fsys          fs.FS
	release, name string
}

// folders of a module tree in which modules from outside the kernel lie:
// kmod packages of the Red Hat family use extra/, those of SUSE updates/ and
// extra/, Debian's DKMS updates/dkms/, links of weak-modules weak-updates/.
var folders = []string{"extra", "updates", "weak-updates", "misc"}

func (f *finder) files(tree string) []string {
	var found []string
	for _, dir := range folders {
		for _, depth := range []string{"", "*/", "*/*/"} {
			names, err := fs.Glob(f.fsys, path.Join(tree, dir, depth+f.name+".ko*"))
			if err == nil {
				found = append(found, slices.DeleteFunc(names, func(n string) bool { return !isModule(n) })...)
			}
		}
	}
	return found
}

func isModule(name string) bool {
	return slices.Contains([]string{".ko", ".gz", ".xz", ".zst"}, path.Ext(name))
}

// installed judges what lies in the tree of the release itself.
func (f *finder) installed(modules string) {
	tree := path.Join(modules, f.release)
	for _, file := range f.files(tree) {
		way := Prebuilt
		switch rest := strings.TrimPrefix(file, tree+"/"); {
		case strings.HasPrefix(rest, "weak-updates/"):
			way = Weak
		case strings.HasPrefix(rest, "updates/dkms/"), f.dkmsInstalled():
			way = DKMS
		}
		f.judge(file, way)
	}
}

// dkmsInstalled asks DKMS's own record of what it installed for the release:
// var/lib/dkms/NAME/kernel-RELEASE-ARCH. On the Red Hat family its modules lie
// in extra/, where prebuilt ones lie too.
func (f *finder) dkmsInstalled() bool {
	names, err := fs.Glob(f.fsys, path.Join("var/lib/dkms", f.name, "kernel-"+globQuote(f.release)+"-*"))
	return err == nil && len(names) > 0
}

func (f *finder) judge(file string, way Way) {
	if _, err := fs.Stat(f.fsys, file); err != nil {
		f.reject(file, "its target is gone: "+f.target(file))
		return
	}
	info, err := readInfo(f.fsys, file)
	if err != nil {
		f.reject(file, "not a kernel module: "+err.Error())
		return
	}
	built, flags, _ := strings.Cut(info.vermagic, " ")
	switch {
	case info.vermagic == "": // compressed; the kernel will judge
	case way == Weak && built != f.release && !slices.Contains(strings.Fields(flags), "modversions"):
		f.reject(file, "built for "+built+" without symbol versions, so the kernel takes it for that release only")
		return
	case way != Weak && built != f.release:
		f.reject(file, "built for "+built)
		return
	}
	f.Candidates = append(f.Candidates, Candidate{
		Path: "/" + file, Way: way, Vermagic: info.vermagic, Signature: info.signature, Why: f.why(file, way, built),
	})
}

func (f *finder) why(file string, way Way, built string) string {
	switch way {
	case Weak:
		if to := f.target(file); to != "" {
			return "compatible: linked by weak-modules from " + to
		}
		return "compatible: put there by weak-modules"
	case DKMS:
		return "built on this machine by DKMS for " + f.release
	}
	if built == "" {
		return "installed for " + f.release
	}
	return "built for exactly " + f.release
}

func (f *finder) target(file string) string {
	to, err := fs.ReadLink(f.fsys, file)
	if err != nil {
		return ""
	}
	return to
}

func (f *finder) reject(file, why string) {
	f.Rejected = append(f.Rejected, Rejected{Path: "/" + file, Why: why})
}

// built takes in what DKMS has built and not installed: it can be loaded by
// path all the same.
func (f *finder) built() {
	if slices.ContainsFunc(f.Candidates, func(c Candidate) bool { return c.Way == DKMS }) {
		return
	}
	names, err := fs.Glob(f.fsys, path.Join("var/lib/dkms", f.name, "*", globQuote(f.release), "*/module", f.name+".ko*"))
	if err != nil {
		return
	}
	for _, n := range names {
		if isModule(n) {
			f.judge(n, DKMS)
		}
	}
}

// foreign lists what is there for other releases: the operator's first
// question is why the module that was there yesterday is not taken today.
func (f *finder) foreign(modules string) {
	entries, err := fs.ReadDir(f.fsys, modules)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.Name() == f.release {
			continue
		}
		for _, file := range f.files(path.Join(modules, e.Name())) {
			f.reject(file, "installed for "+e.Name())
		}
	}
}

// mend names what is missing for a build on the machine, in the order in which
// it has to be brought.
func (f *finder) mend() string {
	sources, err := fs.Glob(f.fsys, "usr/src/"+f.name+"-*/dkms.conf")
	if err != nil || len(sources) == 0 {
		return "install the package shisa-dkms, or the prebuilt module for " + f.release
	}
	version := strings.TrimPrefix(path.Base(path.Dir(sources[len(sources)-1])), f.name+"-")
	if !f.headers() {
		return fmt.Sprintf("install the headers of %s (linux-headers-%[1]s, kernel-devel-%[1]s or kernel-default-devel), then: dkms install %s/%s -k %[1]s",
			f.release, f.name, version)
	}
	return fmt.Sprintf("dkms install %s/%s -k %s", f.name, version, f.release)
}

// headers reports whether the build link of the release leads somewhere.
func (f *finder) headers() bool {
	for _, tree := range []string{"lib/modules", "usr/lib/modules"} {
		link := path.Join(tree, f.release, "build")
		if _, err := fs.Stat(f.fsys, link); err == nil {
			return true
		}
		// An absolute link does not resolve in a tree that is not mounted at /.
		if to := f.target(link); path.IsAbs(to) {
			if _, err := fs.Stat(f.fsys, path.Clean(strings.TrimPrefix(to, "/"))); err == nil {
				return true
			}
		}
	}
	return false
}

// globQuote makes a text match itself in a pattern of path.Match.
func globQuote(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}
