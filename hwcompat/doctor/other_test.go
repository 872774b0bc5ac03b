package doctor_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"shisa/hwcompat/doctor"
	"shisa/hwcompat/host"
)

// debian is a machine on which one kernel runs and another starts next.
func debian() fstest.MapFS {
	text := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	return fstest.MapFS{
		"proc/sys/kernel/osrelease":                           text("6.1.0-50-amd64\n"),
		"proc/sys/kernel/arch":                                text("x86_64\n"),
		"etc/os-release":                                      text("ID=debian\nVERSION_ID=\"12\"\n"),
		"lib/modules/6.1.0-50-amd64/modules.dep":              text("updates/dkms/clpka.ko.xz:\nkernel/drivers/watchdog/softdog.ko:\n"),
		"lib/modules/6.1.0-50-amd64/updates/dkms/clpka.ko.xz": text(""),
		"lib/modules/6.1.0-51-amd64/modules.dep":              text("kernel/drivers/watchdog/softdog.ko:\n"),
		"usr/src/clpka-0.1.0/dkms.conf":                       text(""),
		"boot/grub/grub.cfg":                                  text("set default=\"0\"\nmenuentry 'Debian' {\n\tlinux /boot/vmlinuz-6.1.0-51-amd64 ro\n}\n"),
	}
}

func ids(all []doctor.Finding) []string {
	var ids []string
	for _, f := range all {
		ids = append(ids, f.ID)
	}
	return ids
}

func TestForKernel(t *testing.T) {
	m := matrix(t)
	tests := []struct {
		release   string
		installed bool
		platforms int
		module    int
		softdog   host.ModuleState
		findings  []string
	}{
		{"6.1.0-50-amd64", true, 1, 1, host.Loadable, nil},
		{"6.1.0-51-amd64", true, 1, 0, host.Loadable, []string{"module-missing"}},
		{"6.1.0-60-amd64", false, 1, 0, host.Absent, nil},
		{"5.14.0-427.el9.x86_64", false, 6, 0, host.Absent, []string{"kernel-untried"}},
		{"9.9.9-amd64", false, 0, 0, host.Absent, []string{"kernel-untried"}},
		{"2.6.32-358.2.1.el6.x86_64", false, 0, 0, host.Absent, []string{"kernel-below-floor"}},
	}
	for _, tt := range tests {
		t.Run(tt.release, func(t *testing.T) {
			r := doctor.ForKernel(debian(), m, doctor.Needs{}, tt.release)
			if r.Installed != tt.installed || len(r.Answer.Platforms) != tt.platforms || len(r.Module) != tt.module || r.Softdog != tt.softdog {
				t.Errorf("%+v", r)
			}
			if original := len(r.Answer.Original) > 0; original != (tt.release == "2.6.32-358.2.1.el6.x86_64") {
				t.Errorf("rows of the original: %+v", r.Answer.Original)
			}
			if got := ids(r.Findings); !slices.Equal(got, tt.findings) {
				t.Errorf("findings %v, want %v", got, tt.findings)
			}
		})
	}
}

func TestForNextBoot(t *testing.T) {
	r := doctor.ForNextBoot(debian(), matrix(t), doctor.Needs{})
	if r.NextLoader != "grub" || r.NextEntry != "Debian" || r.Answer.Release != "6.1.0-51-amd64" {
		t.Errorf("%+v", r)
	}
	if got, want := ids(r.Findings), []string{"module-missing", "next-boot-unprotected"}; !slices.Equal(got, want) {
		t.Fatalf("findings %v, want %v", got, want)
	}
	if f := r.Findings[1]; !strings.Contains(f.Mend, "install the headers of 6.1.0-51-amd64") {
		t.Errorf("mend %q", f.Mend)
	}
}

func TestForNextBootUnknown(t *testing.T) {
	r := doctor.ForNextBoot(fstest.MapFS{}, matrix(t), doctor.Needs{})
	if got := ids(r.Findings); !slices.Equal(got, []string{"next-boot-unknown"}) {
		t.Errorf("findings %v", got)
	}
}
