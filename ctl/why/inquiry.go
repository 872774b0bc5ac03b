package why

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Tolerances when times of different clocks are compared.
const (
	shutdownSlack = 2 * time.Minute // wtmp before or after our last record
	bmcSlack      = 5 * time.Minute // the BMC's clock is its own
	crashSlack    = 2 * time.Minute
	bootSlack     = time.Minute // after the boot began
)

// since is from when on something may have to do with the end of that boot:
// shortly before our last record, and not before the boot's first one.
func (q *inquiry) since(slack time.Duration) time.Time {
	if t := q.Run.Last.Add(-slack); t.After(q.Run.First) {
		return t
	}
	return q.Run.First
}

// entry returns the latest entry in the BMC's log of what one hand did.
func (q *inquiry) entry(by Hand) (Entry, bool) {
	if q.BMC == nil {
		return Entry{}, false
	}
	for _, e := range slices.Backward(q.BMC.Entries) {
		timely := e.At.IsZero() || !e.At.Before(q.Run.Last.Add(-bmcSlack)) && (q.Now.Booted.IsZero() || e.At.Before(q.Now.Booted.Add(bootSlack)))
		if e.By == by && timely {
			return e, true
		}
	}
	return Entry{}, false
}

func (e Entry) line() Line { return Line{"BMC", "event log: " + e.Text + at(e.At)} }

func (b *BMC) restartLine() Line { return Line{"BMC", "cause of the last restart: " + b.Restart} }

// open returns the last intent that nothing is known to have come of.
func (q *inquiry) open() (Intent, bool) {
	n := len(q.Run.Intents)
	if n == 0 || q.Run.Intents[n-1].Outcome != "" {
		return Intent{}, false
	}
	return q.Run.Intents[n-1], true
}

// triedWithin is how long before an action milder ones count as steps towards it.
const triedWithin = 10 * time.Minute

// tried are the actions that were to do the same before, and failed.
func (q *inquiry) tried(in Intent) []Line {
	var lines []Line
	for _, i := range q.Run.Intents {
		if i.Outcome != "" && i.Subject == in.Subject && i.At.Before(in.At) && in.At.Sub(i.At) < triedWithin {
			lines = append(lines, Line{"shisa's journal", fmt.Sprintf("tried before, at %s: %s; %s", clock(i.At), i.Action, i.Outcome)})
		}
	}
	return lines
}

// words returns what the keeper said last, unless it took it back. The last
// record of an episode knows most; a warning counts when nothing came after.
func (q *inquiry) words() (Words, bool) {
	n := len(q.Words)
	if n == 0 || q.Words[n-1].Phase == "recovered" {
		return Words{}, false
	}
	return q.Words[n-1], true
}

// crash returns the latest record of that kind in pstore; empty: of any kind.
func (q *inquiry) crash(kind string) (Crash, bool) {
	for _, c := range slices.Backward(q.Crashes) {
		if !c.At.IsZero() && c.At.Before(q.since(crashSlack)) {
			continue // an older story
		}
		if kind == "" || c.Kind == kind {
			return c, true
		}
	}
	return Crash{}, false
}

// firedLines tells which countdowns say that they fired, and whether one of
// them is hardware.
func (q *inquiry) firedLines() (lines []Line, hardware bool) {
	for _, w := range q.Watchdog {
		if w.Fired {
			lines = append(lines, Line{"watchdog", fmt.Sprintf("%s (%s) says that it caused this boot", w.Device, w.Identity)})
			hardware = hardware || w.Hardware
		}
	}
	// The BMC's flag and cause stay until the timer is armed again: where we had
	// not armed it they may be of years ago.
	if q.BMC != nil && slices.ContainsFunc(q.Run.Armed, Countdown.ofBMC) {
		if q.BMC.Expired {
			lines, hardware = append(lines, Line{"BMC", "its watchdog timer has expired"}), true
		}
		if q.BMC.By == ByTimer {
			lines, hardware = append(lines, q.BMC.restartLine()), true
		}
	}
	if e, ok := q.entry(ByTimer); ok {
		lines, hardware = append(lines, e.line()), true
	}
	return lines, hardware
}

// ofBMC reports whether c is the timer of a BMC, driven by us or by the kernel.
func (c Countdown) ofBMC() bool {
	return strings.HasPrefix(c.Driver, "ipmi") || c.Identity == "IPMI"
}

// action is what the armed countdown does; hardware asks for the hardware one.
func (q *inquiry) action(hardware bool) string {
	for _, c := range q.Run.Armed {
		if c.Hardware == hardware {
			return c.Action
		}
	}
	for _, c := range q.Run.Armed {
		return c.Action
	}
	return "reset"
}

