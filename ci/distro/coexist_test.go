package distro

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"shisa/ci/kbuild"
	"shisa/ci/vm"
	"shisa/ctl/api"
)

// example is what the package tells an operator who wants shisa to have the watchdog.
const example = "/usr/share/doc/shisa/examples/50-shisa-watchdog.conf"

// TestSystemdHoldsWatchdog: a watchdog that systemd drives is refused with the way
// out, and taken once the operator has gone that way.
func TestSystemdHoldsWatchdog(t *testing.T) {
	for _, suite := range suites(t) {
		t.Run(suite.Name, func(t *testing.T) {
			s := newServer(t, suite, Options{})
			s.sh(`modprobe softdog
mkdir -p /etc/systemd/system.conf.d
printf '[Manager]\nRuntimeWatchdogSec=30\n' >/etc/systemd/system.conf.d/10-site.conf
systemctl daemon-reexec`)
			s.install(protecting)
			v := s.await("a refusal", func(v api.Status) bool { return v.Protection.State == api.Unprotected })
			for _, part := range []string{"systemd (process 1)", "RuntimeWatchdogSec=0"} {
				if !strings.Contains(v.Protection.Summary, part) {
					t.Errorf("the refusal does not name %q: %s", part, v.Protection.Summary)
				}
			}
			if out := s.sh("shisa doctor || :"); !strings.Contains(out, "systemd") {
				t.Errorf("the doctor does not name systemd:\n%s", out)
			}
			s.sh("cp %s /etc/systemd/system.conf.d/; systemctl daemon-reexec", example) // shisa looks again by itself
			s.awaitArmed()
			s.calm(stallTimeout + 5*time.Second)
		})
	}
}

// clpka returns the kernel module of this tree, built for the kernel of a suite.
func clpka(t *testing.T, suite Suite) string {
	t.Helper()
	k, err := vm.Get(t.Context(), suite.Kernel)
	if err != nil {
		t.Fatal(err)
	}
	path, err := kbuild.Module(t.Context(), k, "kmod", "clpka")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A feeder is a program of the distribution that drives a watchdog.
type feeder struct {
	name  string
	start string // starts it with a timeout of feedTimeout on /dev/clpka
	comm  string // of the process that pings
	kill  string // ends its pings
}

// feedTimeout leaves a systemd that starts itself anew in emulation time to come back.
const feedTimeout = 15 * time.Second

var feeders = []feeder{
	{
		name: "systemd",
		start: fmt.Sprintf(`mkdir -p /run/systemd/system.conf.d
printf '[Manager]\nWatchdogDevice=/dev/clpka\nRuntimeWatchdogSec=%d\n' >/run/systemd/system.conf.d/clpka.conf
systemctl daemon-reexec`, int(feedTimeout.Seconds())),
		comm: "systemd",
		kill: "kill -SEGV 1", // it catches that, and freezes
	},
	{
		name: "watchdog",
		start: fmt.Sprintf(`printf 'watchdog-device = /dev/clpka\nwatchdog-timeout = %d\ninterval = 1\n' >/run/watchdog.conf
systemd-run --unit=feeder watchdog -F -c /run/watchdog.conf`, int(feedTimeout.Seconds())),
		comm: "watchdog",
		kill: "pkill -STOP -x watchdog",
	},
	{
		name: "sbd",
		start: fmt.Sprintf(`truncate -s 4M /run/sbd.img; modprobe loop; losetup /dev/loop0 /run/sbd.img
sbd -d /dev/loop0 -1 %d -4 %d create; sbd -d /dev/loop0 allocate guest
systemd-run --unit=feeder -p Type=forking sbd -d /dev/loop0 -n guest -w /dev/clpka watch`, int(feedTimeout.Seconds()), int(2*feedTimeout.Seconds())),
		comm: "sbd",
		kill: "pkill -KILL -x sbd",
	},
}

// TestFeeders lets programs of the distribution drive our module, unmodified: while
// they ping nothing happens, and when they stop the machine is reset.
func TestFeeders(t *testing.T) {
	const name = "bookworm" // whose image has them
	for _, suite := range suites(t) {
		if suite.Name != name {
			continue
		}
		dir := t.TempDir()
		if _, err := run(t.Context(), "cp", clpka(t, suite), dir); err != nil {
			t.Fatal(err)
		}
		s := &server{boot(t, suite, Options{Carry: dir, Cmdline: "sysctl.kernel.printk=4"}), t}
		for _, f := range feeders {
			t.Run(f.name, s.under(f.try))
		}
	}
}

func (f feeder) try(s *server) {
	s.sh("mountpoint -q /mnt || mount -o ro /dev/vdb /mnt; insmod /mnt/clpka.ko")
	s.sh("%s", f.start)
	s.awaitShell("armed", "grep -qx active /sys/class/misc/clpka/state")
	s.t.Logf("pinger %s, timeout %s ms", s.sh("cat /sys/class/misc/clpka/pinger"), s.sh("cat /sys/class/misc/clpka/timeout_ms"))
	pings := s.sh("cat /sys/class/misc/clpka/pings")
	s.calm(2 * feedTimeout)
	if now := s.sh("cat /sys/class/misc/clpka/pings"); now == pings {
		s.t.Errorf("no pings since %s", pings)
	}
	if pinger := s.sh("cat /sys/class/misc/clpka/pinger"); !strings.Contains(pinger, f.comm) {
		s.t.Errorf("pinged by %s, want %s", pinger, f.comm)
	}
	boots := s.boots
	begin := time.Now()
	if _, err := s.Go("sh", "-c", f.kill); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 4*feedTimeout)
	defer cancel()
	reset, err := s.WaitEvent(ctx, func(e vm.Event) bool { return e.Kind == vm.KindReset && e.Boot == boots })
	if err != nil {
		s.t.Fatalf("no reset after %v: %v\n%s", 4*feedTimeout, err, tail(s.Console(), 20))
	}
	s.t.Logf("reset %v after the last of its pings could be made", reset.Time.Sub(begin).Round(10*time.Millisecond))
	if took := reset.Time.Sub(begin); took > feedTimeout+3*time.Second {
		s.t.Errorf("reset after %v, want %v at most", took, feedTimeout)
	}
	if err := s.NextBoot(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// awaitShell waits until a script succeeds.
func (s *server) awaitShell(what, script string) {
	s.t.Helper()
	for deadline := time.Now().Add(armWait); ; time.Sleep(pollEvery) {
		r, err := s.Run(s.t.Context(), "sh", "-c", script)
		if err != nil {
			s.t.Fatal(err)
		}
		if r.Exit == 0 {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("waited %v for %q: %s%s", armWait, what, r.Stdout, r.Stderr)
		}
	}
}
