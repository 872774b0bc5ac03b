package why

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A rule recognises one cause. Rules are tried in order: the first that
// answers wins, so what is certain comes before what is likely.
type rule func(*inquiry) (Verdict, bool)

var rules = []rule{
	firstStart, stillUp, panicked, intended, stalled, fired, crashed, shutdown, outside, vanished,
}

// Analyse names the cause that the evidence speaks for.
func Analyse(e Evidence) Verdict {
	q := &inquiry{Evidence: e}
	for _, r := range rules {
		v, ok := r(q)
		if !ok {
			continue
		}
		if v.Cause != FirstStart && v.Cause != StillUp {
			q.complete(&v)
		}
		if v.Evidence == nil {
			v.Evidence = []Line{}
		}
		return v
	}
	panic("why: no rule answered")
}

// An inquiry is evidence with the questions that rules ask of it.
type inquiry struct{ Evidence }

// complete adds what every verdict has: times, and the lines of evidence that
// the rule did not name itself.
func (q *inquiry) complete(v *Verdict) {
	v.Boot = q.Run.Boot
	if !q.Now.Booted.IsZero() {
		v.CameBack = &q.Now.Booted
	}
	if down := q.wentDown(); !down.IsZero() {
		v.WentDown = &down
	}
	for _, l := range q.lines() {
		if !slices.Contains(v.Evidence, l) {
			v.Evidence = append(v.Evidence, l)
		}
	}
}

// wentDown is the latest sign of life before this boot.
func (q *inquiry) wentDown() time.Time {
	signs := []time.Time{q.Run.Last}
	for _, w := range q.Words {
		signs = append(signs, w.At)
	}
	for _, c := range q.Crashes {
		signs = append(signs, c.At)
	}
	if q.Logins.Shutdown.After(q.Run.Last) {
		signs = append(signs, q.Logins.Shutdown)
	}
	var last time.Time
	for _, t := range signs {
		if t.After(last) && (q.Now.Booted.IsZero() || t.Before(q.Now.Booted)) {
			last = t
		}
	}
	return last
}

func firstStart(q *inquiry) (Verdict, bool) {
	return Verdict{Cause: FirstStart, Confidence: Certain,
		Summary: "There is no record of an earlier boot: shisa runs here for the first time, or its state directory is new."}, q.Run == nil
}

func stillUp(q *inquiry) (Verdict, bool) {
	if q.Run.Boot == "" || q.Run.Boot != q.Now.ID {
		return Verdict{}, false
	}
	return Verdict{Cause: StillUp, Confidence: Certain, Boot: q.Run.Boot,
		Summary: "The machine did not go down: only shisa was started again."}, true
}

// panicked: the kernel says so itself, in pstore or to the BMC, and nobody had
// told it to.
func panicked(q *inquiry) (Verdict, bool) {
	c, recorded := q.crash("Panic")
	e, told := q.entry(ByPanic)
	if in, open := q.open(); !recorded && !told || open && strings.Contains(in.Action, "panic") || recorded && c.Fired {
		return Verdict{}, false
	}
	if w, ok := q.words(); ok && countdownPanics(q.Run.Armed) {
		// A countdown that panics leaves the same record; the keeper knew of it before.
		return q.stall(w), true
	}
	v := Verdict{Cause: KernelPanic, Confidence: Certain, Action: "panic", Summary: "The kernel panicked."}
	if recorded {
		v.Summary, v.Mend = "The kernel panicked"+about(c)+".", "read the whole record: "+c.File
		v.Evidence = append(v.Evidence, c.line())
	}
	if told {
		v.Evidence = append(v.Evidence, e.line())
	}
	return v, true
}

