package distro

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"shisa/ctl/api"
)

// needy asks for all that the troubles below take away; it only observes, so that
// no countdown runs while they come and go.
const needy = `version = 1
[[monitor]]
name = "script"
type = "custom"
script = "/root/probe"
interval = "1h"
[monitor.recovery]
target = "server"
final_action = "panic"
[[monitor]]
name = "traps"
type = "message"
category = "BMCNotice"
trap_listen = "127.0.0.1:40000"
trap_from = ["127.0.0.1"]
interval = "1h"
`

// A trouble is something that the doctor is to find on a real system, and to be rid
// of when it is mended.
type trouble struct {
	finding string
	provoke string // empty: the system came with it
	mend    string // byDoctor: the command that the finding itself names; empty: it stays
	left    api.Level
}

// byDoctor has the finding's own command mend it.
const byDoctor = "the command of the finding"

// impostor starts a process that is called like a daemon of somebody else.
func impostor(name string) string {
	return "cp /bin/sleep /run/" + name + "; /run/" + name + " 1000 >/dev/null 2>&1 &"
}

// unit installs a service of that name, which starts at boot.
func unit(name string) string {
	return `printf '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/` + name + `.service; systemctl daemon-reload; systemctl enable ` + name + `.service`
}

var troubles = []trouble{
	{
		finding: "bmc-no-driver",
		// The daemon may be asking the BMC just now; ACPI's own access holds the driver, too.
		provoke: "for m in ipmi_devintf acpi_ipmi ipmi_ssif ipmi_si; do for i in 1 2 3 4 5 6 7 8 9; do modprobe -r $m && break; sleep 1; done; done; ! lsmod | grep -w ^ipmi_si",
		mend:    byDoctor,
	},
	{finding: "time-unsynced", mend: impostor("chronyd")},
	{finding: "module-missing"},
	{finding: "no-network"},
	{finding: "host-name", provoke: "sed -i /127.0.1.1/d /etc/hosts; sed -i '/^hosts:/d' /etc/nsswitch.conf", mend: byDoctor},
	{finding: "systemd-watchdog", provoke: `mkdir -p /etc/systemd/system.conf.d; printf '[Manager]\nRuntimeWatchdogSec=30\n' >/etc/systemd/system.conf.d/10-site.conf`, mend: byDoctor},
	{finding: "softdog-missing", provoke: "echo 'install softdog /bin/false' >/etc/modprobe.d/no.conf", mend: "rm /etc/modprobe.d/no.conf"},
	{finding: "nowayout", provoke: "modprobe softdog nowayout=1", mend: "modprobe -r softdog; modprobe softdog"},
	{
		finding: "watchdog-held",
		provoke: "sh -c 'exec 3>/dev/watchdog0; until [ -e /run/stop ]; do echo . >&3; sleep 1; done; printf V >&3' >/dev/null 2>&1 & sleep 2",
		mend:    "touch /run/stop; sleep 3",
	},
	{finding: "watchdog-daemon", provoke: impostor("sbd"), mend: "pkill -x sbd"},
	{finding: "bmc-shared", provoke: impostor("ipmievd"), mend: "pkill -x ipmievd"},
	{finding: "heartbeat-package", provoke: unit("heartbeat"), mend: byDoctor, left: api.LevelInfo},
	{finding: "original-installed", provoke: unit("clusterpro"), mend: byDoctor, left: api.LevelInfo},
	{finding: "panic-hangs", provoke: "echo 0 >/proc/sys/kernel/panic", mend: byDoctor},
	{finding: "clock-source", provoke: "echo acpi_pm >/sys/devices/system/clocksource/clocksource0/current_clocksource", mend: byDoctor},
	{finding: "program-missing", provoke: "sed -i '1s,.*,#!/usr/bin/python9,' /root/probe", mend: "sed -i '1s,.*,#!/bin/sh,' /root/probe"},
	{ // a program that was built where other libraries are
		finding: "library-missing",
		provoke: "sed 's/libc\\.so\\.6/libx.so.6/' /bin/true >/root/probe",
		mend:    `printf '#!/bin/sh\n' >/root/probe`,
	},
	{finding: "port-range", mend: byDoctor},
	{finding: "state-no-journal", provoke: "mount -t tmpfs none /var/lib/shisa", mend: "umount /var/lib/shisa"},
	{
		finding: "next-boot-unprotected",
		provoke: `mkdir -p /boot/grub; printf 'menuentry "Debian" {\nlinux /boot/vmlinuz-9.9.9-amd64 ro\n}\n' >/boot/grub/grub.cfg`,
		mend:    "rm -r /boot/grub",
	},
	{
		finding: "port-taken",
		provoke: `systemctl stop shisad.service
perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 40000, Proto => "udp") or die; sleep 1000' >/dev/null 2>&1 &
sleep 2; systemctl start shisad.service`,
		mend: "pkill -x perl",
	},
	{finding: "modules-disabled", provoke: "modprobe -r softdog; echo 1 >/proc/sys/kernel/modules_disabled"},
}

