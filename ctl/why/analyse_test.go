package why

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// The story of all cases: boot "old" ran until shortly after noon, boot "new"
// began at 12:02.
var (
	noon   = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	booted = noon.Add(2 * time.Minute)
)

func TestMain(m *testing.M) {
	time.Local = time.UTC // texts hold local times
	m.Run()
}

// softdog and bmc are countdowns as they are armed by default.
var (
	softdog = Countdown{Role: "primary", Driver: "wdt", Device: "/dev/watchdog0", Identity: "Software Watchdog", Timeout: 90 * time.Second, Action: "reset"}
	bmc     = Countdown{Role: "backstop", Driver: "ipmi", Device: "/dev/ipmi0", Identity: "BMC watchdog", Timeout: 120 * time.Second, Action: "reset", Hardware: true}
	onDown  = Countdown{Role: "primary", Driver: "wdt", Device: "/dev/watchdog0", Identity: "Software Watchdog", Timeout: 90 * time.Second, Action: "reset", Shutdown: true}
)

// cutOff is a boot that ended without an orderly end.
func cutOff(change func(*Evidence)) Evidence {
	e := Evidence{Now: Boot{ID: "new", Booted: booted}, Run: &Run{Boot: "old", First: noon.Add(-time.Hour), Last: noon, Armed: []Countdown{softdog, bmc}}}
	if change != nil {
		change(&e)
	}
	return e
}

func words(stall, text string) []Words {
	w := Words{At: noon.Add(75 * time.Second), Phase: "warning", Beat: "decisions", Age: 72 * time.Second, Limit: 90 * time.Second, Text: "first look"}
	last := w
	last.At, last.Phase, last.Age, last.Stall, last.Text = noon.Add(89*time.Second), "final", 88*time.Second, stall, text
	return []Words{w, last}
}

func leaving(how string, ago time.Duration) *Leaving {
	return &Leaving{At: booted.Add(-ago), How: how, By: "root (pid 4711)", Reason: "kernel update", Phase: "groups stopped"}
}

type want struct {
	cause      Cause
	confidence Confidence
	stall      string
	action     string
	summary    []string // parts of it
	evidence   []string // parts of lines
}