// intended: we wrote down that we would do it, and nothing says that it failed.
func intended(q *inquiry) (Verdict, bool) {
	in, ok := q.open()
	if !ok {
		return Verdict{}, false
	}
	line := Line{"shisa's journal", fmt.Sprintf("before acting, at %s: %s for %s, because %s", clock(in.At), in.Action, or(in.Subject, "the server"), in.Reason)}
	v := Verdict{Cause: OurAction, Confidence: Certain, Subject: in.Subject, Action: in.Action, Evidence: []Line{line},
		Summary: fmt.Sprintf("shisa itself did it: %s, because %s.", deed(in.Action), trim(in.Reason))}
	v.Evidence = append(v.Evidence, q.tried(in)...)
	if name, ok := strings.CutPrefix(in.Subject, "monitor/"); ok {
		v.Mend = "look into the cause: shisa why " + name
	}
	if hung, ok := q.hung(in.At); ok && orderly(in.Action) {
		v.Cause, v.Confidence, v.Stall, v.Action = ShutdownStall, hung.confidence, hung.stall, hung.action
		v.Summary = fmt.Sprintf("shisa ordered %s, because %s; the way down hung, and the countdown ended it.",
			deed(in.Action), trim(in.Reason))
		v.Evidence = append(v.Evidence, hung.lines...)
		v.Mend = "find what did not stop: journalctl -b -1 -e"
	}
	return v, true
}

// stalled: the keeper's last words.
func stalled(q *inquiry) (Verdict, bool) {
	w, ok := q.words()
	if !ok || q.Run.Leaving.Down() {
		return Verdict{}, false
	}
	return q.stall(w), true
}

// fired: a countdown says that it ended the last boot, and the keeper left no word.
func fired(q *inquiry) (Verdict, bool) {
	lines, hardware := q.firedLines()
	if len(lines) == 0 {
		return Verdict{}, false
	}
	if q.Run.Leaving.Down() {
		return q.shutdownStall(lines, Certain), true
	}
	if c, ok := q.crash(""); ok && c.Fired {
		return Verdict{Cause: UserStall, Confidence: Certain, Action: q.action(false), Evidence: lines,
			Summary: "The countdown in the kernel was not pinged any more and fired: user space stood still before anybody could write down why."}, true
	}
	if hardware && len(q.Run.Armed) == 0 {
		return Verdict{Cause: KernelHang, Confidence: Possible, Evidence: lines, Action: "reset",
			Summary: "A hardware watchdog reset the machine; shisa had not armed it, so another program did."}, true
	}
	return Verdict{Cause: KernelHang, Confidence: Likely, Action: q.action(true), Evidence: lines, Mend: "shisa doctor shows what would leave more evidence: pstore, kdump, a serial console",
		Summary: "The kernel itself stood still, or the disk did so suddenly that nobody could write a word: the hardware countdown reset the machine."}, true
}

// crashed: the kernel left a record that is no panic.
func crashed(q *inquiry) (Verdict, bool) {
	c, ok := q.crash("")
	if !ok || len(c.Lines) == 0 || q.Run.Leaving.Down() && c.Kind == "" {
		return Verdict{}, false
	}
	if c.Fired {
		if q.Run.Leaving.Down() {
			return q.shutdownStall([]Line{c.line()}, Certain), true
		}
		return Verdict{Cause: UserStall, Confidence: Certain, Action: q.action(false), Evidence: []Line{c.line()},
			Summary: "The countdown in the kernel was not pinged any more and fired."}, true
	}
	return Verdict{Cause: KernelHang, Confidence: Likely, Evidence: []Line{c.line()}, Mend: "read the whole record: " + c.File,
		Summary: "The kernel was in trouble before the machine went down" + about(c) + "."}, true
}

