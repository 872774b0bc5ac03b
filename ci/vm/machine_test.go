package vm

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestMachineArgs(t *testing.T) {
	k := Kernel{Name: "x", Release: "1", Dir: "/k"}
	tests := []struct {
		name      string
		machine   Machine
		want, not []string
	}{
		{"plain", Machine{}, []string{"-smp 2", "-m 512", "watchdog=reset", "/k/vmlinuz"}, []string{"i6300esb", "ipmi", "pvpanic", "-no-reboot", "ramoops", "virtio-blk"}},
		{"size", Machine{CPUs: 1, MemoryMiB: 1024}, []string{"-smp 1", "-m 1024"}, nil},
		{"never too small", Machine{MemoryMiB: 64}, []string{"-m 384"}, nil},
		{"all", Machine{Watchdog: true, BMC: true, Pvpanic: true, NoReboot: true, Pstore: true, WatchdogAction: "inject-nmi"},
			[]string{"-device i6300esb", "ipmi-bmc-sim", "isa-ipmi-kcs", "-device pvpanic", "-no-reboot", "memmap=1048576$0x10000000", "watchdog=inject-nmi"}, nil},
		{"disks", Machine{Disks: []string{"/a", "/with,comma"}}, []string{"file=/a,", "file=/with,,comma,", "drive=disk1"}, nil},
	}
	for _, tt := range tests {
		got := strings.Join(tt.machine.args(k, "extra=1"), " ")
		for _, w := range append(tt.want, "extra=1", "-accel tcg,thread=multi") {
			if !strings.Contains(got, w) {
				t.Errorf("%s: %q is not in %s", tt.name, w, got)
			}
		}
		for _, n := range tt.not {
			if strings.Contains(got, n) {
				t.Errorf("%s: %q is in %s", tt.name, n, got)
			}
		}
	}
}

func TestMakeDiskError(t *testing.T) {
	if err := MakeDisk(t.Context(), filepath.Join(t.TempDir(), "absent", "disk"), 8); err == nil {
		t.Error("a folder that does not exist: got no error")
	}
}