// TestDoctor gives a system one trouble after the other. Each is found, and none is
// found where there is none; a command that a finding names mends it.
func TestDoctor(t *testing.T) {
	for _, suite := range suites(t) {
		t.Run(suite.Name, func(t *testing.T) {
			s := newServer(t, suite, Options{BMC: true})
			s.sh(`printf '#!/bin/sh\n' >/root/probe; chmod 755 /root/probe`)
			s.sh("modprobe -a ipmi_si ipmi_devintf; until [ -e /dev/ipmi0 ]; do sleep 1; done") // not every suite has udev do it
			s.install(needy)
			for _, x := range troubles {
				t.Run(x.finding, s.under(x.try))
			}
			t.Run("other kernels", s.under(testOtherKernels))
		})
	}
}

func (x trouble) try(s *server) {
	if x.provoke != "" {
		if f := find(s.doctor(""), x.finding); f != nil && f.Level != x.left {
			s.t.Fatalf("found before it is there: %s", f.Text)
		}
		s.sh("%s", x.provoke)
	}
	f := find(s.doctor(""), x.finding)
	if f == nil {
		s.t.Fatal("not found")
	}
	s.t.Logf("%s: %s\nmend: %s", f.Level, f.Text, f.Mend)
	switch x.mend {
	case "":
		return
	case byDoctor:
		s.sh("%s", f.Mend)
	default:
		s.sh("%s", x.mend)
	}
	for deadline := time.Now().Add(mendWait); ; time.Sleep(pollEvery) {
		f := find(s.doctor(""), x.finding)
		if f == nil || f.Level == x.left {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("mended, and still found: %s", f.Text)
		}
	}
}

// mendWait is how long what was mended may take to show: drivers look for their
// devices after they are loaded.
const mendWait = time.Minute

// testOtherKernels asks about kernels that do not run.
func testOtherKernels(s *server) {
	for flags, finding := range map[string]string{
		"--kernel 2.6.32-504.el6.x86_64": "kernel-below-floor",
		"--kernel 9.9.9-amd64":           "kernel-untried",
		"--next-boot":                    "next-boot-unknown",
	} {
		if find(s.doctor(flags), finding) == nil {
			s.t.Errorf("shisa doctor %s does not find %s", flags, finding)
		}
	}
}

// doctor asks with these flags. That it has found something is no failure of its own.
func (s *server) doctor(flags string) api.Doctor {
	s.t.Helper()
	var d api.Doctor
	out := s.sh("shisa doctor --json %s || [ $? = 1 ]", flags)
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		s.t.Fatalf("shisa doctor --json %s: %v\n%s", flags, err, out)
	}
	return d
}

func find(d api.Doctor, id string) *api.Check {
	if i := slices.IndexFunc(d.Checks, func(c api.Check) bool { return c.ID == id }); i >= 0 {
		return &d.Checks[i]
	}
	return nil
}
