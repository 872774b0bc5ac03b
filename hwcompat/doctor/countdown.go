package doctor

import (
	"fmt"
	"slices"
	"strings"

	"shisa/hwcompat"
	"shisa/hwcompat/host"
)

// ours are the processes that may hold a watchdog without a word.
var ours = []string{"shisa-keeper", "shisad"}

// In numbers: before 248 systemd does not know the word off, and takes what stood there before.
const systemdDropIn = `mkdir -p /etc/systemd/system.conf.d && printf '[Manager]\nRuntimeWatchdogSec=0\nRebootWatchdogSec=0\n' > /etc/systemd/system.conf.d/50-shisa.conf && systemctl daemon-reexec`

func watchdogHeld(j *judge) []hit {
	var hits []hit
	for _, w := range j.Facts.Watchdogs {
		for _, p := range w.Holders {
			if slices.Contains(ours, p.Comm) {
				continue
			}
			mend := fmt.Sprintf("stop %s (pid %d), or name another device in keepalive.device", p.Comm, p.PID)
			if p.PID == 1 {
				mend = systemdDropIn
			} else if d := j.daemonOf(p); d != nil {
				mend = d.Mend
			}
			hits = append(hits, hit{
				reason: fmt.Sprintf("/dev/%s (%s) is open in %s, pid %d: a watchdog has one owner", w.Name, nameOf(w), p.Comm, p.PID),
				mend:   mend,
			})
		}
	}
	return hits
}

func nameOf(w host.Watchdog) string {
	if w.Identity != "" {
		return w.Identity
	}
	if w.Driver != "" {
		return w.Driver
	}
	return "unnamed"
}

// daemonOf finds the row of daemons.toml that p belongs to.
func (j *judge) daemonOf(p host.Process) *hwcompat.Daemon {
	rows := j.Matrix.Daemons.Rows
	i := slices.IndexFunc(rows, func(d hwcompat.Daemon) bool {
		return slices.Contains(d.Processes, p.Comm) || d.Prefix != "" && strings.HasPrefix(p.Exe, d.Prefix)
	})
	if i < 0 {
		return nil
	}
	return &rows[i]
}

// daemons lists the running programs of daemons.toml with that use, each once.
func (j *judge) daemons(uses ...hwcompat.Use) []*hwcompat.Daemon {
	var found []*hwcompat.Daemon
	for _, p := range j.Facts.Processes {
		if d := j.daemonOf(p); d != nil && slices.Contains(uses, d.Uses) && !slices.Contains(found, d) {
			found = append(found, d)
		}
	}
	return found
}

func systemdWatchdog(j *judge) []hit {
	s := j.Facts.Systemd
	return when(s.Running && s.HoldsWatchdog(),
		fmt.Sprintf("RuntimeWatchdogSec=%s in %s: systemd takes the first watchdog at start and proves only that process 1 lives", s.RuntimeWatchdog, s.From),
		systemdDropIn)
}

func watchdogDaemon(j *judge) []hit {
	var hits []hit
	for _, d := range j.daemons(hwcompat.UsesWatchdog) {
		if d.ID != heartbeatID {
			hits = append(hits, hit{reason: d.Title + " is running and takes a watchdog for itself", mend: d.Mend})
		}
	}
	return hits
}

// heartbeatID is the row of Linux-HA's heartbeat, which has a finding of its own.
const heartbeatID = "heartbeat"

func heartbeatPackage(j *judge) []hit {
	enabled, installed := j.Facts.Services["heartbeat"]
	running := slices.ContainsFunc(j.daemons(hwcompat.UsesWatchdog), func(d *hwcompat.Daemon) bool { return d.ID == heartbeatID })
	if !installed && !running {
		return nil
	}
	state := map[bool]string{true: "is running", false: "is installed and switched off"}[running]
	h := hit{reason: "heartbeat " + state + "; it opens the watchdog that softdog offers", mend: "systemctl disable --now heartbeat.service || chkconfig heartbeat off"}
	if !running && !enabled {
		h.severity = Info
	} else if !running {
		h.reason = "heartbeat starts at boot; it opens the watchdog that softdog offers"
	}
	return []hit{h}
}

