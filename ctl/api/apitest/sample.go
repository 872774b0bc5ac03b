package apitest

import (
	"time"

	"shisa/ctl/api"
	"shisa/ctl/event"
	"shisa/ctl/why"
)

// Now is the time at which the samples were taken.
var Now = time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return Now.Add(-d) }

func ms(d time.Duration) api.Millis { return api.Millis(d) }

// Samples returns what each output with a schema may look like.
func Samples() map[string][]any {
	return map[string][]any{
		"status": {Status(), Empty(), Troubled()},
		"why":    {WhyBoot(), WhyMonitor()},
		"events": {Events(), []event.Event{}},
		"doctor": {Doctor()},
	}
}

// Status is a machine in good order.
func Status() api.Status {
	s := Empty()
	s.Mode, s.Server = "protect", "shop1"
	s.Config.Source = "/etc/shisa/shisa.toml"
	s.Protection = protection()
	s.Stall = stall()
	s.Shutdown = api.Shutdown{Watch: "on_failure", TimeoutMS: ms(90 * time.Second), Action: "reset"}
	s.Limiter = api.Limiter{Enabled: true, Count: 1, Max: 3, CalmMS: ms(time.Hour)}
	s.Groups = []api.Group{{
		Name: "shop", Comment: "web shop", State: api.Started, Since: ago(50 * time.Hour), Auto: true,
		Resources: []api.Resource{
			{Name: "database", Type: "systemd", Group: "shop", State: api.Started, Since: ago(50 * time.Hour), PID: 811},
			{Name: "web", Type: "exec", Group: "shop", State: api.Started, Since: ago(3 * time.Hour), PID: 4711},
		},
	}}
	s.Monitors = monitors()
	s.LastBoot = *WhyBoot().Boot
	return s
}

func protection() api.Protection {
	return api.Protection{
		State: api.Protected, Summary: "Armed: a stall is ended after 90 s by clpka, and after 120 s by hardware if the kernel itself is dead.",
		Primary: &api.Engine{Role: "primary", Driver: "clpka", Device: "/dev/clpka", Identity: "clpka 1.0", Armed: true,
			TimeoutMS: ms(90 * time.Second), AskedMS: ms(90 * time.Second), Action: "reset", Pretimeout: "none",
			LastPingMS: ms(1200 * time.Millisecond), Pings: 60412, Outlives: "any stall of user space", Why: "the first of auto that works"},
		Backstop: &api.Engine{Role: "backstop", Driver: "ipmi", Device: "/dev/ipmi0", Identity: "BMC watchdog", Hardware: true, Armed: true,
			TimeoutMS: ms(120 * time.Second), AskedMS: ms(120 * time.Second), Action: "reset", Pretimeout: "nmi", BeforeMS: ms(10 * time.Second),
			LastPingMS: ms(31 * time.Second), Pings: 3020, Outlives: "a dead kernel", Why: "the only hardware countdown"},
		Keeper: api.Keeper{State: "running", PID: 702, Version: "0.1.0"},
		Passed: []api.Passed{{Engine: "wdt /dev/watchdog0", Reason: "held by systemd (RuntimeWatchdogSec)"}},
	}
}

func stall() api.Stall {
	beat := func(name string, age, most time.Duration) api.Beat {
		return api.Beat{Name: name, AgeMS: ms(age), LimitMS: ms(90 * time.Second), MaxDelayMS: ms(most), MaxDelayAt: ago(2 * time.Hour), Fresh: true}
	}
	return api.Stall{Enabled: true, IntervalMS: ms(3 * time.Second), TimeoutMS: ms(90 * time.Second), WarnPercent: 80, Beats: []api.Beat{
		beat("schedule", 812*time.Millisecond, 3120*time.Millisecond), beat("decide", 1402*time.Millisecond, 3087*time.Millisecond),
		beat("api", 93*time.Millisecond, 3011*time.Millisecond),
	}}
}