var cases = map[string]struct {
	evidence Evidence
	want     want
}{
	"no record": {Evidence{Now: Boot{ID: "new"}}, want{FirstStart, Certain, "", "", []string{"first time"}, nil}},
	"service restarted in the same boot": {cutOff(func(e *Evidence) { e.Now.ID = "old" }),
		want{StillUp, Certain, "", "", []string{"did not go down"}, nil}},

	"we reset it": {cutOff(func(e *Evidence) {
		e.Run.Intents = []Intent{{At: noon, Action: "reset", Reason: "connection refused.", Subject: "monitor/web", By: "recovery"}}
	}), want{OurAction, Certain, "", "reset", []string{"shisa itself did it: a reset, because connection refused."}, []string{"before acting, at 2026-11-23 12:00:00: reset for monitor/web"}}},
	"we reset it after a milder action failed": {cutOff(func(e *Evidence) {
		e.Run.Intents = []Intent{{Action: "reboot", Reason: "x", Outcome: "failed: no init"}, {At: noon, Action: "reset", Reason: "x", Subject: "monitor/web"}}
	}), want{OurAction, Certain, "", "reset", []string{"a reset, because x"}, nil}},
	"the next harder one, after one that failed": {cutOff(func(e *Evidence) {
		e.Run.Intents = []Intent{
			{At: noon.Add(-2 * time.Hour), Action: "bmc_cycle", Subject: "monitor/web", Outcome: "failed: long ago"},
			{At: noon.Add(-time.Minute), Action: "bmc_reset", Subject: "monitor/web", Outcome: "failed: the BMC does not answer"},
			{At: noon, Action: "reset", Subject: "monitor/web", Reason: "x"},
		}
	}), want{OurAction, Certain, "", "reset", []string{"a reset, because x"}, []string{"tried before, at 2026-11-23 11:59:00: bmc_reset; failed: the BMC does not answer"}}},
	"we panicked it on purpose": {cutOff(func(e *Evidence) {
		e.Run.Intents = []Intent{{At: noon, Action: "panic", Reason: "database is gone", Subject: "monitor/db"}}
		e.Crashes = []Crash{{File: "dmesg-efi-1", At: noon, Kind: "Panic", Lines: []string{"sysrq: Trigger a crash", "Kernel panic - not syncing: sysrq triggered crash"}}}
	}), want{OurAction, Certain, "", "panic", []string{"a kernel panic, because database is gone"}, []string{"sysrq triggered crash"}}},
	"an intent that was voided is none of ours": {cutOff(func(e *Evidence) {
		e.Run.Intents = []Intent{{Action: "reboot", Reason: "x", Outcome: "voided"}}
	}), want{Unknown, Possible, "", "", []string{"without a trace"}, nil}},
	"our reboot hung and the countdown ended it": {cutOff(func(e *Evidence) {
		e.Run.Intents = []Intent{{At: noon, Action: "reboot", Reason: "web is gone", Subject: "monitor/web"}}
		e.Run.Leaving, e.Run.Armed = leaving("reboot", 2*time.Minute), []Countdown{onDown, bmc}
		e.Watchdog = []Watchdog{{Device: "watchdog0", Identity: "i6300ESB timer", Fired: true, Hardware: true}}
	}), want{ShutdownStall, Certain, "", "reset", []string{"shisa ordered a reboot, because web is gone; the way down hung", "the countdown ended it"}, []string{"watchdog0 (i6300ESB timer) says that it caused this boot"}}},

	"orderly, by an operator through us": {cutOff(func(e *Evidence) { e.Run.Leaving, e.Run.Armed = leaving("reboot", 20*time.Second), []Countdown{onDown} }),
		want{Ordered, Likely, "", "reboot", []string{"a reboot, ordered by root (pid 4711), because kernel update."}, []string{"a reboot at 2026-11-23 12:01:40"}}},
	"orderly, by the operating system": {cutOff(func(e *Evidence) {
		e.Run.Leaving = &Leaving{At: noon.Add(time.Minute), How: "stop", By: "systemd", Phase: "done"}
		e.Logins.Shutdown = noon.Add(61 * time.Second)
	}), want{Ordered, Certain, "", "shutdown", []string{"in an orderly way", "the operating system"}, []string{"an orderly shutdown at 2026-11-23 12:01:01"}}},
	"the login record of an earlier shutdown proves nothing": {cutOff(func(e *Evidence) { e.Logins.Shutdown = noon.Add(-24 * time.Hour) }),
		want{Unknown, Possible, "", "", nil, nil}},
	"service stopped by hand long before": {cutOff(func(e *Evidence) { e.Run.Leaving = leaving("stop", 50*time.Hour) }),
		want{Unknown, Possible, "", "", []string{"shisa was stopped at 2026-11-21 10:02:00 (by root (pid 4711))"}, nil}},

	"daemon stopped by SIGSTOP": {cutOff(func(e *Evidence) { e.Words = words("daemon_stopped", "shisad (process 7) is stopped") }),
		want{UserStall, Certain, "daemon_stopped", "reset", []string{"stood still for 88 s", "stopped by a signal"}, []string{"beat decisions was 88 s old, limit 90 s; shisad (process 7) is stopped"}}},
	"daemon dead": {cutOff(func(e *Evidence) { e.Words = words("daemon_absent", "gone") }),
		want{UserStall, Certain, "daemon_absent", "reset", []string{"nobody started it again"}, nil}},
	"starved by real-time tasks": {cutOff(func(e *Evidence) { e.Words = words("realtime_hog", "2 real-time tasks: hog (9)") }),
		want{UserStall, Certain, "realtime_hog", "reset", []string{"real-time tasks left no processor"}, []string{"hog (9)"}}},
	"hung on storage": {cutOff(func(e *Evidence) { e.Words = words("file_system", "frozen") }),
		want{UserStall, Certain, "file_system", "reset", []string{"the file system did not answer"}, nil}},
	"out of memory": {cutOff(func(e *Evidence) { e.Words = words("out_of_memory", "3 MiB left") }),
		want{UserStall, Certain, "out_of_memory", "reset", []string{"memory was exhausted"}, nil}},
	"a cause that the witness of another version names": {cutOff(func(e *Evidence) { e.Words = words("moonlight", "") }),
		want{UserStall, Certain, "moonlight", "reset", []string{"could not see"}, nil}},
	"only a warning, then silence": {cutOff(func(e *Evidence) { e.Words = words("overload", "")[:1] }),
		want{UserStall, Likely, "", "reset", []string{"stood still"}, nil}},
	"a warning that was taken back": {cutOff(func(e *Evidence) {
		e.Words = append(words("overload", "")[:1], Words{At: noon, Phase: "recovered"})
	}), want{Unknown, Possible, "", "", nil, nil}},
	"a countdown that panics": {cutOff(func(e *Evidence) {
		e.Words = words("daemon_hung", "")
		e.Run.Armed = []Countdown{{Role: "primary", Driver: "wdt", Timeout: time.Minute, Action: "panic"}}
		e.Crashes = []Crash{{File: "dmesg-1", At: noon.Add(90 * time.Second), Kind: "Panic", Lines: []string{"Kernel panic - not syncing: Software Watchdog Timer expired"}}}
	}), want{UserStall, Certain, "daemon_hung", "panic", []string{"its action followed: panic"}, []string{"Software Watchdog Timer expired"}}},
	"our module fired and nobody else could write": {cutOff(func(e *Evidence) {
		e.Crashes = []Crash{{File: "dmesg-ramoops-0", At: noon.Add(90 * time.Second), Kind: "Emergency", Fired: true, Lines: []string{"clpka: FIRED countdown=main action=reset reason=timeout"}}}
	}), want{UserStall, Certain, "", "reset", []string{"countdown in the kernel", "fired"}, []string{"clpka: FIRED"}}},

	"shutdown hung in a service, a hardware countdown says so": {cutOff(func(e *Evidence) {
		e.Run.Leaving, e.Run.Armed = leaving("poweroff", 2*time.Minute), []Countdown{onDown, bmc}
		e.BMC = &BMC{Expired: true, Restart: "watchdog", By: ByTimer}
	}), want{ShutdownStall, Certain, "", "reset", []string{"hung (shisa had come to: groups stopped)", "a power-off had been ordered by root"}, []string{"its watchdog timer has expired"}}},
	"sound, but the machine took long to start": {cutOff(func(e *Evidence) {
		e.Run.Leaving, e.Run.Armed, e.Closed = leaving("reboot", 95*time.Second), []Countdown{onDown}, true
	}), want{Ordered, Likely, "", "reboot", []string{"orderly"}, []string{"95 s passed, about as long as the countdown of the shutdown (90 s)"}}},
	"hung after the last service, on a machine that is back in 20 s": {cutOff(func(e *Evidence) {
		e.Run.Leaving, e.Run.Armed, e.Closed, e.Usual = leaving("reboot", 95*time.Second), []Countdown{onDown}, true, 20*time.Second
	}), want{ShutdownStall, Likely, "", "reset", []string{"hung", "a reboot had been ordered"}, []string{"95 s passed; the countdown of the shutdown was set to 90 s, and a sound way takes 20 s here"}}},
	"sound, on a machine that always takes so long": {cutOff(func(e *Evidence) {
		e.Run.Leaving, e.Run.Armed, e.Closed, e.Usual = leaving("reboot", 95*time.Second), []Countdown{onDown}, true, 85*time.Second
	}), want{Ordered, Likely, "", "reboot", []string{"orderly"}, nil}},
	"switched off, and on again after a minute and a half": {cutOff(func(e *Evidence) {
		e.Run.Leaving, e.Run.Armed, e.Closed, e.Usual = leaving("poweroff", 95*time.Second), []Countdown{onDown}, true, 20*time.Second
	}), want{Ordered, Likely, "", "poweroff", []string{"orderly"}, nil}},
	"shutdown hung, only the clock says so": {cutOff(func(e *Evidence) { e.Run.Leaving, e.Run.Armed = leaving("reboot", 95*time.Second), []Countdown{onDown} }),
		want{ShutdownStall, Likely, "", "reset", []string{"hung"}, []string{"95 s passed; the countdown of the shutdown was set to 90 s"}}},
	"shutdown hung and the keeper wrote it down": {cutOff(func(e *Evidence) {
		e.Run.Leaving, e.Run.Armed = leaving("reboot", 2*time.Minute), []Countdown{onDown}
		e.Words = words("daemon_blocked", "D state")
	}), want{ShutdownStall, Certain, "daemon_blocked", "reset", []string{"hung"}, []string{"D state"}}},
	"powered off on purpose and switched on days later": {cutOff(func(e *Evidence) { e.Run.Leaving, e.Run.Armed = leaving("poweroff", 70*time.Hour), []Countdown{onDown} }),
		want{Ordered, Likely, "", "poweroff", []string{"orderly"}, nil}},

	"kernel panic": {cutOff(func(e *Evidence) {
		e.Crashes = []Crash{{File: "dmesg-efi-1", At: noon.Add(time.Second), Kind: "Panic", Lines: []string{"Kernel panic - not syncing: VFS: Unable to mount root fs"}}}
	}), want{KernelPanic, Certain, "", "panic", []string{"The kernel panicked: Kernel panic - not syncing: VFS"}, []string{"dmesg-efi-1"}}},
	"a panic of last month is an old story": {cutOff(func(e *Evidence) {
		e.Crashes = []Crash{{File: "dmesg-efi-1", At: noon.Add(-700 * time.Hour), Kind: "Panic", Lines: []string{"Kernel panic"}}}
	}), want{Unknown, Possible, "", "", nil, nil}},
	"kernel hang, the watchdog chip fired": {cutOff(func(e *Evidence) {
		e.Watchdog = []Watchdog{{Device: "watchdog1", Identity: "iTCO_wdt", Fired: true, Hardware: true}}
	}), want{KernelHang, Likely, "", "reset", []string{"The kernel itself stood still"}, []string{"watchdog1 (iTCO_wdt)"}}},
	"kernel hang, the BMC fired": {cutOff(func(e *Evidence) {
		e.BMC = &BMC{Entries: []Entry{{At: noon.Add(2 * time.Minute), Text: "watchdog: hard reset", By: ByTimer}}}
	}), want{KernelHang, Likely, "", "reset", []string{"kernel itself"}, []string{"watchdog: hard reset"}}},
	"a watchdog that another program armed": {cutOff(func(e *Evidence) {
		e.Run.Armed = nil
		e.Watchdog = []Watchdog{{Device: "watchdog0", Identity: "iTCO_wdt", Fired: true, Hardware: true}}
	}), want{KernelHang, Possible, "", "reset", []string{"another program did"}, nil}},
	"kernel in trouble": {cutOff(func(e *Evidence) {
		e.Crashes = []Crash{{File: "dmesg-1", At: noon.Add(time.Minute), Kind: "Oops", Lines: []string{"watchdog: BUG: soft lockup - CPU#1 stuck for 22s!"}}}
	}), want{KernelHang, Likely, "", "", []string{"in trouble", "soft lockup"}, nil}},

	"a panic that only the BMC was told of": {cutOff(func(e *Evidence) {
		e.BMC = &BMC{Entries: []Entry{{At: noon.Add(time.Minute), Text: "the operating system stopped: panic", By: ByPanic}}}
	}), want{KernelPanic, Certain, "", "panic", []string{"The kernel panicked."}, []string{"operating system stopped"}}},
	"a panic of the boot before, minutes ago": {cutOff(func(e *Evidence) {
		e.Run.First = noon.Add(-time.Minute)
		e.Crashes = []Crash{{File: "dmesg-ramoops-0", At: noon.Add(-70 * time.Second), Kind: "Panic", Lines: []string{"Kernel panic"}}}
		e.Words = words("daemon_absent", "gone")
	}), want{UserStall, Certain, "daemon_absent", "reset", nil, nil}},
	"our module fired a month ago": {cutOff(func(e *Evidence) {
		e.Crashes = []Crash{{File: "dmesg-efi-1", At: noon.Add(-700 * time.Hour), Kind: "Emergency", Fired: true, Lines: []string{"clpka: FIRED"}}}
	}), want{Unknown, Possible, "", "", nil, nil}},
	"the disk hung, the log of the BMC took the last word": {cutOff(func(e *Evidence) {
		e.Words = []Words{{At: noon.Add(80 * time.Second), From: "event log of the BMC", Phase: "warning", Stall: "file_system"}}
		e.Watchdog = []Watchdog{{Device: "watchdog0", Identity: "i6300ESB timer", Fired: true, Hardware: true}}
	}), want{UserStall, Certain, "file_system", "reset", []string{"stood still: the file system did not answer"}, []string{"its last words (event log of the BMC), at 2026-11-23 12:01:20: warning, the file system did not answer"}}},
	"last words in pstore": {cutOff(func(e *Evidence) {
		e.Words = words("file_system", "frozen")
		e.Words[1].From = "pstore"
	}), want{UserStall, Certain, "file_system", "reset", nil, []string{"its last words (pstore), at"}}},

	"power button": {cutOff(func(e *Evidence) {
		e.BMC = &BMC{Entries: []Entry{{At: noon.Add(time.Minute), Text: "Power button pressed", By: ByOperator}}}
	}), want{BMCAction, Certain, "", "", []string{"its buttons: power button pressed."}, nil}},
	"reset by a BMC command": {cutOff(func(e *Evidence) { e.BMC = &BMC{Restart: "chassis control command", By: ByOperator} }),
		want{BMCAction, Likely, "", "", []string{"chassis control command"}, nil}},
	"power loss seen by the BMC": {cutOff(func(e *Evidence) {
		e.BMC = &BMC{Entries: []Entry{{At: noon.Add(time.Minute), Text: "AC lost", By: ByPower}}}
	}), want{PowerLoss, Certain, "", "", []string{"power went away"}, nil}},
	"power loss, then somebody pressed the button": {cutOff(func(e *Evidence) {
		e.BMC = &BMC{Restart: "reset button", By: ByOperator,
			Entries: []Entry{{Text: "AC lost", By: ByPower}, {At: noon.Add(time.Minute), Text: "power button pressed", By: ByOperator}}}
	}), want{PowerLoss, Certain, "", "", []string{"power went away"}, []string{"AC lost"}}},
	"power came back by itself": {cutOff(func(e *Evidence) { e.BMC = &BMC{Restart: "AC power came back", By: ByPower} }),
		want{PowerLoss, Likely, "", "", nil, []string{"AC power came back"}}},
	"an old entry of the BMC": {cutOff(func(e *Evidence) {
		e.BMC = &BMC{Entries: []Entry{{At: noon.Add(-time.Hour), Text: "AC lost", By: ByPower}}}
	}), want{Unknown, Possible, "", "", nil, nil}},
	"a button that was pressed after the boot": {cutOff(func(e *Evidence) {
		e.BMC = &BMC{Entries: []Entry{{At: booted.Add(time.Hour), Text: "power button pressed", By: ByOperator}}}
	}), want{Unknown, Possible, "", "", nil, nil}},
	"a timer of the BMC that we had not armed": {cutOff(func(e *Evidence) {
		e.Run.Armed = []Countdown{softdog}
		e.BMC = &BMC{Expired: true, Restart: "watchdog", By: ByTimer}
	}), want{Unknown, Possible, "", "", nil, nil}},
	"without a trace": {cutOff(func(e *Evidence) { e.Unclean = []string{"system.journal~"} }),
		want{Unknown, Possible, "", "", []string{"without a trace"}, []string{"no orderly end is recorded", "system.journal~", "armed at the time: Software Watchdog at /dev/watchdog0, 90 s, reset"}}},
}

