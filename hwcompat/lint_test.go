package hwcompat_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"shisa/hwcompat"
)

// TestLintRefuses breaks a fresh copy of the matrix in one place and wants to
// read about it.
func TestLintRefuses(t *testing.T) {
	source := fstest.MapFS{
		"ci/vm/power_test.go": {Data: []byte("package vm\n\nfunc TestPower(t *testing.T) {}\n")},
		// what the rows of the data themselves rest on
		"ci/bpftest/guest_test.go": {Data: []byte("package bpftest\n\nfunc TestGuests(t *testing.T) {}\n")},
		"ci/vm/table.go":           {Data: []byte("package vm\n\nvar cases = []string{\"i6300esb\"}\n")},
		"ci/claims/claims_test.go": {Data: []byte("package claims\n\nfunc TestClaims(t *testing.T) {}\n")},
		"ci/distro/units_test.go":  {Data: []byte("package distro\n\nfunc TestLife(t *testing.T) {}\n")},
	}
	claim := func(c hwcompat.Claim) func(*hwcompat.Matrix) {
		return func(m *hwcompat.Matrix) {
			p := &m.Platforms.Rows[0]
			p.NotTried = slices.DeleteFunc(slices.Clone(p.NotTried), func(s hwcompat.Subject) bool { return slices.Contains(c.Subjects, s) })
			p.Claims = append(slices.Clone(p.Claims), c)
		}
	}
	good := hwcompat.Claim{
		Subjects: []hwcompat.Subject{hwcompat.EngineSoftdog}, State: hwcompat.Works,
		Verified: hwcompat.ByVM, Evidence: "ci/vm TestPower/softdog", Since: "0.1.0", Date: "2026-11-23",
	}
	with := func(edit func(*hwcompat.Claim)) func(*hwcompat.Matrix) {
		c := good
		edit(&c)
		return claim(c)
	}
	tests := []struct {
		name  string
		spoil func(*hwcompat.Matrix)
		want  string // empty: nothing to refuse
	}{
		{"a test that exists", claim(good), ""},
		{"a case of a table", with(func(c *hwcompat.Claim) { c.Evidence = "ci/vm i6300esb/reset" }), ""},
		{"a test that does not exist", with(func(c *hwcompat.Claim) { c.Evidence = "ci/vm TestNothing" }), "no such test"},
		{"a test elsewhere", with(func(c *hwcompat.Claim) { c.Evidence = "ctl/daemon TestPower" }), "not a package below ci"},
		{"works by hearsay", with(func(c *hwcompat.Claim) { c.Verified = hwcompat.ByDocument }), "works cannot be verified by document"},
		{"an engine that only compiles", with(func(c *hwcompat.Claim) { c.Verified = hwcompat.ByCompiler }), "works cannot be verified by compiled"},
		{"a module that compiles", with(func(c *hwcompat.Claim) {
			c.Subjects, c.Verified = []hwcompat.Subject{hwcompat.ModuleDKMS}, hwcompat.ByCompiler
		}), ""},
		{"not tried as a claim", with(func(c *hwcompat.Claim) { c.State = hwcompat.NotTried }), "neither works nor unsupported"},
		{"no date", with(func(c *hwcompat.Claim) { c.Date = "yesterday" }), "not YYYY-MM-DD"},
		{"no evidence", with(func(c *hwcompat.Claim) { c.Verified, c.Evidence = hwcompat.ByHardware, "" }), "no evidence"},
		{"no version", with(func(c *hwcompat.Claim) { c.Since = "" }), `since "" is not one of our versions`},
		{"a version to come", with(func(c *hwcompat.Claim) { c.Since = "soon" }), `since "soon" is not one of our versions`},
		{"a claim on nothing", with(func(c *hwcompat.Claim) { c.Subjects = nil }), "no subjects"},
		{"a platform without a name", func(m *hwcompat.Matrix) { m.Platforms.Rows[0].DistroName = "" }, "distro_name, version, archs and kernel must be given"},
		{"a platform of no architecture", func(m *hwcompat.Matrix) { m.Platforms.Rows[0].Archs = nil }, "archs and kernel must be given"},
		{"two platforms of one name", func(m *hwcompat.Matrix) { m.Platforms.Rows[1].ID = m.Platforms.Rows[0].ID }, "id occurs twice"},
		{"a pattern that is none", func(m *hwcompat.Matrix) { m.Platforms.Rows[0].Match += "[" }, "syntax error in pattern"},
		{"a pattern of another kernel", func(m *hwcompat.Matrix) { m.Platforms.Rows[0].Match = "9.9.*" }, "does not begin with kernel"},
		{"a package of neither kind", func(m *hwcompat.Matrix) { m.Platforms.Rows[0].Package = "apk" }, "neither deb nor rpm"},
		{"a module from nowhere", func(m *hwcompat.Matrix) { m.Platforms.Rows[0].Module = "luck" }, "neither dkms nor prebuilt"},
		{"a subject left out", func(m *hwcompat.Matrix) { m.Platforms.Rows[0].NotTried = nil }, "accounted for 0 times"},
		{"a subject twice", func(m *hwcompat.Matrix) {
			m.Platforms.Rows[0].Claims = []hwcompat.Claim{good}
		}, "engine/softdog is accounted for 2 times"},
		{"an unknown subject", with(func(c *hwcompat.Claim) { c.Subjects = []hwcompat.Subject{"engine/steam"} }), "unknown subject engine/steam"},
		{"platforms out of order", func(m *hwcompat.Matrix) {
			m.Platforms.Rows[0], m.Platforms.Rows[1] = m.Platforms.Rows[1], m.Platforms.Rows[0]
		}, "out of order"},
		{"a lost kernel", func(m *hwcompat.Matrix) { m.Kernels.Rows = m.Kernels.Rows[1:] }, "433 rows, the head says 434"},
		{"a kernel out of printed order", func(m *hwcompat.Matrix) {
			m.Kernels.Rows[0], m.Kernels.Rows[1] = m.Kernels.Rows[1], m.Kernels.Rows[0]
			m.Kernels.Rows[0].Line++
		}, "out of printed order"},
		{"a range that begins elsewhere", func(m *hwcompat.Matrix) { m.Kernels.Rows[0].Since = "9.9.9-1" }, "ranges do not begin at since"},
		{"a range that ends before it begins", func(m *hwcompat.Matrix) {
			m.Kernels.Rows[0].Ranges = []hwcompat.Range{{From: m.Kernels.Rows[0].Since, To: "1.0.0-1"}}
		}, "before it begins"},
		{"ranges that overlap", func(m *hwcompat.Matrix) {
			a := &m.Applications.Rows[0]
			a.Ranges = []hwcompat.Range{{From: a.Since}, {From: "9.9.9-1"}}
		}, "begins inside the one before it"},
		{"a note that does not exist", func(m *hwcompat.Matrix) { m.Kernels.Rows[0].Notes = []string{"K99"} }, "names note K99"},
		{"a lost application", func(m *hwcompat.Matrix) { m.Applications.Rows = m.Applications.Rows[1:] }, "177 rows, the head says 178"},
		{"a platform that nobody counted", func(m *hwcompat.Matrix) { m.Platforms.Rows = m.Platforms.Rows[1:] }, "rows, the head says"},
		{"daemons out of order", func(m *hwcompat.Matrix) {
			m.Daemons.Rows[0], m.Daemons.Rows[1] = m.Daemons.Rows[1], m.Daemons.Rows[0]
		}, "out of order"},
		{"a daemon from hearsay", func(m *hwcompat.Matrix) { m.Daemons.Rows[0].Source = "" }, "title, mend and source must be given"},
		{"a daemon of no known use", func(m *hwcompat.Matrix) { m.Daemons.Rows[0].Uses = "cpu" }, "is not one of watchdog"},
		{"a daemon of no date", func(m *hwcompat.Matrix) { m.Daemons.Rows[0].Date = "" }, "not YYYY-MM-DD"},
		{"a lost meaning", func(m *hwcompat.Matrix) { m.Meanings.Rows = m.Meanings.Rows[1:] }, "must be the meaning of this restriction"},
		{"a meaning of two minds", func(m *hwcompat.Matrix) { m.Meanings.Rows[0].Finding = []string{"a"} }, "exactly one of finding and gone"},
		{"a long process name", func(m *hwcompat.Matrix) { m.Daemons.Rows[0].Processes = []string{"sixteen-letters-"} }, "longer than the 15 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := hwcompat.Read(os.DirFS("data"))
			if err != nil {
				t.Fatal(err)
			}
			tt.spoil(m)
			var texts []string
			for _, mistake := range hwcompat.Lint(m, source, nil) {
				texts = append(texts, mistake.String())
			}
			all := strings.Join(texts, "\n")
			if tt.want == "" && all != "" || !strings.Contains(all, tt.want) {
				t.Errorf("lint says %q, want %q", all, tt.want)
			}
		})
	}
}

