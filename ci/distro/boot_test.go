package distro

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// suites returns those that this run boots; without SHISA_VM=1, or where images
// cannot be made, the test is skipped.
func suites(t *testing.T) []Suite {
	t.Helper()
	if os.Getenv("SHISA_VM") != "1" {
		t.Skip("boots guests only with SHISA_VM=1 (make distro-test)")
	}
	if err := Available(); err != nil {
		t.Skip(err)
	}
	names := strings.FieldsFunc(os.Getenv("SHISA_DISTRO"), func(r rune) bool { return r == ',' })
	if len(names) == 0 {
		return Suites
	}
	var list []Suite
	for _, name := range names {
		s, err := SuiteNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

// boot makes the image of a suite and boots it; the guest ends with the test.
func boot(t *testing.T, s Suite, o Options) *System {
	t.Helper()
	begin := time.Now()
	im, err := Make(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	made := time.Since(begin)
	begin = time.Now()
	sys, err := im.Boot(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sys.Close)
	t.Logf("%s, kernel %s: image after %v, running after %v", s.Name, im.Kernel.Release, made.Round(time.Second), time.Since(begin).Round(time.Second))
	return sys
}

// TestBoot boots each suite and looks whether it is what it is to be.
func TestBoot(t *testing.T) {
	for _, s := range suites(t) {
		t.Run(s.Name, func(t *testing.T) {
			sys := boot(t, s, Options{})
			out, err := sys.Sh(t.Context(), "cat /proc/1/comm; . /etc/os-release; echo $VERSION_CODENAME; uname -r; systemctl --version | head -n 1; systemd-analyze time | head -n 1")
			if err != nil {
				t.Fatal(err)
			}
			t.Log(out)
			if got, want := strings.Fields(out)[:3], []string{"systemd", s.Name, sys.Image.Kernel.Release}; !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
