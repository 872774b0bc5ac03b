// Package simulate plays a history to the decision machine, the very same that
// the daemon runs, in simulated time, and records each decision with its
// reason. It is behind `shisa simulate` and `shisa explain`, and behind the
// collection of cases in testdata.
//
// A history is text: one thing that happens a line, with the time since the
// start, or after + the time since the line before.
//
//	# the database answers no more, and a restart does not help
//	clock 2026-11-23 11:00:00           the calendar at the start; windows need it
//	0s    boot clean                    or: unclean, rescue, adopt, unable "a container"
//	10s   probe web ok
//	+10s  probe web failed "connection refused" x6 every 10s
//	+10s  probe web timeout             or: warning, certain, blind
//	2m    fail start db "exit status 1" from now on; also stop R, script PATH, act ACTION, blockers
//	2m    take stop db 7s               how long it takes from now on
//	3m    mend start db                 or: mend all
//	4m    stop group g                  or: start; group NAME, group all, resource NAME
//	5m    suspend web                   also resume, dummy, undummy, reset; NAME or all; reset limiter
//	6m    stretch 3 10m                 timeouts, for a time; unstretch
//	7m    store down                    or: up
//	7m    reload observe                or: protect, suppress, unsuppress
//	8m    service stop                  or: shutdown, reboot, going-down
//	20m   end                           let time pass
//
// Operations succeed at once unless the history says otherwise. A probe that
// the machine asks for is answered by the next one of the history. Probes of a
// monitor that is not probed at the moment are noted and left out. A history
// without a boot has a clean one behind what fails, takes time and is said of
// the calendar at 0s.
package simulate
