package hwcompat_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"shisa/hwcompat"
)

func load(t *testing.T) *hwcompat.Matrix {
	t.Helper()
	m, err := hwcompat.Load()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLint(t *testing.T) {
	for _, m := range hwcompat.Lint(load(t), os.DirFS(".."), nil) {
		t.Error(m)
	}
}

func TestMatrixIsCurrent(t *testing.T) {
	b, err := os.ReadFile("MATRIX.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != load(t).Markdown() {
		t.Error("MATRIX.md is stale: run go generate ./hwcompat")
	}
}

// TestEveryOriginalKernelIsBelowTheFloor backs the sentence in MATRIX.md.
func TestEveryOriginalKernelIsBelowTheFloor(t *testing.T) {
	m := load(t)
	for _, k := range m.Kernels.Rows {
		if a := m.Lookup(hwcompat.Query{Release: k.Kernel}); !a.BelowFloor {
			t.Errorf("line %d: %s is not below %s", k.Line, k.Kernel, a.Floor)
		}
	}
}

// TestEveryOriginalKernelIsFound asks for each row by its own key, spelled as
// that machine would spell it.
func TestEveryOriginalKernelIsFound(t *testing.T) {
	m := load(t)
	for _, k := range m.Kernels.Rows {
		q := hwcompat.Query{Release: k.Kernel, Distro: k.Distro, Arch: k.Arch}
		a := m.Lookup(q)
		if !slices.ContainsFunc(a.Original, func(o hwcompat.Kernel) bool { return o.Line == k.Line && o.Kernel == k.Kernel }) {
			t.Errorf("line %d: Lookup(%+v) finds %d rows, not this one", k.Line, q, len(a.Original))
		}
	}
}

func TestLookup(t *testing.T) {
	m := load(t)
	tests := []struct {
		name      string
		query     hwcompat.Query
		platforms []string
		original  int
		below     bool
		otherArch bool
		otherCut  bool
	}{
		{"Debian 12", hwcompat.Query{Release: "6.1.0-50-amd64", Distro: "debian", Version: "12", Arch: "x86_64"}, []string{"debian-12-6.1"}, 0, false, false, false},
		{"release alone", hwcompat.Query{Release: "6.1.0-50-amd64"}, []string{"debian-12-6.1"}, 0, false, false, false},
		{"minor release of RHEL", hwcompat.Query{Release: "5.14.0-427.el9.x86_64", Distro: "rhel", Version: "9.4", Arch: "x86_64"}, []string{"rhel-9"}, 0, false, false, false},
		{"Amazon Linux 2 is not 2023", hwcompat.Query{Release: "6.1.100-1.amzn2023.x86_64", Distro: "amzn", Version: "2"}, nil, 0, false, false, false},
		{"other architecture", hwcompat.Query{Release: "6.1.0-50-arm64", Distro: "debian", Version: "12", Arch: "aarch64"}, nil, 0, false, true, false},
		{"a kernel of another architecture than this machine's", hwcompat.Query{Release: "6.1.0-50-arm64", Distro: "debian", Version: "12", Arch: "x86_64"}, nil, 0, false, true, false},
		{"nor does a release alone hide its architecture", hwcompat.Query{Release: "5.14.0-427.el9.aarch64"}, nil, 0, false, true, true},
		{"own build of a known series", hwcompat.Query{Release: "5.14.21-custom", Distro: "rhel", Version: "9.4", Arch: "x86_64"}, nil, 0, false, false, true},
		{"real-time kernel", hwcompat.Query{Release: "6.12.117+deb12-rt-amd64", Distro: "debian", Version: "12", Arch: "x86_64"}, []string{"debian-12-6.12-rt"}, 0, false, false, false},
		{"kernel for clouds", hwcompat.Query{Release: "6.1.0-57-cloud-amd64", Distro: "debian", Version: "12", Arch: "x86_64"}, nil, 0, false, false, true},
		{"unknown distribution", hwcompat.Query{Release: "6.1.0-50-amd64", Distro: "gentoo"}, nil, 0, false, false, false},
		{"the same kernel under several distributions", hwcompat.Query{Release: "2.6.32-358.2.1.el6.x86_64", Arch: "x86_64"}, nil, 2, true, false, false},
		{"with distribution", hwcompat.Query{Release: "2.6.32-358.2.1.el6.x86_64", Distro: "rhel", Arch: "x86_64"}, nil, 1, true, false, false},
		{"suffix of the architecture left out", hwcompat.Query{Release: "2.6.32-358.2.1.el6", Distro: "rhel", Arch: "x86_64"}, nil, 1, true, false, false},
		{"probable misprint, as printed (K05)", hwcompat.Query{Release: "2.6.18-128.7AXS3", Distro: "asianux", Arch: "i686"}, nil, 1, true, false, false},
		{"probable misprint, as meant (K05)", hwcompat.Query{Release: "2.6.18-128.7.AXS3", Distro: "asianux", Arch: "i686"}, nil, 1, true, false, false},
		{"SLES 11 SP1 as meant (K06)", hwcompat.Query{Release: "2.6.32.12-0.7-default", Distro: "sles", Arch: "i686"}, nil, 1, true, false, false},
		{"a kernel of others is not Debian's", hwcompat.Query{Release: "6.12.0-55.9.1.el10_0.x86_64"},
			[]string{"almalinux-10", "centos-10", "ol-10-rhck", "rhel-10", "rocky-10"}, 0, false, false, false},
		{"nor one of SUSE", hwcompat.Query{Release: "6.12.0-160000.5-default"}, []string{"sles-16.0"}, 0, false, false, false},
		{"CentOS 8", hwcompat.Query{Release: "4.18.0-348.7.1.el8_5.x86_64", Distro: "centos", Version: "8", Arch: "x86_64"}, []string{"centos-8"}, 0, false, false, false},
		{"not a release", hwcompat.Query{Release: "linux"}, nil, 0, false, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := m.Lookup(tt.query)
			var ids []string
			for _, p := range a.Platforms {
				ids = append(ids, p.ID)
			}
			if !slices.Equal(ids, tt.platforms) {
				t.Errorf("platforms = %v, want %v", ids, tt.platforms)
			}
			if len(a.Original) != tt.original {
				t.Errorf("%d rows of the original, want %d", len(a.Original), tt.original)
			}
			if a.BelowFloor != tt.below || a.OtherArch != tt.otherArch || a.OtherBuild != tt.otherCut {
				t.Errorf("below floor %v, other arch %v, other build %v", a.BelowFloor, a.OtherArch, a.OtherBuild)
			}
		})
	}
}

