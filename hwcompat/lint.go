package hwcompat

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A Mistake is something that Lint refuses.
type Mistake struct {
	File string // in data/
	Row  string // id or line of the row; empty: the whole file
	Text string
}

func (m Mistake) String() string {
	if m.Row == "" {
		return m.File + ": " + m.Text
	}
	return m.File + ": " + m.Row + ": " + m.Text
}

// Lint returns every mistake in m: totals, order, identifiers, sources and
// dates. tests is the root of the source tree, where the test that a claim
// from a virtual machine names must exist; nil leaves that one check out.
// findings lists the identifiers that a Meaning may name; nil leaves that out.
func Lint(m *Matrix, tests fs.FS, findings []string) []Mistake {
	l := &linter{tests: tests}
	l.totals(m)
	l.original(m)
	l.platforms(m.Platforms.Rows)
	l.daemons(m.Daemons.Rows)
	l.meanings(m, findings)
	return l.mistakes
}

type linter struct {
	mistakes []Mistake
	tests    fs.FS
}

func (l *linter) add(file, row, format string, args ...any) {
	l.mistakes = append(l.mistakes, Mistake{File: file, Row: row, Text: fmt.Sprintf(format, args...)})
}

// totals holds the number of rows against what the head of each file says, so
// that a row lost in an edit is noticed.
func (l *linter) totals(m *Matrix) {
	arch := func(want string) (n int) {
		for _, k := range m.Kernels.Rows {
			if k.Arch == want {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		file       string
		have, want int
	}{
		{"kernels.toml", len(m.Kernels.Rows), m.Kernels.Meta.EntriesTotal},
		{"kernels.toml", arch("i686"), m.Kernels.Meta.EntriesI686},
		{"kernels.toml", arch("x86_64"), m.Kernels.Meta.EntriesX8664},
		{"apps.toml", len(m.Applications.Rows), m.Applications.Meta.RowsTotal},
		{"apps.toml", len(m.Applications.Rows), m.Applications.Meta.RowsI686 + m.Applications.Meta.RowsX8664},
		{"snmp.toml", len(m.SNMP.Rows), m.SNMP.Meta.RowsTotal},
		{"jvm.toml", len(m.JVM.Rows), m.JVM.Meta.RowsTotal},
		{"loadbalancers.toml", len(m.LoadBalancers.Rows), m.LoadBalancers.Meta.RowsTotal},
		{"bmc_servers.toml", len(m.Servers.Rows), m.Servers.Meta.RowsTotal},
		{"os_support.toml", len(m.OS.Servers), m.OS.Meta.ServerI686 + m.OS.Meta.ServerX8664},
		{"os_support.toml", len(m.OS.Clients), m.OS.Meta.WebManager + m.OS.Meta.OfflineBuilder},
		{"ports.toml", len(m.Ports.Rows), m.Ports.Meta.RowsTotal},
		{"ports.toml", len(m.Ports.Rows), m.Ports.Meta.Chapter1 + m.Ports.Meta.Chapter6},
		{"services.toml", len(m.Services.Rows), m.Services.Meta.Services},
		{"restrictions.toml", len(m.Restrictions.Rows), m.Restrictions.Meta.RowsTotal},
		{"platforms.toml", len(m.Platforms.Rows), m.Platforms.Meta.RowsTotal},
	} {
		if c.have != c.want {
			l.add(c.file, "", "%d rows, the head says %d", c.have, c.want)
		}
	}
}

// original checks the transcribed tables: printed order, notes that exist,
// ranges that begin where "since" says.
func (l *linter) original(m *Matrix) {
	notes := map[string]bool{}
	for _, n := range m.Kernels.Notes {
		notes[n.ID] = true
	}
	last := 0
	for _, k := range m.Kernels.Rows {
		row := fmt.Sprintf("line %d", k.Line)
		if k.Line < last {
			l.add("kernels.toml", row, "out of printed order, after line %d", last)
		}
		last = k.Line
		l.ranges("kernels.toml", row, k.Since, k.Ranges)
		for _, n := range k.Notes {
			if !notes[n] {
				l.add("kernels.toml", row, "names note %s, which does not exist", n)
			}
		}
	}
	for _, a := range m.Applications.Rows {
		l.ranges("apps.toml", fmt.Sprintf("line %d", a.Line), a.Since, a.Ranges)
	}
}

// ranges holds the spans of a row in order: each begins where the one before it
// has ended, the first at since, and only the last may be open.
func (l *linter) ranges(file, row, since string, spans []Range) {
	if len(spans) == 0 || spans[0].From != since {
		l.add(file, row, "ranges do not begin at since %q", since)
	}
	for i, r := range spans {
		if r.To != "" && CompareVersions(r.From, r.To) > 0 {
			l.add(file, row, "range from %s ends at %s, before it begins", r.From, r.To)
		}
		if i > 0 && (spans[i-1].To == "" || CompareVersions(spans[i-1].To, r.From) >= 0) {
			l.add(file, row, "range from %s begins inside the one before it", r.From)
		}
	}
}

func (l *linter) platforms(rows []Platform) {
	seen := map[string]bool{}
	for i, p := range rows {
		if seen[p.ID] {
			l.add("platforms.toml", p.ID, "id occurs twice")
		}
		seen[p.ID] = true
		if slices.Contains([]string{p.ID, p.Distro, p.DistroName, p.Version, p.Kernel}, "") || len(p.Archs) == 0 {
			l.add("platforms.toml", p.ID, "id, distro, distro_name, version, archs and kernel must be given")
		}
		if i > 0 && comparePlatforms(rows[i-1], p) > 0 {
			l.add("platforms.toml", p.ID, "out of order, after %s", rows[i-1].ID)
		}
		for _, pattern := range append([]string{p.Match}, p.Unlike...) {
			if _, err := path.Match(pattern, ""); err != nil {
				l.add("platforms.toml", p.ID, "pattern %q: %v", pattern, err)
			}
		}
		if !strings.HasPrefix(p.Match, p.Kernel) {
			l.add("platforms.toml", p.ID, "match %q does not begin with kernel %q", p.Match, p.Kernel)
		}
		if p.Package != "deb" && p.Package != "rpm" {
			l.add("platforms.toml", p.ID, "package %q is neither deb nor rpm", p.Package)
		}
		if p.Module != "dkms" && p.Module != "prebuilt" {
			l.add("platforms.toml", p.ID, "module %q is neither dkms nor prebuilt", p.Module)
		}
		l.subjects(p)
		for _, c := range p.Claims {
			l.claim(p.ID, c)
		}
	}
}

func comparePlatforms(a, b Platform) int {
	return cmp.Or(
		strings.Compare(a.Distro, b.Distro),
		CompareVersions(a.Version, b.Version),
		CompareVersions(a.Kernel, b.Kernel),
		strings.Compare(a.ID, b.ID),
	)
}

// subjects makes sure that p accounts for every subject exactly once: what
// nobody wrote down must not look like something that works.
func (l *linter) subjects(p Platform) {
	count := map[Subject]int{}
	for _, s := range p.NotTried {
		count[s]++
	}
	for _, c := range p.Claims {
		for _, s := range c.Subjects {
			count[s]++
		}
	}
	for _, s := range subjects {
		if count[s] != 1 {
			l.add("platforms.toml", p.ID, "subject %s is accounted for %d times", s, count[s])
		}
		delete(count, s)
	}
	for s := range count {
		l.add("platforms.toml", p.ID, "unknown subject %s", s)
	}
}

// ownVersion is the form of our own versions.
var ownVersion = regexp.MustCompile(`^\d+\.\d+\.\d+$`)

func (l *linter) claim(id string, c Claim) {
	bad := func(format string, args ...any) {
		l.add("platforms.toml", id, fmt.Sprintf("claim on %v: ", c.Subjects)+format, args...)
	}
	if len(c.Subjects) == 0 {
		bad("no subjects")
	}
	switch c.State {
	case Works, Unsupported:
	default:
		bad("state %q is neither works nor unsupported", c.State)
	}
	switch c.Verified {
	case ByVM:
		l.vmTest(bad, c.Evidence)
	case ByHardware, ByCompiler, BySource, ByDocument:
	default:
		bad("verified %q is not one of vm, hardware, compiled, source, document", c.Verified)
	}
	if c.State == Works && !proves(c) {
		bad("works cannot be verified by %s: it was not run", c.Verified)
	}
	if c.Evidence == "" {
		bad("no evidence")
	}
	if !ownVersion.MatchString(c.Since) {
		bad("since %q is not one of our versions", c.Since)
	}
	if _, err := time.Parse(time.DateOnly, c.Date); err != nil {
		bad("date %q: not YYYY-MM-DD", c.Date)
	}
}

// proves reports whether the way in which c was verified is enough to say that
// something works: it was run, or it is a module and was built.
func proves(c Claim) bool {
	switch c.Verified {
	case ByVM, ByHardware:
		return true
	case ByCompiler:
		return !slices.ContainsFunc(c.Subjects, func(s Subject) bool {
			return s != ModuleDKMS && s != ModulePrebuilt
		})
	}
	return false
}

// vmTest checks that evidence "ci/power softdog" or "ci/bpftest TestGuests/6.1"
// names a test function, or a case of a table, in a package below ci/. What
// follows a slash only a run can know.
func (l *linter) vmTest(bad func(string, ...any), evidence string) {
	dir, test, ok := strings.Cut(evidence, " ")
	if !ok || dir != "ci" && !strings.HasPrefix(dir, "ci/") {
		bad("evidence %q is not a package below ci, a space, and a test", evidence)
		return
	}
	if l.tests == nil {
		return
	}
	name, _, _ := strings.Cut(test, "/")
	quoted := regexp.QuoteMeta(name)
	named := regexp.MustCompile(`(?m)^func ` + quoted + `\(\w+ \*testing\.T\)|"` + quoted + `"`)
	files, err := fs.Glob(l.tests, dir+"/*.go")
	if err != nil {
		bad("evidence %q: %v", evidence, err)
		return
	}
	for _, f := range files {
		src, err := fs.ReadFile(l.tests, f)
		if err != nil {
			bad("evidence %q: %v", evidence, err)
			return
		}
		if named.Match(src) {
			return
		}
	}
	bad("evidence %q: no such test", evidence)
}
