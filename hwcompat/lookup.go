package hwcompat

import (
	"cmp"
	"slices"
	"strings"
)

// A Query names a kernel on a distribution. Empty fields match everything, so
// a release alone may find rows of several distributions (note K15).
type Query struct {
	Release string // as uname -r prints it
	Distro  string // ID of os-release
	Version string // VERSION_ID of os-release
	Arch    string // as uname -m prints it; one that Release names itself goes before it
}

// An Answer is what the matrix knows of a kernel.
type Answer struct {
	Release    string     `json:"release"`
	Series     string     `json:"series"`                // empty: the release does not read like one
	Arch       string     `json:"arch,omitempty"`        // of the kernel, as uname -m prints it; empty: not known
	BelowFloor bool       `json:"below_floor"`           // the control plane cannot run there
	Floor      string     `json:"floor"`                 // oldest Linux on which it can
	Platforms  []Platform `json:"platforms,omitempty"`   // our rows; none: this kernel was never looked at
	Original   []Kernel   `json:"original,omitempty"`    // rows of the original's table
	OtherArch  bool       `json:"other_arch,omitempty"`  // none of ours fits, but one would on another architecture
	OtherBuild bool       `json:"other_build,omitempty"` // none of ours fits, but one has the same series
}

// Lookup asks the matrix about a kernel. It never guesses: a kernel that fits
// no row of ours comes back with no platform, which means not tried.
func (m *Matrix) Lookup(q Query) Answer {
	q.Arch = cmp.Or(archOf(q.Release), q.Arch)
	a := Answer{
		Release: q.Release,
		Series:  Series(q.Release),
		Arch:    q.Arch,
		Floor:   m.Platforms.Meta.Floor,
	}
	a.BelowFloor = a.Series != "" && CompareVersions(a.Series, a.Floor) < 0
	for _, k := range m.Kernels.Rows {
		if k.matches(q) {
			a.Original = append(a.Original, k)
		}
	}
	for _, p := range m.Platforms.Rows {
		if !p.isDistro(q) {
			continue
		}
		fits := p.Fits(q.Release)
		switch {
		case fits && (q.Arch == "" || slices.Contains(p.Archs, q.Arch)):
			a.Platforms = append(a.Platforms, p)
		case fits:
			a.OtherArch = true
		case p.Kernel == a.Series:
			a.OtherBuild = true
		}
	}
	if len(a.Platforms) > 0 {
		a.OtherArch, a.OtherBuild = false, false
	}
	return a
}

func (p *Platform) isDistro(q Query) bool {
	return (q.Distro == "" || p.Distro == q.Distro) && (q.Version == "" || coversVersion(p.Version, q.Version))
}

// coversVersion reports whether have is want or its leading components: "9"
// covers "9.4", "2" does not cover "2023".
func coversVersion(have, want string) bool {
	return have == want || strings.HasPrefix(want, have+".")
}

// originalDistro maps the ID of os-release to the name in the original's
// tables, where they differ or where one rebuilds the other's kernel.
var originalDistro = map[string]string{
	"centos":       "rhel",
	"ol":           "oracle",
	"miraclelinux": "asianux",
}

func (k *Kernel) matches(q Query) bool {
	distro := q.Distro
	if d, ok := originalDistro[distro]; ok {
		distro = d
	}
	if distro != "" && k.Distro != distro || q.Arch != "" && k.Arch != canonicalArch(q.Arch) {
		return false
	}
	names := []string{k.Kernel}
	if k.LikelyKernel != "" {
		names = append(names, k.LikelyKernel)
	}
	return slices.ContainsFunc(names, func(name string) bool {
		// uname -r of RHEL 6 and later ends in the architecture, and some rows
		// print it too; the table's own spelling decides which.
		return name == q.Release || name == strings.TrimSuffix(q.Release, "."+q.Arch) ||
			strings.TrimSuffix(name, "."+k.Arch) == strings.TrimSuffix(q.Release, "."+k.Arch)
	})
}

// archs are the ends of releases by which distributions tell the architecture.
var archs = []struct{ end, arch string }{
	{".x86_64", "x86_64"}, {"-amd64", "x86_64"},
	{".aarch64", "aarch64"}, {"-arm64", "aarch64"},
	{".i686", "i686"}, {"-686", "i686"}, {"-686-pae", "i686"},
	{".ppc64le", "ppc64le"}, {"-powerpc64le", "ppc64le"},
	{".s390x", "s390x"}, {"-s390x", "s390x"},
}

// archOf returns the architecture that a release names, or "".
func archOf(release string) string {
	for _, a := range archs {
		if strings.HasSuffix(release, a.end) {
			return a.arch
		}
	}
	return ""
}

// canonicalArch folds the names of 32-bit x86 into the one of the tables.
func canonicalArch(arch string) string {
	switch arch {
	case "i386", "i486", "i586":
		return "i686"
	}
	return arch
}

// Application returns the original's rows for a monitor and a target product,
// whose name is compared without regard to case. An empty version matches all.
func (m *Matrix) Application(monitor, product, version string) []Application {
	var rows []Application
	for _, a := range m.Applications.Rows {
		sameVersion := version == "" || a.AnyVersion || a.Version == version || slices.Contains(a.Versions, version)
		if a.Monitor == monitor && strings.EqualFold(a.Application, product) && sameVersion {
			rows = append(rows, a)
		}
	}
	return rows
}

// RestrictionsOf returns the restrictions of the original that live on in a
// finding, in the order of the guide.
func (m *Matrix) RestrictionsOf(finding string) []string {
	var ids []string
	for _, w := range m.Meanings.Rows {
		if slices.Contains(w.Finding, finding) {
			ids = append(ids, w.Restriction)
		}
	}
	return ids
}
