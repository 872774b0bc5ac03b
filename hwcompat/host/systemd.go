package host

import (
	"path"
	"slices"
	"strings"
)

// systemd reads the manager's configuration as systemd-system.conf(5) lays it
// out: one main file, then drop-ins by file name whatever their folder; a later
// setting wins, and /etc hides a file of the same name in /run and /usr/lib.
func (v *view) systemd() Systemd {
	s := Systemd{Running: v.exists("run/systemd/system")}
	for _, file := range v.systemdFiles() {
		for _, line := range v.lines(file) {
			key, val, ok := strings.Cut(line, "=")
			if !ok {
				continue
			}
			val = strings.TrimSpace(val)
			switch strings.TrimSpace(key) {
			case "RuntimeWatchdogSec":
				s.RuntimeWatchdog, s.From = val, "/"+file
			case "RebootWatchdogSec", "ShutdownWatchdogSec": // the latter until systemd 243
				s.RebootWatchdog = val
			case "WatchdogDevice":
				s.WatchdogDevice = val
			}
		}
	}
	return s
}

func (v *view) systemdFiles() []string {
	var files []string
	if main := v.first("etc/systemd/system.conf", "run/systemd/system.conf", "usr/lib/systemd/system.conf"); main != "" {
		files = append(files, main)
	}
	dropins := map[string]string{}
	for _, dir := range []string{"lib/systemd/system.conf.d", "usr/lib/systemd/system.conf.d", "run/systemd/system.conf.d", "etc/systemd/system.conf.d"} {
		for _, n := range v.list(dir) {
			if path.Ext(n) == ".conf" {
				dropins[n] = path.Join(dir, n)
			}
		}
	}
	names := make([]string, 0, len(dropins))
	for n := range dropins {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		files = append(files, dropins[n])
	}
	return files
}

// services lists units and init scripts, and which of them start at boot.
func (v *view) services() Services {
	s := Services{}
	for _, dir := range []string{"lib/systemd/system", "usr/lib/systemd/system", "etc/systemd/system"} {
		for _, n := range v.list(dir) {
			if name, ok := strings.CutSuffix(n, ".service"); ok {
				s.add(name)
			}
			if strings.HasSuffix(n, ".wants") || strings.HasSuffix(n, ".requires") {
				for _, w := range v.list(path.Join(dir, n)) {
					if name, ok := strings.CutSuffix(w, ".service"); ok {
						s[name] = true
					}
				}
			}
		}
	}
	for _, n := range v.list("etc/init.d") {
		s.add(n)
	}
	for _, rc := range []string{"etc/rc3.d", "etc/rc5.d", "etc/rc.d/rc3.d", "etc/rc.d/rc5.d", "etc/init.d/rc3.d", "etc/init.d/rc5.d"} {
		for _, n := range v.list(rc) {
			// SNNname starts the script; KNNname stops it.
			if len(n) > 3 && n[0] == 'S' {
				s[n[3:]] = true
			}
		}
	}
	return s
}

// add notes a service that is there; whether it is enabled stays as known.
func (s Services) add(name string) {
	if _, ok := s[name]; !ok {
		s[name] = false
	}
}

// timeDaemons discipline the clock; names as in /proc/PID/comm.
var timeDaemons = []string{"chronyd", "ntpd", "systemd-timesyn", "openntpd", "ptp4l", "phc2sys"}

func (v *view) clock(all []Process) Clock {
	const dir = "sys/devices/system/clocksource/clocksource0/"
	return Clock{
		Source:     v.text(dir + "current_clocksource"),
		Available:  strings.Fields(v.text(dir + "available_clocksource")),
		Daemon:     running(all, timeDaemons...),
		Guest:      running(all, "vmtoolsd", "VBoxService", "hv_utils") != "",
		Timesynced: v.exists("run/systemd/timesync/synchronized"),
	}
}

func (v *view) snmp() SNMP {
	s := SNMP{Installed: v.exists("usr/sbin/snmpd")}
	file := v.first("etc/snmp/snmpd.conf")
	if file == "" {
		return s
	}
	s.Installed = true
	for _, line := range v.lines(file) {
		w := strings.Fields(line)
		switch {
		case len(w) >= 2 && w[0] == "master":
			s.AgentX = w[1] == "agentx" || w[1] == "yes" || w[1] == "all"
		case len(w) >= 4 && w[0] == "view":
			s.Views = append(s.Views, View{Name: w[1], Included: w[2] == "included", OID: strings.TrimPrefix(w[3], ".")})
		case len(w) >= 3 && w[0] == "dlmod":
			s.Dlmods = append(s.Dlmods, Dlmod{Name: w[1], Path: w[2], Exists: v.exists(strings.TrimPrefix(path.Clean(w[2]), "/"))})
		}
	}
	return s
}