func monitors() []api.Monitor {
	m := func(name, typ, target, detail string, took time.Duration) api.Monitor {
		return api.Monitor{Name: name, Type: typ, Target: target, Recovers: "resource/" + target, When: "active", State: api.MonitorProbing, Verdict: api.OK, Since: ago(3 * time.Hour),
			Detail: detail, LastProbe: ago(4 * time.Second), NextProbe: Now.Add(26 * time.Second), TookMS: ms(took), MaxTookMS: ms(10 * took),
			IntervalMS: ms(30 * time.Second), TimeoutMS: ms(10 * time.Second),
			Counters: api.Counters{Probes: 6000, Retry: 2, MaxRestart: 3, Final: "reboot"}}
	}
	return []api.Monitor{
		m("web", "http", "web", "200 OK from http://127.0.0.1:8080/health", 12*time.Millisecond),
		m("db", "tcp", "database", "connected to 127.0.0.1:5432", 300*time.Microsecond),
		m("db-process", "process", "database", "1 process postgres", 45*time.Microsecond),
	}
}

// Empty is the embedded default configuration: observing, nothing configured.
func Empty() api.Status {
	return api.Status{
		Version: "0.1.0", Server: "localhost", Mode: "observe", Level: api.LevelOK, At: Now, Since: ago(50 * time.Hour), UptimeMS: ms(50 * time.Hour),
		Boot:        api.Boot{ID: "4f5a2c3e-9c4b-4c62-8b9e-0d7f1a2b3c4d", Time: ago(51 * time.Hour), UptimeMS: ms(51 * time.Hour), Kernel: "6.12.57"},
		Config:      api.Config{Source: "default", Applied: ago(50 * time.Hour), Hash: "9f86d081"},
		Protection:  api.Protection{State: api.Observing, Summary: "Observing: a stall would be seen, and nothing done.", Keeper: api.Keeper{State: "running", PID: 702, Version: "0.1.0"}, Passed: []api.Passed{}},
		Stall:       api.Stall{Enabled: true, IntervalMS: ms(3 * time.Second), TimeoutMS: ms(90 * time.Second), WarnPercent: 80, Beats: []api.Beat{}},
		Shutdown:    api.Shutdown{Watch: "never"},
		Limiter:     api.Limiter{Enabled: true, Max: 3, CalmMS: ms(time.Hour)},
		Stretch:     api.Stretch{Ratio: 1},
		Suppression: api.Suppression{Reasons: []string{}},
		Store:       api.Store{Dir: "/var/lib/shisa", JournalBytes: 4096, HistoryBytes: 81920, Events: 41},
		Groups:      []api.Group{}, Monitors: []api.Monitor{}, Problems: []api.Problem{},
		LastBoot: why.Verdict{Cause: why.FirstStart, Summary: "There is no record of an earlier boot: shisa runs here for the first time.", Confidence: why.Certain, Evidence: []why.Line{}},
	}
}

// Troubled is a machine in trouble.
func Troubled() api.Status {
	s := Status()
	s.Level = api.LevelCritical
	web := &s.Monitors[0]
	web.Verdict, web.Since, web.Detail = api.Failed, ago(65*time.Second), "connection refused: http://127.0.0.1:8080/health"
	web.Counters.Failed, web.Counters.Failures, web.Counters.Restarts = 4, 1, 2
	s.Monitors[1].Verdict, s.Monitors[1].Detail = api.TimedOut, "no answer within 10s"
	s.Monitors[2].State, s.Monitors[2].Verdict = api.MonitorSuspended, api.NotYet
	s.Groups[0].Resources[1].State, s.Groups[0].Resources[1].PID = api.StartFailed, 0
	s.Groups[0].Resources[1].Detail = "start script ended with exit status 1"
	s.Protection.State, s.Protection.Backstop = api.Lesser, nil
	s.Protection.Summary = "Armed, without a backstop: a stall of user space is ended after 90 s; a dead kernel is not."
	s.Stall.Beats[1].AgeMS, s.Stall.Beats[1].Fresh = ms(91*time.Second), false
	s.Limiter.Count, s.Limiter.Exhausted = 3, true
	s.Suppression = api.Suppression{Limiter: true, Reasons: []string{"3 machine-level actions without an hour of calm between: no more are taken."}}
	s.Problems = []api.Problem{
		{Level: api.LevelCritical, Subject: "", Text: "The limit of machine-level actions is reached: shisa observes only.", Mend: "mend the cause, then: shisa limiter reset"},
		{Level: api.LevelError, Subject: "monitor/web", Text: "Monitor web found a failure: connection refused.", Mend: "shisa why web"},
		{Level: api.LevelWarning, Subject: "keepalive/backstop", Text: "No hardware countdown was found.", Mend: "shisa doctor"},
	}
	return s
}

