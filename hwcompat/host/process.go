package host

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// processes lists every process with the devices and sockets it holds, except
// kernel threads and zombies, which have no command line: the kernel's own
// "watchdogd" is not a daemon. Without root only the own ones show their files;
// the others end up in Unread, once, as /proc/*/fd.
func (v *view) processes() []Process {
	var all []Process
	for _, n := range v.list("proc") {
		pid, err := strconv.Atoi(n)
		if err != nil {
			continue
		}
		dir := path.Join("proc", n)
		comm := v.text(path.Join(dir, "comm"))
		if comm == "" || len(v.read(path.Join(dir, "cmdline"))) == 0 {
			continue
		}
		p := Process{PID: pid, Comm: comm}
		p.Exe = strings.TrimSuffix(v.link(path.Join(dir, "exe")), " (deleted)")
		for _, fd := range v.list(path.Join(dir, "fd")) {
			to := v.link(path.Join(dir, "fd", fd))
			if strings.HasPrefix(to, "/dev/watchdog") || strings.HasPrefix(to, "/dev/ipmi") || strings.HasPrefix(to, "socket:") {
				p.files = append(p.files, to)
			}
		}
		all = append(all, p)
	}
	v.foldProc()
	slices.SortFunc(all, func(a, b Process) int { return a.PID - b.PID })
	return all
}

// foldProc replaces the many unread /proc/PID/fd and /proc/PID/exe by one line
// each: thousands of them would say no more.
func (v *view) foldProc() {
	count, why := map[string]int{}, map[string]string{}
	for name, reason := range v.unread {
		if w := strings.Split(name, "/"); len(w) >= 3 && w[0] == "proc" && (w[2] == "fd" || w[2] == "exe") {
			delete(v.unread, name)
			key := "proc/*/" + w[2]
			count[key]++
			why[key] = reason
		}
	}
	for key, n := range count {
		v.unread[key] = fmt.Sprintf("%s (%d of them)", why[key], n)
	}
}

func holders(all []Process, devices ...string) []Process {
	var found []Process
	for _, p := range all {
		if slices.ContainsFunc(p.files, func(f string) bool { return slices.Contains(devices, f) }) {
			found = append(found, p)
		}
	}
	return found
}

func running(all []Process, comms ...string) string {
	i := slices.IndexFunc(all, func(p Process) bool { return slices.Contains(comms, p.Comm) })
	if i < 0 {
		return ""
	}
	return all[i].Comm
}
