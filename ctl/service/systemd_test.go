package service

import (
	"testing"

	"github.com/coreos/go-systemd/v22/dbus"
)

func TestDestination(t *testing.T) {
	job := func(unit, kind string) dbus.JobStatus { return dbus.JobStatus{Unit: unit, JobType: kind} }
	for name, c := range map[string]struct {
		jobs []dbus.JobStatus
		want string
	}{
		"reboot":              {[]dbus.JobStatus{job("ssh.service", "stop"), job("reboot.target", "start")}, "reboot"},
		"into another kernel": {[]dbus.JobStatus{job("kexec.target", "start")}, "reboot"},
		"power off":           {[]dbus.JobStatus{job("poweroff.target", "start"), job("umount.target", "start")}, "poweroff"},
		"halt":                {[]dbus.JobStatus{job("halt.target", "start")}, "poweroff"},
		"a target that stops": {[]dbus.JobStatus{job("reboot.target", "stop")}, "shutdown"},
		"nothing is known":    {nil, "shutdown"},
	} {
		if got := destination(c.jobs); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