// Events is a short history, oldest first.
func Events() []event.Event {
	events := []event.Event{
		event.ServiceStarted.New("", "version", "0.1.0", "mode", "protect", "config", "/etc/shisa/shisa.toml"),
		event.KeepaliveArmed.New("keepalive/primary", "role", "Primary", "engine", "clpka", "timeout", "90s", "action", "reset"),
		event.MonitorFailed.New("monitor/web", "detail", "connection refused"),
		event.RecoveryRestart.New("monitor/web", "target", "Resource web", "count", "1", "limit", "3"),
		event.MonitorRecovery.New("monitor/web", "detail", "200 OK"),
		event.KeeperLost.New("", "error", "connection refused"),
	}
	for i := range events {
		e := &events[i]
		e.Seq, e.Boot = uint64(i+1), "4f5a2c3e-9c4b-4c62-8b9e-0d7f1a2b3c4d"
		e.Time = ago(time.Duration(len(events)-i) * time.Minute)
		e.Uptime = 51*time.Hour - Now.Sub(e.Time)
	}
	return events
}

// WhyBoot explains a reset by the countdown.
func WhyBoot() api.Why {
	down, up := ago(51*time.Hour), ago(51*time.Hour-40*time.Second)
	return api.Why{
		Subject: "boot", Summary: "User space made no progress for 90 s, so the countdown reset the machine.", Events: []event.Event{},
		Boot: &why.Verdict{
			Cause: why.UserStall, Confidence: why.Certain, Subject: "beat/decide", Action: "reset", WentDown: &down, CameBack: &up,
			Boot:    "0b1c2d3e-0000-4c62-8b9e-0d7f1a2b3c4d",
			Summary: "User space made no progress for 90 s, so the countdown reset the machine.",
			Evidence: []why.Line{
				{Source: "keeper", Text: "its last words: beat decide was 90.1 s old; the countdown was not pinged any more"},
				{Source: "watchdog", Text: "/dev/watchdog0 says that it caused the last boot"},
				{Source: "shisa's journal", Text: "armed at the time: clpka, 90 s, reset; no orderly end is recorded"},
			},
			Mend: "look at what ran away before 06:29: shisa events --since 2026-11-21T06:00",
		},
	}
}

// WhyMonitor explains a failed monitor.
func WhyMonitor() api.Why {
	return api.Why{
		Subject: "monitor/web", Summary: "Monitor web (http) is failed: connection refused. Last decision: restart, because tolerated failures are used up.",
		Monitor: &api.MonitorWhy{
			Status: Troubled().Monitors[0],
			Probes: []api.Probe{
				{At: ago(95 * time.Second), TookMS: ms(11 * time.Millisecond), Verdict: api.OK, Detail: "200 OK", Log: []string{"GET http://127.0.0.1:8080/health", "200 OK, 17 bytes"}},
				{At: ago(65 * time.Second), TookMS: ms(400 * time.Microsecond), Verdict: api.Failed, Detail: "connection refused", Log: []string{"GET http://127.0.0.1:8080/health", "dial tcp 127.0.0.1:8080: connection refused"}},
			},
			Decisions: []api.Decision{
				{At: ago(65 * time.Second), Action: "none", Reason: "failure 1 of 2 that are tolerated"},
				{At: ago(5 * time.Second), Action: "restart", Count: 1, Limit: 3, Reason: "tolerated failures are used up", Outcome: "done"},
			},
		},
		Events: Events()[2:5],
	}
}

// Doctor is what a machine with a gap offers.
func Doctor() api.Doctor {
	return api.Doctor{Server: "shop1", Kernel: "6.12.57", OS: "Debian GNU/Linux 13", Level: api.LevelWarning, Checks: []api.Check{
		{Area: "countdown", Name: "softdog", Level: api.LevelOK, Text: "loadable module for this kernel"},
		{Area: "countdown", Name: "/dev/watchdog0", Level: api.LevelWarning, Text: "held by systemd (RuntimeWatchdogSec)", Mend: "set RuntimeWatchdogSec=0 in /etc/systemd/system.conf"},
		{Area: "kernel", Name: "pidfd", Level: api.LevelOK, Text: "available"},
	}}
}

// Plan is a small change.
func Plan() api.Plan {
	return api.Plan{Source: "/etc/shisa/shisa.toml", Mistakes: []api.Mistake{}, Summary: "1 monitor starts, 1 changes",
		Changes: []api.Change{{Do: "start", Subject: "monitor/mail", Detail: "tcp"}, {Do: "change", Subject: "monitor/web", Detail: "interval 30s → 10s"}}}
}
