package hwcompat

import (
	"slices"
	"strings"
	"time"
)

// commLen is how many bytes of a process name /proc/PID/comm can show
// (TASK_COMM_LEN less its NUL, include/linux/sched.h).
const commLen = 15

func (l *linter) daemons(rows []Daemon) {
	for i, d := range rows {
		if i > 0 && rows[i-1].ID >= d.ID {
			l.add("daemons.toml", d.ID, "out of order, after %s", rows[i-1].ID)
		}
		if len(d.Processes) == 0 {
			l.add("daemons.toml", d.ID, "no processes")
		}
		for _, p := range d.Processes {
			if len(p) > commLen {
				l.add("daemons.toml", d.ID, "process %q is longer than the %d bytes of /proc/PID/comm", p, commLen)
			}
		}
		if !slices.Contains([]Use{UsesWatchdog, UsesBMCTimer, UsesBMC}, d.Uses) {
			l.add("daemons.toml", d.ID, "uses %q is not one of watchdog, bmc-timer, bmc", d.Uses)
		}
		if d.Title == "" || d.Mend == "" || d.Source == "" {
			l.add("daemons.toml", d.ID, "title, mend and source must be given")
		}
		if d.Prefix != "" && !(strings.HasPrefix(d.Prefix, "/") && strings.HasSuffix(d.Prefix, "/")) {
			l.add("daemons.toml", d.ID, "prefix %q is not an absolute folder with a slash at its end", d.Prefix)
		}
		if _, err := time.Parse(time.DateOnly, d.Date); err != nil {
			l.add("daemons.toml", d.ID, "date %q: not YYYY-MM-DD", d.Date)
		}
	}
}

// meanings holds the table complete: one row a restriction, in the same order.
func (l *linter) meanings(m *Matrix, findings []string) {
	for i, r := range m.Restrictions.Rows {
		if i >= len(m.Meanings.Rows) || m.Meanings.Rows[i].Restriction != r.ID {
			l.add("meanings.toml", r.ID, "row %d must be the meaning of this restriction", i+1)
			return
		}
	}
	if len(m.Meanings.Rows) > len(m.Restrictions.Rows) {
		l.add("meanings.toml", "", "more rows than restrictions")
	}
	for _, w := range m.Meanings.Rows {
		if (len(w.Finding) == 0) == (w.Gone == "") {
			l.add("meanings.toml", w.Restriction, "exactly one of finding and gone must be given")
		}
		for _, f := range w.Finding {
			if findings != nil && !slices.Contains(findings, f) {
				l.add("meanings.toml", w.Restriction, "finding %s does not exist", f)
			}
		}
	}
}
