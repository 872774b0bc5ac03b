package doctor

import (
	"fmt"
	"slices"
	"strings"

	"shisa/hwcompat/host"
)

func notRoot(j *judge) []hit {
	return when(!j.Facts.Root, "not started as root: who holds a watchdog and which program listens stays unknown", "sudo shisa doctor")
}

// unread keeps "could not look" apart from "is not there". Without root it is
// no news.
func unread(j *judge) []hit {
	if !j.Facts.Root || len(j.Facts.Unread) == 0 {
		return nil
	}
	var paths []string
	for _, u := range j.Facts.Unread {
		paths = append(paths, u.Path+": "+u.Reason)
	}
	return when(true, "what hangs on these is not known: "+strings.Join(paths, "; "),
		"sudo shisa doctor, outside of containers and of services that confine it")
}

func container(j *judge) []hit {
	return when(j.Facts.Virtual.Container != "",
		fmt.Sprintf("running in %s: shisa observes and restarts services, and leaves the machine alone", j.Facts.Virtual.Container),
		"run shisa on the host to protect the machine")
}

// originalInstalled looks for the five services of the original. Two products
// that both reset the machine when the other restarts something is the worst
// of neighbourhoods.
func originalInstalled(j *judge) []hit {
	var enabled, present []string
	for _, name := range j.Matrix.Services.Order.Disable {
		if on, ok := j.Facts.Services[name]; ok {
			present = append(present, name)
			if on {
				enabled = append(enabled, name)
			}
		}
	}
	if len(present) == 0 {
		return nil
	}
	h := hit{
		reason: "its services start at boot: " + strings.Join(enabled, ", "),
		mend:   "for s in " + strings.Join(enabled, " ") + "; do chkconfig --del $s || systemctl disable --now $s; done",
	}
	if len(enabled) == 0 {
		h = hit{reason: "its services are there, switched off: " + strings.Join(present, ", "), mend: "rpm -e clusterprosss", severity: Info}
	}
	return []hit{h}
}

func selinuxPolicy(j *judge) []hit {
	s := j.Facts.Security
	return when(s.SELinux == "enforcing" && !s.SELinuxPolicy,
		"SELinux is enforcing and the policy module shisa is not loaded: what the daemon does may be denied",
		"semodule -i /usr/share/selinux/packages/shisa.cil && restorecon -R /usr/sbin /etc/shisa /var/lib/shisa /run/shisa")
}

func rootNoJournal(j *judge) []hit {
	m, ok := j.Facts.MountOf("/")
	return when(ok && m.Journal == host.Missing && !m.ReadOnly,
		fmt.Sprintf("/ is %s without a journal: after a reset it waits for an interactive check", m.Type),
		journalMend(m))
}

func stateNoJournal(j *judge) []hit {
	dir := j.Needs.StateDir
	m, ok := j.Facts.MountOf(dir)
	if !ok {
		return nil
	}
	switch m.Journal {
	case host.Missing:
		return when(true, fmt.Sprintf("%s lies on %s (%s) without a journal", dir, m.Point, m.Type), journalMend(m))
	case host.Volatile:
		return when(true, fmt.Sprintf("%s lies on %s (%s) and is lost at every start: the reason of a reset, too", dir, m.Point, m.Type),
			"mount a local disk at "+dir)
	case host.Remote:
		return when(true, fmt.Sprintf("%s lies on %s (%s): the record before a reset must not wait for a network", dir, m.Point, m.Type),
			"mount a local disk at "+dir)
	}
	return nil
}

func journalMend(m host.Mount) string {
	if m.Type == "ext2" || m.Type == "ext4" {
		return "tune2fs -j " + m.Source
	}
	return "move it to ext4 or xfs"
}

func timeUnsynced(j *judge) []hit {
	c := j.Facts.Clock
	return when(c.Daemon == "" && !c.Guest,
		"no time daemon runs: events of this machine cannot be compared with those of others",
		"systemctl enable --now chronyd.service || systemctl enable --now systemd-timesyncd.service")
}

// clockSource warns of sources that count in ticks or are read over a slow
// bus. Intervals are measured with them.
func clockSource(j *judge) []hit {
	c := j.Facts.Clock
	if !slices.Contains([]string{"jiffies", "refined-jiffies", "acpi_pm", "pit"}, c.Source) {
		return nil
	}
	mend := "look for \"clocksource\" in dmesg: the kernel says why it gave up a better one"
	if i := slices.IndexFunc(c.Available, func(s string) bool { return s != c.Source && s != "jiffies" && s != "acpi_pm" }); i >= 0 {
		mend = "echo " + c.Available[i] + " > /sys/devices/system/clocksource/clocksource0/current_clocksource"
	}
	return when(true, "the kernel counts time with "+c.Source, mend)
}

func programMissing(j *judge) []hit { return missing(j.Needs.Programs, j.Facts.Programs) }

func libraryMissing(j *judge) []hit { return missing(j.Needs.Libraries, j.Facts.Libraries) }

func missing(wanted []Program, have map[string]string) []hit {
	var hits []hit
	for _, p := range wanted {
		if _, ok := have[p.Name]; ok {
			continue
		}
		mend := "install " + p.Name
		if p.Package != "" {
			mend = "install the package " + p.Package
		}
		hits = append(hits, hit{reason: p.Name + " is not installed; " + p.For + " needs it", mend: mend})
	}
	return hits
}

// appCondition passes on the condition that the original's table attaches to a
// product.
func appCondition(j *judge) []hit {
	var hits []hit
	add := func(product, note string) {
		h := hit{reason: product + ": " + note, mend: "check it with the vendor of " + product}
		if note != "" && !slices.Contains(hits, h) {
			hits = append(hits, h)
		}
	}
	for _, a := range j.Needs.Applications {
		for _, row := range j.Matrix.Application(a.Monitor, a.Product, a.Version) {
			add(strings.TrimSpace(row.Application+" "+row.Version), row.Note)
		}
	}
	for _, row := range j.Matrix.LoadBalancers.Rows {
		if row.Name == j.Needs.LoadBalancer {
			add(row.Name, row.Note)
		}
	}
	return hits
}
