package vm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"shisa/ci/vm/wire"
)

// bootKernels returns the names of the kernels that this run boots; without
// SHISA_VM=1 the test is skipped.
func bootKernels(t *testing.T) []string {
	t.Helper()
	if os.Getenv("SHISA_VM") != "1" {
		t.Skip("boots guests only with SHISA_VM=1 (make vm-test)")
	}
	if name := os.Getenv("SHISA_VM_KERNEL"); name != "" {
		return []string{name}
	}
	sources, err := Sources()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range sources {
		names = append(names, s.Name)
	}
	return names
}

// TestBoot boots each kernel with all devices, uses every method of Guest once,
// resets it and boots it again with the same disk.
func TestBoot(t *testing.T) {
	for _, name := range bootKernels(t) {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
			defer cancel()
			k, err := Get(ctx, name)
			if errors.Is(err, ErrUnavailable) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			disk := filepath.Join(t.TempDir(), "state.img")
			if err := MakeDisk(ctx, disk, 64); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			g, err := Start(ctx, Config{
				Kernel:  k,
				Machine: Machine{Watchdog: true, BMC: true, Pvpanic: true, Pstore: true, Disks: []string{disk}},
				Cmdline: "printk.always_kmsg_dump=1",
				Modules: []string{"softdog soft_margin=60"},
				Present: []string{"dummy"},
				Files:   map[string]File{"/etc/motd": {Data: []byte("welcome\n")}},
				Mounts:  []wire.Mount{{Source: "/dev/vda", Target: "/var/lib/shisa", Type: "ext4"}},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			t.Logf("ready after %v", time.Since(start).Round(time.Millisecond))
			testCommands(ctx, t, g, k)
			testFiles(ctx, t, g)
			testReset(ctx, t, g)
		})
	}
}

func testCommands(ctx context.Context, t *testing.T, g *Guest, k Kernel) {
	tests := []struct {
		name, script, want string
		exit               int
	}{
		{"release", "uname -r", k.Release + "\n", 0},
		{"file", "cat /etc/motd", "welcome\n", 0},
		{"state", "echo out; echo err >&2; exit 7", "out\n", 7},
		{"signal", "kill -9 $$", "", 128 + 9},
		{"devices", "ls /dev/watchdog0 /dev/watchdog1 /dev/ipmi0 /dev/vda", "/dev/ipmi0\n/dev/vda\n/dev/watchdog0\n/dev/watchdog1\n", 0},
		{"modprobe", "modprobe dummy && ls -d /sys/class/net/dummy0", "/sys/class/net/dummy0\n", 0},
		{"loopback", "ping -c 1 -W 5 127.0.0.1 >/dev/null && echo up", "up\n", 0},
		{"orphans", "(sleep 0 &) ; sleep 0.2; ps | grep -c '[Z]  '", "0\n", 1},
		{"mounts", "ls -d /sys/fs/cgroup/cgroup.procs; grep -c ' pstore ' /proc/mounts", "/sys/fs/cgroup/cgroup.procs\n1\n", 0},
	}
	for _, tt := range tests {
		r, err := g.Run(ctx, "sh", "-c", tt.script)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if r.Stdout != tt.want || r.Exit != tt.exit {
			t.Errorf("%s: got state %d, %q, %q; want %d, %q", tt.name, r.Exit, r.Stdout, r.Stderr, tt.exit, tt.want)
		}
	}
	if _, err := g.Run(ctx, "/no/such/program"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a program that does not exist: got %v", err)
	}
	p, err := g.Go("sleep", "1000")
	if err != nil {
		t.Fatal(err)
	}
	if pid, err := p.PID(ctx); err != nil || pid < 2 {
		t.Errorf("PID: got %d, %v", pid, err)
	}
	if err := p.Signal(ctx, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if r, err := p.Wait(ctx); err != nil || r.Exit != 128+15 {
		t.Errorf("after SIGTERM: got %+v, %v", r, err)
	}
}

func testFiles(ctx context.Context, t *testing.T, g *Guest) {
	want := bytes.Repeat([]byte("0123456789abcdef"), 10000)
	if err := g.WriteFile(ctx, "/var/lib/shisa/big", want); err != nil {
		t.Fatal(err)
	}
	got, err := g.ReadFile(ctx, "/var/lib/shisa/big")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("a file written and read back: got %d bytes, %v; want %d", len(got), err, len(want))
	}
	if _, err := g.Sh(ctx, "sync; echo hello > /run/mark"); err != nil {
		t.Error(err)
	}
	mark := func(e Event) bool { return e.Kind == KindMark && e.Text == "hello" }
	if _, err := g.WaitEvent(ctx, mark); err != nil {
		t.Error(err)
	}
	if _, err := g.Sh(ctx, "echo expected > /dev/console"); err != nil {
		t.Error(err)
	}
	if _, err := g.Expect(ctx, "expected"); err != nil {
		t.Error(err)
	}
}

func testReset(ctx context.Context, t *testing.T, g *Guest) {
	if r, err := g.Run(ctx, "reboot", "-f"); err == nil {
		t.Errorf("a command cut off by a reset: got %+v and no error", r)
	}
	reset, err := g.WaitEvent(ctx, func(e Event) bool { return e.Kind == KindReset })
	if err != nil || reset.Reason != "guest-reset" || reset.Boot != 1 {
		t.Fatalf("got %+v, %v; want RESET guest-reset in the first boot", reset, err)
	}
	if _, err := g.WaitBoot(ctx, 2); err != nil {
		t.Fatalf("%v\n%s", err, lastLines(g.Console(), 20))
	}
	if out, err := g.Sh(ctx, "wc -c < /var/lib/shisa/big; ls /sys/fs/pstore"); err != nil || !strings.HasPrefix(out, "160000\n") {
		t.Errorf("the disk after the reset: got %q, %v", out, err)
	} else if !strings.Contains(out, "dmesg-ramoops-0") {
		t.Errorf("the kernel's record after the reset: pstore has %q", strings.Fields(out)[1:])
	}
	if err := g.PowerOff(ctx); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range g.Events() {
		got = append(got, e.String())
	}
	want := "READY, MARK hello, RESET guest-reset, READY, SHUTDOWN guest-shutdown, EXIT"
	if got := strings.Join(got, ", "); got != want {
		t.Errorf("all events: got %s; want %s", got, want)
	}
}