func countdownPanics(armed []Countdown) bool {
	return slices.ContainsFunc(armed, func(c Countdown) bool { return c.Action == "panic" })
}

// stall is the verdict on last words.
func (q *inquiry) stall(w Words) Verdict {
	lines, hardware := q.firedLines()
	v := Verdict{Cause: UserStall, Confidence: Likely, Stall: w.Stall, Action: q.action(hardware), Mend: stallMends[w.Stall]}
	if w.Phase != "warning" || len(lines) > 0 {
		v.Confidence = Certain
	}
	if w.Beat != "" {
		v.Subject = "beat/" + w.Beat
	}
	what := stallTexts[w.Stall]
	if what == "" {
		what = "a beat was missing, for a reason that the keeper could not see"
	}
	v.Summary = fmt.Sprintf("User space stood still%s: %s. The countdown was not pinged any more, and its action followed: %s.",
		during(w.Age), what, v.Action)
	v.Evidence = append([]Line{w.line()}, lines...)
	return v
}

// stallTexts says in half a sentence what each cause of a stall means; the
// words are those of the keeper's witness.
var stallTexts = map[string]string{
	"daemon_stopped": "shisad was stopped by a signal or a debugger",
	"daemon_absent":  "shisad had ended and nobody started it again",
	"daemon_blocked": "shisad was blocked in the kernel",
	"daemon_hung":    "one of shisad's loops did not go on",
	"realtime_hog":   "real-time tasks left no processor to anybody else",
	"out_of_memory":  "memory was exhausted",
	"file_system":    "the file system did not answer",
	"no_threads":     "no thread could be made",
	"overload":       "the processors were overloaded",
}

var stallMends = map[string]string{
	"daemon_stopped": "find out who sends SIGSTOP to shisad",
	"daemon_absent":  "let systemd restart it: systemctl status shisad",
	"daemon_blocked": "look at the disk and at network file systems: dmesg, journalctl -b -1 -k",
	"daemon_hung":    "please report it with: journalctl -b -1 -u shisad",
	"realtime_hog":   "bound the real-time tasks: sysctl kernel.sched_rt_runtime_us, or a lower priority",
	"out_of_memory":  "bound the memory of services: MemoryMax= in their units",
	"file_system":    "look at the disk: dmesg, smartctl, journalctl -b -1 -k",
	"no_threads":     "raise kernel.threads-max or the limits of the service that uses them up",
	"overload":       "bound the processor time of services: CPUQuota= in their units",
}

// A hang is what speaks for a shutdown that hung.
type hang struct {
	confidence    Confidence
	stall, action string
	lines         []Line
}

// hung reports whether a shutdown that began at that time was ended by a
// countdown.
func (q *inquiry) hung(began time.Time) (hang, bool) {
	h := hang{action: q.action(false)}
	if lines, hardware := q.firedLines(); len(lines) > 0 {
		h.confidence, h.lines, h.action = Certain, lines, q.action(hardware)
	}
	if c, ok := q.crash(""); ok && c.Fired {
		h.confidence, h.lines = Certain, append(h.lines, c.line())
	}
	if w, ok := q.words(); ok && w.At.After(began) {
		h.confidence, h.stall, h.lines = Certain, w.Stall, append(h.lines, w.line())
	}
	if h.confidence != "" {
		return h, true
	}
	// Without a word the time speaks: a shutdown that took the whole of the
	// timeout did not end by itself. But the start of a large machine may take as
	// long: where the last service has ended in order, the way down was sound,
	// unless this machine is known to be up again much sooner. That says nothing
	// where somebody had to switch it on.
	c, took, ok := q.overdue(began)
	sooner := q.Usual > 0 && took-q.Usual >= c.Timeout/2 && (q.Run.Leaving == nil || q.Run.Leaving.How != "poweroff")
	if !ok || q.Closed && !sooner {
		return h, false
	}
	h.confidence, h.action = Likely, c.Action
	text := fmt.Sprintf("from the order to the next start %s passed; the countdown of the shutdown was set to %s", seconds(took), seconds(c.Timeout))
	if q.Closed {
		text += fmt.Sprintf(", and a sound way takes %s here", seconds(q.Usual))
	}
	h.lines = []Line{{"clock", text}}
	return h, true
}

// overdue reports whether a shutdown that began at that time, and the next start,
// took just as long as the countdown that guarded it: it may have ended it.
func (q *inquiry) overdue(began time.Time) (c Countdown, took time.Duration, ok bool) {
	if began.IsZero() || q.Now.Booted.IsZero() {
		return Countdown{}, 0, false
	}
	took = q.Now.Booted.Sub(began)
	i := slices.IndexFunc(q.Run.Armed, func(c Countdown) bool {
		return c.Shutdown && took >= c.Timeout && took < c.Timeout+time.Minute+c.Timeout/4
	})
	if i < 0 {
		return Countdown{}, took, false
	}
	return q.Run.Armed[i], took, true
}