func TestAnalyse(t *testing.T) {
	var seen []Cause
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			v, w := Analyse(c.evidence), c.want
			seen = append(seen, v.Cause)
			if v.Cause != w.cause || v.Confidence != w.confidence || v.Stall != w.stall || v.Action != w.action {
				t.Errorf("got %s %s %q %q, want %s %s %q %q", v.Cause, v.Confidence, v.Stall, v.Action, w.cause, w.confidence, w.stall, w.action)
			}
			for _, part := range w.summary {
				if !strings.Contains(v.Summary, part) {
					t.Errorf("summary %q lacks %q", v.Summary, part)
				}
			}
			for _, part := range w.evidence {
				if !slices.ContainsFunc(v.Evidence, func(l Line) bool { return strings.Contains(l.Text, part) }) {
					t.Errorf("no evidence has %q: %q", part, v.Evidence)
				}
			}
			prose(t, v)
		})
	}
	for _, c := range Causes() {
		if !slices.Contains(seen, c) {
			t.Errorf("no case for %s", c)
		}
	}
}

// prose checks what every verdict must be to be read with pleasure.
func prose(t *testing.T, v Verdict) {
	t.Helper()
	if !strings.HasSuffix(v.Summary, ".") || strings.Contains(v.Summary, "..") || strings.Contains(v.Summary, "  ") || strings.Contains(v.Summary, "%!") {
		t.Errorf("no sentence: %q", v.Summary)
	}
	for i, l := range v.Evidence {
		if l.Source == "" || l.Text == "" || slices.Contains(v.Evidence[:i], l) {
			t.Errorf("line %d is empty, or there twice: %q", i, l)
		}
	}
	if v.Cause != FirstStart && v.Cause != StillUp && (v.WentDown == nil || v.CameBack == nil || v.WentDown.After(*v.CameBack)) {
		t.Errorf("times: %v, %v", v.WentDown, v.CameBack)
	}
	if b, err := json.Marshal(v); err != nil || !strings.Contains(string(b), `"evidence":[`) {
		t.Errorf("JSON: %s, %v", b, err)
	}
}

