package distro

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"shisa/ctl/api"
)

// stallTimeout is long enough for an emulated dpkg and short enough to wait for.
const stallTimeout = 15 * time.Second

// protecting guards with softdog alone, so that one engine is to be followed.
var protecting = fmt.Sprintf(`version = 1
mode = "protect"
[keepalive]
method = "softdog"
backstop = "none"
[stall]
interval = "1s"
timeout = %q
`, stallTimeout)

// TestLife follows the package through its life on a booted system: what systemd
// makes of the units, and what becomes of an armed countdown meanwhile.
func TestLife(t *testing.T) {
	for _, suite := range suites(t) {
		t.Run(suite.Name, func(t *testing.T) {
			s := newServer(t, suite, Options{})
			before := s.listing()
			s.install("version = 1\n")
			t.Run("observes", s.under(testObserves))
			t.Run("inherited", s.under(testInherited))
			t.Run("systemd's watchdog", s.under(testSystemdWatchdog))
			s.configure(protecting + "# edited by the administrator\n")
			s.awaitArmed()
			t.Run("restart", s.under(testRestart))
			t.Run("crash", s.under(testCrash))
			t.Run("upgrade", s.under(testUpgrade))
			t.Run("downgrade", s.under(testDowngrade))
			t.Run("stop", s.under(testStop))
			t.Run("remove", s.under(testRemove))
			s.sh("dpkg -P shisa 2>&1")
			if left := missing(s.listing(), before); len(left) > 0 {
				t.Errorf("purge leaves behind: %s", strings.Join(left, " "))
			}
		})
	}
}

// under makes a subtest of a step on the same guest.
func (s *server) under(step func(*server)) func(*testing.T) {
	return func(t *testing.T) {
		begin := time.Now()
		step(&server{s.System, t})
		t.Logf("%v", time.Since(begin).Round(100*time.Millisecond))
	}
}

// testObserves: the package starts its services, and they arm nothing.
func testObserves(s *server) {
	v := s.await("an answer", func(v api.Status) bool { return v.Protection.Keeper.PID != 0 })
	if v.Mode != "observe" || v.Protection.State != api.Observing {
		s.t.Errorf("got mode %s, %s: %s", v.Mode, v.Protection.State, v.Protection.Summary)
	}
	for _, unit := range []string{"shisad.service", "shisa-keeper.service", "shisa-shutdown.service"} {
		for property, want := range map[string]string{"ActiveState": "active", "UnitFileState": "enabled"} {
			if got := s.show(unit, property); got != want {
				s.t.Errorf("%s: %s is %s, want %s", unit, property, got, want)
			}
		}
	}
	if got := s.show("shisad.service", "Type"); got != "notify" {
		s.t.Errorf("shisad.service is of type %s", got)
	}
	if out := s.sh("ls /sys/class/watchdog 2>/dev/null || :"); out != "" {
		s.t.Errorf("observing has loaded %s", out)
	}
	if out := s.sh("shisa doctor --json >/dev/null; systemctl is-system-running || :"); out != "running" {
		s.t.Errorf("the system is %s", out)
	}
}

// testInherited: what the unit takes from the daemon it takes from the scripts and
// servers that the daemon starts. They see the machine as it is, may be 32-bit
// programs, and may change their user.
func testInherited(s *server) {
	pid := s.show("shisad.service", "MainPID")
	for _, space := range []string{"mnt", "net", "uts", "ipc", "pid", "user"} {
		if own, first := s.sh("readlink /proc/%s/ns/%s", pid, space), s.sh("readlink /proc/1/ns/%s", space); own != first {
			s.t.Errorf("the daemon has a name space of its own: %s", own)
		}
	}
	status := s.sh("cat /proc/%s/status", pid)
	for _, want := range []string{"Seccomp:\t0\n", "NoNewPrivs:\t0\n"} {
		if !strings.Contains(status, want) {
			s.t.Errorf("no %q in\n%s", want, status)
		}
	}
}

// testSystemdWatchdog: a daemon that makes no progress, with no countdown of its
// own armed, is ended and started again by systemd.
func testSystemdWatchdog(s *server) {
	s.sh("mkdir -p /run/systemd/system/shisad.service.d; printf '[Service]\\nWatchdogSec=6s\\n' >/run/systemd/system/shisad.service.d/test.conf; systemctl daemon-reload; systemctl restart shisad.service")
	before := s.show("shisad.service", "MainPID")
	s.sh("kill -STOP %s", before)
	s.await("a new daemon", func(api.Status) bool { return s.show("shisad.service", "MainPID") != before })
	if out := s.sh("journalctl -b --no-pager -u shisad.service"); !strings.Contains(out, "Watchdog timeout") {
		s.t.Errorf("systemd did not say why:\n%s", out)
	}
	s.sh("rm -r /run/systemd/system/shisad.service.d; systemctl daemon-reload; systemctl restart shisad.service")
	s.await("an answer", func(api.Status) bool { return true })
}

// countdown is what must not change while the daemon comes and goes.
type countdown struct {
	keeper int
	pings  uint64
}

func (s *server) countdown() countdown {
	s.t.Helper()
	v := s.awaitArmed()
	return countdown{v.Protection.Keeper.PID, v.Protection.Primary.Pings}
}