// shutdown: somebody took it down in an orderly way, and it went, or hung.
func shutdown(q *inquiry) (Verdict, bool) {
	l := q.Run.Leaving
	logged := q.Logins.Shutdown.After(q.Run.Last.Add(-shutdownSlack)) && !q.Logins.Shutdown.IsZero()
	if !l.Down() && !logged {
		return Verdict{}, false
	}
	began := q.Logins.Shutdown
	v := Verdict{Cause: Ordered, Confidence: Likely, Action: "shutdown"}
	by, reason := "", ""
	if l.Down() {
		began, v.Action, by = l.At, l.How, l.By
		if l.Reason != "" {
			reason = ", because " + trim(l.Reason)
		}
		v.Evidence = append(v.Evidence, q.leavingLine())
	}
	if hung, ok := q.hung(began); ok {
		v := q.shutdownStall(append(v.Evidence, hung.lines...), hung.confidence)
		v.Stall = hung.stall
		return v, true
	}
	c, took, late := q.overdue(began)
	if late {
		v.Evidence = append(v.Evidence, Line{"clock", fmt.Sprintf("from the order to the next start %s passed, about as long as the countdown of the shutdown (%s) would have taken to end it",
			seconds(took), seconds(c.Timeout))})
	}
	if logged {
		if !late {
			v.Confidence = Certain
		}
		v.Evidence = append(v.Evidence, Line{"login records", "an orderly shutdown at " + clock(q.Logins.Shutdown)})
	}
	v.Summary = fmt.Sprintf("It was taken down in an orderly way: %s, ordered by %s%s.", deed(v.Action), or(by, "the operating system"), reason)
	return v, true
}

// Way is how long a sound way down and up took, from the order to the start of the
// next kernel; zero: that was none, or it cannot be told from one that hung.
func Way(e Evidence) time.Duration {
	q := &inquiry{Evidence: e}
	if e.Run == nil || !e.Closed || Analyse(e).Cause != Ordered {
		return 0
	}
	began := q.Logins.Shutdown
	if l := q.Run.Leaving; l.Down() {
		began = l.At
	}
	if _, took, late := q.overdue(began); !late && !began.IsZero() && took > 0 {
		return took
	}
	return 0
}

// outside: the BMC says what happened to the power. Power that was lost comes
// first: a button may have brought it back.
func outside(q *inquiry) (Verdict, bool) {
	if q.BMC == nil {
		return Verdict{}, false
	}
	lost := Verdict{Cause: PowerLoss, Confidence: Certain, Summary: "The power went away: the BMC recorded it."}
	taken := Verdict{Cause: BMCAction, Confidence: Certain, Summary: "Somebody took the machine down through the BMC or its buttons"}
	if e, ok := q.entry(ByPower); ok {
		lost.Evidence = []Line{e.line()}
		return lost, true
	}
	if e, ok := q.entry(ByOperator); ok {
		taken.Summary += ": " + lower(trim(e.Text)) + "."
		taken.Evidence = []Line{e.line()}
		return taken, true
	}
	switch q.BMC.By {
	case ByPower:
		lost.Confidence, lost.Evidence = Likely, []Line{q.BMC.restartLine()}
		return lost, true
	case ByOperator:
		taken.Confidence, taken.Evidence = Likely, []Line{q.BMC.restartLine()}
		taken.Summary += ": " + q.BMC.Restart + "."
		return taken, true
	}
	return Verdict{}, false
}

// vanished: nothing fits.
func vanished(q *inquiry) (Verdict, bool) {
	v := Verdict{Cause: Unknown, Confidence: Possible, Mend: "shisa doctor shows what would leave evidence next time: pstore, a BMC, a hardware watchdog",
		Summary: "The machine went down without a trace: most likely the power failed, or somebody pressed reset or stopped the virtual machine."}
	switch l := q.Run.Leaving; {
	case l != nil:
		v.Summary = fmt.Sprintf("shisa was stopped at %s (by %s); what happened to the machine after that was not watched.", clock(l.At), or(l.By, "somebody"))
		v.Evidence = []Line{q.leavingLine()}
		v.Mend = "journalctl -b -1 -e shows the end of the last boot"
	case len(q.Run.Armed) > 0 && !slices.ContainsFunc(q.Run.Armed, func(c Countdown) bool { return c.Hardware }):
		v.Summary += " A countdown in the kernel was armed; had it fired, the keeper would have left a word, if the disk could take one."
	}
	return v, true
}

func or(s, otherwise string) string { return cmp.Or(s, otherwise) }
