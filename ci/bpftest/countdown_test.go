package bpftest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shisa/ci/kbuild"
	"shisa/ci/vm"
	"shisa/ci/vm/wire"
)

// An armed guest, with a countdown that is real. Its records survive a reset.
type armed struct {
	method  string // of keepalive
	modules []string
	files   []string // .ko files built here
	extra   string   // configuration
}

// Memory that survives a reset, and the module that keeps records in it.
const (
	reserved = "memmap=1M$0x10000000"
	ramoops  = "ramoops mem_address=0x10000000 mem_size=0x100000 record_size=0x10000 pmsg_size=0x20000 ecc=1 max_reason=4"
)

func (a armed) start(t *testing.T, kernel vm.Kernel) guestDaemon {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), daemonTime)
	t.Cleanup(cancel)
	disk := filepath.Join(t.TempDir(), "state.img")
	if err := vm.MakeDisk(ctx, disk, 64); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("mode = \"protect\"\n[stall]\ninterval = \"500ms\"\ntimeout = \"12s\"\n[keepalive]\nmethod = %q\nbackstop = \"none\"\n%s", a.method, a.extra)
	g, err := vm.Start(ctx, vm.Config{
		Kernel:      kernel,
		Machine:     vm.Machine{MemoryMiB: 768, Disks: []string{disk}},
		Cmdline:     reserved + " printk.always_kmsg_dump=1 loglevel=7",
		Modules:     append([]string{ramoops}, a.modules...),
		ModuleFiles: a.files,
		Binaries: map[string]string{"/usr/sbin/shisad": "./cmd/shisad", "/usr/sbin/shisa-keeper": "./cmd/shisa-keeper",
			"/usr/sbin/shisa": "./cmd/shisa", "/bin/hurt": "./ci/bpftest/hurt"},
		Files: map[string]vm.File{"/etc/shisa/shisa.toml": {Data: []byte(config)}},
		Mounts: []wire.Mount{
			{Source: "/dev/vda", Target: "/var/lib/shisa", Type: "ext4"},
			{Source: "bpf", Target: "/sys/fs/bpf", Type: "bpf"},
		},
		StopWait: 3 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	d := guestDaemon{t, ctx, g}
	d.run()
	d.await("keepalive-armed", "keepalive/primary")
	return d
}

// module builds one of our modules, or skips.
func module(t *testing.T, kernel vm.Kernel, folder, name string) string {
	t.Helper()
	path, err := kbuild.Module(t.Context(), kernel, folder, name)
	if err != nil {
		t.Skip(err)
	}
	return path
}

// TestShutdownIsOnRecord takes guests down in which a process ignores SIGTERM and a
// driver hangs: after the reset the timeline names both.
func TestShutdownIsOnRecord(t *testing.T) {
	if os.Getenv("SHISA_VM") != "1" {
		t.Skip("boots guests only with SHISA_VM=1 (make vm-test)")
	}
	for _, kernel := range kernels(t) {
		t.Run(kernel.Name, func(t *testing.T) { shutdownOnRecord(t, kernel, "") })
	}
}

// TestShutdownWithoutTrampolines does the same where the kernel refuses trampolines,
// as some do: then there are only probes.
func TestShutdownWithoutTrampolines(t *testing.T) {
	if os.Getenv("SHISA_VM") != "1" {
		t.Skip("boots guests only with SHISA_VM=1 (make vm-test)")
	}
	const without = "[witness]\nwithout = [\"*_tp_btf\", \"*_fentry\", \"*_fexit\"]\n"
	d := shutdownOnRecord(t, oneKernel(t), without)
	said := d.doctor()
	for part, want := range map[string]string{"exits exit": "exit_raw_tp", "blame device": "device_kprobe", "blame devices-end": "devices_end_kretprobe"} {
		if !strings.HasPrefix(said[part], want) || !strings.Contains(said[part], "switched off by configuration") {
			t.Errorf("%s is done by %q, not by %s", part, said[part], want)
		}
	}
}

func shutdownOnRecord(t *testing.T, kernel vm.Kernel, extra string) guestDaemon {
	t.Helper()
	files := []string{module(t, kernel, "ci/kmod/faults", "faults"), module(t, kernel, "kmod", "clpka")}
	// Ours: a watchdog's own driver stops it on the way down.
	d := armed{method: "clpka", modules: []string{"faults", "clpka"}, files: files,
		extra: "[shutdown]\nwatch = \"always\"\ntimeout = \"45s\"\n" + extra}.start(t, kernel)
	d.sh("echo hang-in-device >/sys/module/faults/parameters/now; hurt ignore-term >/dev/null 2>&1 &")
	d.sh("shisa shutdown --reboot --reason test")
	if _, err := d.guest.WaitBoot(d.ctx, 2); err != nil {
		t.Fatalf("%v\n%s", err, d.guest.Console())
	}
	d.sh("sed -i 's/protect/observe/' /etc/shisa/shisa.toml; mount -t pstore pstore /sys/fs/pstore 2>/dev/null; true")
	d.run()
	t.Log("\n" + d.sh("shisa why --shutdown"))
	var why struct {
		Summary  string
		Timeline struct {
			Done  bool
			Spans []struct {
				Class, Name, Detail string
				Unfinished          bool
			}
		}
	}
	if err := json.Unmarshal([]byte(d.sh("shisa why --shutdown --json")), &why); err != nil {
		t.Fatal(err)
	}
	spans := fmt.Sprintf("%+v", why.Timeline.Spans)
	for _, want := range []string{"ignored SIGTERM, killed", "Name:faults Detail:driver faults Unfinished:true"} {
		if !strings.Contains(spans, want) {
			t.Errorf("the timeline lacks %q: %s", want, spans)
		}
	}
	if t.Failed() {
		t.Log(d.sh("ls -l /sys/fs/pstore /var/lib/shisa; cat /var/lib/shisa/shutdown.*"))
	}
	return d
}

// TestMissIsHandedOver stops the daemon of guests with our own module, while something
// goes on pinging the countdown as a keeper would that judges nothing: the kernel itself
// notices the missed beat, and has the countdown run out.
func TestMissIsHandedOver(t *testing.T) {
	if os.Getenv("SHISA_VM") != "1" {
		t.Skip("boots guests only with SHISA_VM=1 (make vm-test)")
	}
	for _, kernel := range kernels(t) {
		t.Run(kernel.Name, func(t *testing.T) {
			clpka := module(t, kernel, "kmod", "clpka")
			d := armed{method: "clpka", modules: []string{"clpka"}, files: []string{clpka}}.start(t, kernel)
			doctor := d.sh("shisa doctor")
			if refused := strings.Contains(doctor, "(timer that tells clpka):"); refused || !strings.Contains(doctor, "timer that tells clpka") {
				if strings.Contains(d.sh("dmesg"), "kfuncs yes") && strings.Contains(doctor, "arm_syscall (timer") {
					t.Errorf("the module has functions for programs, and none calls them:\n%s", doctor)
				}
				t.Skip("no timer can call the module on this kernel")
			}
			d.sh("sleep 3; hurt ping /dev/clpka 2>/dev/kmsg & sleep 1; killall -STOP shisad")
			begin := time.Now()
			if _, err := d.guest.WaitBoot(d.ctx, 2); err != nil {
				t.Fatalf("%v\n%s", err, d.guest.Console())
			}
			if !strings.Contains(d.guest.Console(), "the kernel missed beat") {
				t.Fatalf("the countdown ran out by itself\n%s", d.guest.Console())
			}
			t.Logf("it is up again %.1f s after the stop, of 12 s", time.Since(begin).Seconds())
		})
	}
}
