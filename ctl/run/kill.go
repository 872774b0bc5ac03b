package run

import (
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/proc"
)

// terminate ends the command and all that belongs to it: politely, then for
// certain. It reports whether nothing is left.
func (p *Process) terminate() (gone bool) {
	p.signal(unix.SIGTERM)
	p.signal(unix.SIGCONT) // a stopped process would take SIGTERM only when it goes on
	if p.waitGone(p.command.grace()) {
		return true
	}
	p.signal(unix.SIGKILL)
	if p.group != nil {
		p.group.kill()
	}
	return p.waitGone(KillWait)
}

// sweep kills what the command, which has exited, left running.
func (p *Process) sweep() (gone bool) {
	if p.group == nil {
		p.signal(unix.SIGKILL) // certain, so the costly look at all of /proc is spared
		return true
	}
	if p.group.empty() {
		return true
	}
	p.group.kill()
	return p.waitGone(KillWait)
}

// signal sends a signal to the process group. Its number is that of the
// process, which has not been reaped: it belongs to nobody else.
func (p *Process) signal(sig unix.Signal) { _ = unix.Kill(-p.id.PID, sig) }

// waitGone waits at most limit until the process has ended and nothing is left
// of its group.
func (p *Process) waitGone(limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-p.ended:
	case <-t.C:
		return false
	}
	const longest = 50 * time.Millisecond
	for pause := time.Millisecond; p.remains(); pause = min(2*pause, longest) {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(pause)
	}
	return true
}

// remains reports whether anything besides the ended process itself is left.
func (p *Process) remains() bool {
	if p.group != nil {
		return !p.group.empty()
	}
	all, _ := proc.List() // of those that can be looked at
	for _, s := range all {
		if s.Group == p.id.PID && !s.Ended() {
			return true
		}
	}
	return false
}

// Remains reports whether something that the command has started lives on,
// whether the command itself still runs or not. Without control groups it
// knows of the command alone.
func (p *Process) Remains() bool {
	select {
	case <-p.done:
		return p.group != nil && !p.group.empty()
	default:
		return true
	}
}

// KillRemains kills what a command with Leave has left behind, and reports
// whether it is gone. It touches nothing else, and without control groups
// nothing at all. Call it after Done.
func (p *Process) KillRemains() (gone bool) {
	<-p.done
	gone = p.group == nil || p.sweep()
	p.group.remove()
	return gone
}