func TestClean(t *testing.T) {
	for _, c := range Causes() {
		if want := c == FirstStart || c == StillUp || c == Ordered; c.Clean() != want {
			t.Errorf("%s: clean %v", c, c.Clean())
		}
	}
}

// Whatever survives, and however wrong its clocks are, there is an answer.
func TestAnalyseAlwaysAnswers(t *testing.T) {
	times := []time.Time{{}, noon, noon.Add(-time.Hour), booted.Add(time.Hour), time.Unix(0, 0)}
	for _, at := range times {
		for _, down := range times {
			for name, c := range cases {
				e := c.evidence
				e.Now.Booted = at
				if e.Run != nil {
					run := *e.Run
					run.Last, e.Run = down, &run
				}
				if v := Analyse(e); v.Summary == "" || v.Cause == "" || v.Confidence == "" || v.Evidence == nil {
					t.Errorf("%s at %v, %v: %+v", name, at, down, v)
				}
			}
		}
	}
}

// TestWay: only a way that was sound for certain says what is usual.
func TestWay(t *testing.T) {
	for name, c := range map[string]struct {
		e    Evidence
		want time.Duration
	}{
		"sound": {cutOff(func(e *Evidence) {
			e.Run.Leaving, e.Run.Armed, e.Closed = leaving("reboot", 20*time.Second), []Countdown{onDown}, true
		}), 20 * time.Second},
		"not closed": {cutOff(func(e *Evidence) { e.Run.Leaving, e.Run.Armed = leaving("reboot", 20*time.Second), []Countdown{onDown} }), 0},
		"perhaps ended by the countdown": {cutOff(func(e *Evidence) {
			e.Run.Leaving, e.Run.Armed, e.Closed = leaving("reboot", 95*time.Second), []Countdown{onDown}, true
		}), 0},
		"longer than any countdown": {cutOff(func(e *Evidence) {
			e.Run.Leaving, e.Run.Armed, e.Closed = leaving("reboot", 300*time.Second), []Countdown{onDown}, true
		}), 300 * time.Second},
		"cut off":     {cutOff(func(e *Evidence) { e.Closed = true }), 0},
		"first start": {Evidence{Closed: true}, 0},
	} {
		if got := Way(c.e); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