func TestCompareVersions(t *testing.T) {
	ascending := []string{"", "2.6.18-128.el5", "3.0.10-1", "3.1.8-1", "3.1.8-2", "3.1.10-1", "3.1.10-2", "3.2.0-1", "3.10", "4.4", "4.12", "6.1.0-50-amd64", "6.1.0-50-cloud", "6.12"}
	for i, a := range ascending {
		for j, b := range ascending {
			got := hwcompat.CompareVersions(a, b)
			if (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("CompareVersions(%q, %q) = %d", a, b, got)
			}
		}
	}
}

func FuzzCompareVersions(f *testing.F) {
	f.Add("3.1.8-1", "3.1.10-1")
	f.Add("6.1.0-50-amd64", "6.1")
	f.Fuzz(func(t *testing.T, a, b string) {
		if x, y := hwcompat.CompareVersions(a, b), hwcompat.CompareVersions(b, a); (x < 0) != (y > 0) {
			t.Errorf("CompareVersions(%q, %q) = %d, reversed %d", a, b, x, y)
		}
		hwcompat.Series(a)
	})
}

func TestSeries(t *testing.T) {
	for release, want := range map[string]string{
		"6.1.0-50-amd64":        "6.1",
		"3.10.0-1160.el7":       "3.10",
		"7.3-rc2":               "7.3",
		"2.6.18-128.7AXS3":      "2.6",
		"linux":                 "",
		"6":                     "",
		"6.":                    "",
		"x.1":                   "",
		"6.12+deb13-cloud-arm6": "6.12",
	} {
		if got := hwcompat.Series(release); got != want {
			t.Errorf("Series(%q) = %q, want %q", release, got, want)
		}
	}
}

func TestIsRelease(t *testing.T) {
	for s, want := range map[string]bool{
		"2.6.18-398.el5": true, "5.14.0-427.el9.x86_64": true, "6.12.117+deb12-rt-amd64": true, "7.3~rc5-amd64": true, "2.6.18-128.7AXS3xen": true,
		"": false, "garbage": false, "6": false, "../../etc": false, "6.1.0/../x": false, "6.1.0 x": false, "6.1.0\nx": false,
		"6.1." + strings.Repeat("0", 61): false,
	} {
		if got := hwcompat.IsRelease(s); got != want {
			t.Errorf("IsRelease(%q) = %v", s, got)
		}
	}
}

func TestRange(t *testing.T) {
	closed := hwcompat.Range{From: "3.0.1-1", To: "3.0.3-1"}
	open := hwcompat.Range{From: "3.1.0-1"}
	for v, want := range map[string]bool{"3.0.0-1": false, "3.0.1-1": true, "3.0.3-1": true, "3.0.4-1": false, "3.1.0-1": true, "3.2.1-1": true} {
		if got := closed.Contains(v) || open.Contains(v); got != want {
			t.Errorf("%s: %v, want %v (note K07)", v, got, want)
		}
	}
}