func TestNotTriedIsNeverShownAsWorks(t *testing.T) {
	m := load(t)
	for _, p := range m.Platforms.Rows {
		for _, s := range p.NotTried {
			if c := p.Claim(s); c.State != hwcompat.NotTried || c.Verified != "" {
				t.Errorf("%s: %s: %+v", p.ID, s, c)
			}
		}
	}
}

// TestCountsOfTheDocument freezes the counts of the transcription, which no
// edit of a head together with its rows may change.
func TestCountsOfTheDocument(t *testing.T) {
	m := load(t)
	for _, c := range []struct {
		name       string
		have, want int
	}{
		{"kernels", len(m.Kernels.Rows), 434},
		{"kernel notes", len(m.Kernels.Notes), 20},
		{"applications", len(m.Applications.Rows), 178},
		{"SNMP agents", len(m.SNMP.Rows), 9},
		{"Java environments", len(m.JVM.Rows), 5},
		{"load balancers", len(m.LoadBalancers.Rows), 12},
		{"servers", len(m.Servers.Rows), 3},
		{"server systems", len(m.OS.Servers), 20},
		{"client systems", len(m.OS.Clients), 17},
		{"ports", len(m.Ports.Rows), 25},
		{"services", len(m.Services.Rows), 5},
		{"restrictions", len(m.Restrictions.Rows), 68},
	} {
		if c.have != c.want {
			t.Errorf("%d %s, want %d", c.have, c.name, c.want)
		}
	}
}

func TestReadIsStrict(t *testing.T) {
	fsys := fstest.MapFS{}
	names, err := os.ReadDir("data")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		b, err := os.ReadFile("data/" + n.Name())
		if err != nil {
			t.Fatal(err)
		}
		fsys[n.Name()] = &fstest.MapFile{Data: b}
	}
	if _, err := hwcompat.Read(fsys); err != nil {
		t.Fatalf("before the edit: %v", err)
	}
	for name, edit := range map[string]struct{ file, add, want string }{
		"unknown key":   {"daemons.toml", "\n[[daemon]]\nid = \"x\"\ncolour = \"red\"\n", "decode daemons.toml: unknown keys: daemon.colour"},
		"unknown table": {"ports.toml", "\n[[harbour]]\nid = 1\n", "decode ports.toml: unknown keys: harbour"},
		"wrong type":    {"meanings.toml", "\n[[meaning]]\nrestriction = 7\n", "decode meanings.toml: "},
	} {
		t.Run(name, func(t *testing.T) {
			was := fsys[edit.file]
			defer func() { fsys[edit.file] = was }()
			fsys[edit.file] = &fstest.MapFile{Data: append(slices.Clone(was.Data), edit.add...)}
			_, err := hwcompat.Read(fsys)
			if err == nil || !strings.Contains(err.Error(), edit.want) {
				t.Errorf("error %v, want %q", err, edit.want)
			}
		})
	}
}
