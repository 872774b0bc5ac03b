package distro

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// harness is a policy module that lets the guest's agent, which no policy knows, do
// what it wants; the domain of shisa stays enforced.
const harness = "(typepermissive init_t)\n(typepermissive initrc_t)\n"

// label installs shisa and its policy module into a root and labels its files, as an
// administrator would have done before the machine was booted with SELinux. The
// logind of so small a system does not start under the policy of its distribution.
// What is written after the files were labelled would have no label.
const label = `set -e
dpkg -i /root/shisa.deb
cp /root/shisa.toml /etc/shisa/shisa.toml
printf '#!/bin/sh\necho started >>/var/lib/app\n' >/etc/shisa/start.sh
printf '#!/bin/sh\necho stopped >>/var/lib/app\n' >/etc/shisa/stop.sh
chmod 755 /etc/shisa/start.sh /etc/shisa/stop.sh
printf '[Service]\nExecStart=/bin/sleep infinity\n' >/etc/systemd/system/worker.service
ln -sf /dev/null /etc/systemd/system/systemd-logind.service
sed -i 's/^SELINUX=.*/SELINUX=enforcing/' /etc/selinux/config
semodule -s default -n -i /usr/share/selinux/packages/shisa.cil -i /root/harness.cil
setfiles -F -e /proc -e /sys -e /dev /etc/selinux/default/contexts/files/file_contexts /
`

// serving has what touches most of the policy: a countdown, scripts, a unit of systemd,
// and a monitor that fails.
var serving = protecting + `[[group]]
name = "app"
[[resource]]
name = "scripts"
type = "exec"
group = "app"
start = "start.sh"
stop = "stop.sh"
[[resource]]
name = "unit"
type = "systemd"
group = "app"
unit = "worker.service"
[[monitor]]
name = "worker"
type = "process"
match = "sleep infinity"
target = "unit"
interval = "2s"
`

// TestSELinux: with the policy of the distribution enforced and our module loaded,
// both daemons run in their domain, the machine is protected, and nothing was denied.
func TestSELinux(t *testing.T) {
	const name = "bookworm" // whose image has the policy
	for _, suite := range suites(t) {
		if suite.Name != name {
			continue
		}
		im, err := Make(t.Context(), suite)
		if err != nil {
			t.Fatal(err)
		}
		dir, err := packages()
		if err != nil {
			t.Fatal(err)
		}
		im, err = im.Variant(t.Context(), t.TempDir(), func(root string) error {
			deb, err := filepath.Glob(filepath.Join(dir, "old", "*.deb"))
			if err != nil {
				return err
			}
			data, err := os.ReadFile(deb[0])
			if err != nil {
				return err
			}
			if err := put(root, "root/shisa.deb", string(data)); err != nil {
				return err
			}
			if err := put(root, "root/harness.cil", harness); err != nil {
				return err
			}
			if err := put(root, "root/shisa.toml", serving); err != nil {
				return err
			}
			_, err = inside(t.Context(), root, "sh", "-c", label)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		sys, err := im.Boot(t.Context(), Options{Cmdline: "security=selinux selinux=1 enforcing=1"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(sys.Close)
		testEnforced(&server{sys, t})
	}
}

func testEnforced(s *server) {
	if got := s.sh("cat /sys/fs/selinux/enforce"); got != "1" {
		s.t.Fatalf("SELinux does not enforce: %s", got)
	}
	s.awaitArmed()
	for _, program := range []string{"shisad", "shisa-keeper"} {
		if domain := s.sh("tr -d '\\0' </proc/$(pgrep -o -x %s)/attr/current", program); !strings.Contains(domain, ":shisa_t:") {
			s.t.Errorf("%s runs in the domain %s", program, domain)
		}
	}
	s.sh("until grep -q started /var/lib/app && systemctl is-active worker; do sleep 0.2; done")
	s.sh("old=$(pidof sleep) && kill $old && until new=$(pidof sleep) && [ \"$new\" != \"$old\" ]; do sleep 0.2; done")
	s.sh("shisa group stop app && grep stopped /var/lib/app && shisa group start app")
	s.sh("systemctl restart shisad.service")
	s.awaitArmed()
	s.sh("shisa doctor >/dev/null || [ $? = 1 ]")
	s.calm(stallTimeout + 5*time.Second)
	denied := s.sh("journalctl -b --no-pager -o cat | grep -o 'avc: *denied.*shisa_.*' | sort -u | head -20")
	if denied != "" {
		s.t.Errorf("denied:\n%s", denied)
	}
	s.sh("systemctl stop shisad.service")
	s.calm(stallTimeout + 5*time.Second)
}