// softdogBuiltin: the original could not use a static softdog at all. Ours can,
// and says what it costs.
func softdogBuiltin(j *judge) []hit {
	return when(j.wants("softdog") && j.Facts.Modules.State("softdog") == host.Static,
		"softdog cannot be unloaded and takes its parameters from the kernel command line; it is used as it is",
		"put parameters that are to differ on the kernel command line, as in softdog.soft_panic=1")
}

// softdogStarved: on PREEMPT_RT its timer runs in a thread at real-time priority 1
// (kernel/time/hrtimer.c); the timers of our module run in hard interrupt context.
func softdogStarved(j *judge) []hit {
	ours := j.wants(Module) && (j.Facts.Modules.Has(Module) || len(j.Found.Candidates) > 0)
	return when(j.Facts.Kernel.RealTime && j.wants("softdog") && !ours,
		"this is a PREEMPT_RT kernel: softdog's timer runs in a thread, and a task of higher priority that does not yield keeps it from ever firing",
		"install the "+Module+" module, or add a hardware watchdog or BMC as the backstop")
}

func softdogMissing(j *judge) []hit {
	m := j.Facts.Modules
	if !j.wants("softdog") || j.Facts.Virtual.Container != "" || j.answer.BelowFloor {
		return nil
	}
	if file, ok := m.Blocked["softdog"]; ok && m.State("softdog") == host.Loadable {
		return when(true, file+" keeps softdog from being loaded", "remove the line \"install softdog\" from "+file)
	}
	if m.Has("softdog") || m.Has(Module) || len(j.Found.Candidates) > 0 {
		return nil
	}
	return when(true, "this kernel has neither "+Module+" nor softdog: no countdown in the kernel is possible",
		"install the package with all modules of this kernel (linux-modules-extra, kernel-modules-extra)")
}

// tcoDriver: drivers from before the watchdog core register /dev/watchdog as a
// device of their own, so that softdog and all others cannot have that name.
// ipmi_watchdog does so as well, and is wanted.
func tcoDriver(j *judge) []hit {
	var hits []hit
	for _, w := range j.Facts.Watchdogs {
		if w.Legacy && w.Driver != "ipmi_watchdog" {
			hits = append(hits, hit{
				reason: "/dev/watchdog belongs to driver " + w.Driver + ", beside which softdog cannot register",
				mend:   fmt.Sprintf("if its chip is not wanted: echo 'blacklist %s' > /etc/modprobe.d/shisa-%[1]s.conf && modprobe -r %[1]s", w.Driver),
			})
		}
	}
	return hits
}

// backstopMissing looks for a countdown outside the kernel.
func backstopMissing(j *judge) []hit {
	if !j.Needs.Protect || j.Facts.Virtual.Container != "" || len(j.Facts.BMC.Devices) > 0 || j.Facts.BMC.Firmware {
		return nil
	}
	if slices.ContainsFunc(j.Facts.Watchdogs, func(w host.Watchdog) bool { return !w.Software() }) {
		return nil
	}
	reason := "no watchdog chip and no BMC is visible: if the kernel dies with interrupts off, nothing acts"
	if vm := j.Facts.Virtual.VM; vm != "" {
		return when(true, reason, "give the virtual machine ("+vm+") a watchdog: for libvirt <watchdog model='i6300esb' action='reset'/>")
	}
	return when(true, reason, "load the driver of the chip set: modprobe iTCO_wdt || modprobe sp5100_tco || modprobe hpwdt")
}

func noWayOut(j *judge) []hit {
	var hits []hit
	for _, w := range j.Facts.Watchdogs {
		if w.NoWayOut {
			hits = append(hits, hit{
				reason: fmt.Sprintf("/dev/%s (%s) was loaded with nowayout: to stop shisa is to restart the machine", w.Name, nameOf(w)),
				mend:   "load the driver with nowayout=0 if that is not wanted",
			})
		}
	}
	return hits
}

func pvpanicMissing(j *judge) []hit {
	m := j.Facts.Modules
	loaded := slices.ContainsFunc([]string{"pvpanic", "pvpanic_pci", "pvpanic_mmio"}, func(n string) bool { return m.State(n) == host.Loaded || m.State(n) == host.Static })
	return when(j.Facts.Virtual.VM == "kvm" && j.Facts.Virtual.Container == "" && !loaded,
		"no pvpanic driver is loaded in this virtual machine",
		"modprobe pvpanic-pci || modprobe pvpanic; for libvirt <panic model='isa'/>")
}