// keeps compares the countdown with before and watches it for longer than it
// would take to fire. Pings that went on counting were never interrupted by a new
// countdown: the keeper counts from zero for that.
func (s *server) keeps(before countdown) {
	s.t.Helper()
	now := s.countdown()
	if now.keeper != before.keeper {
		s.t.Errorf("the keeper is process %d, it was %d", now.keeper, before.keeper)
	}
	if now.pings < before.pings {
		s.t.Errorf("%d pings after %d: the countdown was armed anew", now.pings, before.pings)
	}
	s.calm(stallTimeout + 3*time.Second)
	if later := s.countdown(); later.pings <= now.pings {
		s.t.Errorf("no ping since %d", now.pings)
	}
}

func testRestart(s *server) {
	before, pid := s.countdown(), s.show("shisad.service", "MainPID")
	s.sh("systemctl restart shisad.service")
	if now := s.show("shisad.service", "MainPID"); now == pid {
		s.t.Errorf("the daemon is still process %s", pid)
	}
	s.keeps(before)
}

func testCrash(s *server) {
	before, pid := s.countdown(), s.show("shisad.service", "MainPID")
	s.sh("kill -KILL %s", pid)
	s.await("a new daemon", func(api.Status) bool { now := s.show("shisad.service", "MainPID"); return now != pid && now != "0" })
	if n, err := strconv.Atoi(s.show("shisad.service", "NRestarts")); err != nil || n < 1 {
		s.t.Errorf("systemd counts %d restarts, %v", n, err)
	}
	s.keeps(before)
}

func testUpgrade(s *server) {
	before := s.countdown()
	s.sh("dpkg -i /mnt/new/shisa_*_amd64.deb >/root/dpkg.log 2>&1 || { cat /root/dpkg.log; exit 1; }")
	v := s.await("the new version", func(v api.Status) bool {
		return v.Version == newerVersion && v.Protection.Keeper.Version == newerVersion
	})
	if v.Mode != "protect" || !strings.Contains(s.sh("cat %s", configFile), "edited by the administrator") {
		s.t.Errorf("the configuration was replaced")
	}
	s.keeps(before)
}

func testDowngrade(s *server) {
	before := s.countdown()
	said := s.fails("dpkg -i /mnt/old/shisa_*_amd64.deb 2>&1")
	if !strings.Contains(said, "shisa: not replaced: "+newerVersion) {
		s.t.Errorf("the refusal does not say why:\n%s", said)
	}
	if got := s.sh("dpkg-query -W -f '${db:Status-Status} ${Version}' shisa"); got != "installed "+newerVersion {
		s.t.Errorf("after a refused downgrade the package is %q", got)
	}
	if v := s.awaitArmed(); v.Version != newerVersion || v.Protection.Keeper.PID != before.keeper {
		s.t.Errorf("after a refused downgrade %s runs, keeper %d", v.Version, v.Protection.Keeper.PID)
	}
}

// testStop: a deliberate stop disarms; nothing happens without the daemon.
func testStop(s *server) {
	s.countdown()
	s.sh("systemctl stop shisad.service")
	if out := s.sh("for f in /proc/[0-9]*/fd/*; do case $(readlink $f 2>/dev/null) in /dev/watchdog*) echo $f;; esac; done"); out != "" {
		s.t.Errorf("after a deliberate stop a watchdog is still held: %s", out)
	}
	s.calm(stallTimeout + 5*time.Second)
	if got := s.show("shisa-shutdown.service", "ActiveState"); got != "active" {
		s.t.Errorf("shisa-shutdown.service is %s after a stop of the daemon", got)
	}
	s.sh("systemctl start shisad.service")
	s.awaitArmed()
}

// testRemove: the package does not go while it protects, unless it is told to.
func testRemove(s *server) {
	before := s.countdown()
	said := s.fails("dpkg -r shisa 2>&1")
	if !strings.Contains(said, "shisa: not removed: a countdown on /dev/watchdog0 protects this machine") || !strings.Contains(said, "SHISA_REMOVE=anyway") {
		s.t.Errorf("the refusal does not say why, and what to do:\n%s", said)
	}
	if v := s.awaitArmed(); v.Protection.Keeper.PID != before.keeper {
		s.t.Errorf("after a refused removal the keeper is process %d, it was %d", v.Protection.Keeper.PID, before.keeper)
	}
	s.sh("SHISA_REMOVE=anyway dpkg -r shisa 2>&1")
	if out := s.sh("pgrep -l shisa || :"); out != "" {
		s.t.Errorf("removed, and still running: %s", out)
	}
	s.calm(stallTimeout + 5*time.Second)
	if !strings.Contains(s.sh("cat %s", configFile), "edited by the administrator") {
		s.t.Errorf("removal took the configuration")
	}
}

// listing returns every path of the guest's disk that package managers and systemd
// do not keep their own records in.
func (s *server) listing() []string {
	s.t.Helper()
	return strings.Fields(s.sh(`find / -xdev \( -path /var/lib/dpkg -o -path /var/log -o -path /var/cache -o -path /tmp -o -path /var/tmp -o -path /root -o -path /var/lib/systemd \) -prune -o -print; find /run/shisa* /var/log/shisa* /run/systemd/system /var/lib/systemd -name '*shisa*' 2>/dev/null || :`))
}

// missing returns what of list is not in base.
func missing(list, base []string) []string {
	have := map[string]bool{}
	for _, x := range base {
		have[x] = true
	}
	var left []string
	for _, x := range list {
		if !have[x] {
			left = append(left, x)
		}
	}
	return left
}