// shutdownStall is the verdict on a shutdown that hung.
func (q *inquiry) shutdownStall(lines []Line, c Confidence) Verdict {
	v := Verdict{Cause: ShutdownStall, Confidence: c, Evidence: lines, Action: q.action(false), Mend: "find what did not stop: journalctl -b -1 -e"}
	v.Summary = "The machine was going down in an orderly way and hung"
	if l := q.Run.Leaving; l.Down() {
		if l.Phase != "" && l.Phase != "done" {
			v.Summary += " (shisa had come to: " + l.Phase + ")"
		}
		v.Summary += fmt.Sprintf("; %s had been ordered by %s", deed(l.How), or(l.By, "the operating system"))
	}
	v.Summary += ". The countdown ended it."
	return v
}

// lines is all evidence in words, strongest first.
func (q *inquiry) lines() []Line {
	var lines []Line
	if w, ok := q.words(); ok {
		lines = append(lines, w.line())
	}
	fired, _ := q.firedLines()
	lines = append(lines, fired...)
	if c, ok := q.crash(""); ok {
		lines = append(lines, c.line())
	}
	if q.Run.Leaving != nil {
		lines = append(lines, q.leavingLine())
	} else {
		lines = append(lines, Line{"shisa's journal", "no orderly end is recorded; the last record is of " + clock(q.Run.Last)})
	}
	for _, c := range q.Run.Armed {
		lines = append(lines, Line{"shisa's journal", "armed at the time: " + c.String()})
	}
	for _, w := range q.Watchdog {
		if w.Other != "" {
			lines = append(lines, Line{"watchdog", w.Device + " reports: " + w.Other})
		}
	}
	if len(q.Unclean) > 0 {
		lines = append(lines, Line{"systemd's journal", "was not closed at the end of the last boot: " + strings.Join(q.Unclean, ", ")})
	}
	return lines
}

func (q *inquiry) leavingLine() Line {
	l := q.Run.Leaving
	text := fmt.Sprintf("%s at %s, by %s", deed(l.How), clock(l.At), or(l.By, "the operating system"))
	if l.Phase != "" {
		text += "; it came to: " + l.Phase
	}
	return Line{"shisa's journal", text}
}

func (w Words) line() Line {
	text := "its last words"
	if w.From != "" {
		text += " (" + w.From + ")"
	}
	text += ", at " + clock(w.At) + ": "
	if w.Limit == 0 {
		return Line{"keeper", text + w.Phase + ", " + or(stallTexts[w.Stall], "cause unknown")}
	}
	return Line{"keeper", text + fmt.Sprintf("beat %s was %s old, limit %s; %s", or(w.Beat, "of the daemon"), seconds(w.Age), seconds(w.Limit), w.Text)}
}

// during is " for 90 s"; nothing when that is not known.
func during(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return " for " + seconds(d)
}

func (c Crash) line() Line {
	text := c.File
	if len(c.Lines) > 0 {
		text += ": " + strings.Join(c.Lines, " · ")
	}
	return Line{"kernel (pstore)", text}
}

// about quotes the first line of c.
func about(c Crash) string {
	if len(c.Lines) == 0 {
		return ""
	}
	return ": " + trim(c.Lines[0])
}

// deeds names actions for people.
var deeds = map[string]string{
	"reboot": "a reboot", "shutdown": "a shutdown", "poweroff": "a power-off", "stop": "a stop of the service", "reset": "a reset",
	"panic": "a kernel panic", "keepalive_reset": "a reset by the countdown", "keepalive_panic": "a panic by the countdown",
	"bmc_reset": "a reset by the BMC", "bmc_power_off": "a power-off by the BMC", "bmc_power_cycle": "a power cycle by the BMC", "bmc_nmi": "an NMI by the BMC",
}

func deed(action string) string { return or(deeds[action], action) }

// orderly reports whether an action goes through the operating system's own way
// down, which can hang.
func orderly(action string) bool {
	return action == "reboot" || action == "shutdown" || action == "poweroff"
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "an unknown time"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " at " + clock(t)
}

// seconds writes d for people: "90 s", "3.2 s".
func seconds(d time.Duration) string {
	if d >= 10*time.Second || d%time.Second == 0 {
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func trim(s string) string { return strings.TrimRight(strings.TrimSpace(s), ".") }

func lower(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[n:]
}
