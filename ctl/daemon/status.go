package daemon

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/api"
	"shisa/ctl/config"
	"shisa/ctl/decide"
)

// Status returns a snapshot.
func (d *Daemon) Status(context.Context) (api.Status, error) {
	d.mu.Lock()
	view, model, applied, hash := d.machine.View(), d.model, d.applied, d.hash
	d.mu.Unlock()
	now := time.Now()
	guard := d.parts.Guard.View()
	s := api.Status{
		Version: d.parts.Version, Server: d.serverName(), Mode: string(model.Mode), At: now,
		Since: d.since, UptimeMS: api.Millis(now.Sub(d.since)), Boot: bootOf(now),
		Config:     api.Config{Source: model.Source, Applied: applied, Hash: hash()},
		Protection: guard.Protection, Stall: guard.Stall, Shutdown: guard.Shutdown,
		Limiter: api.Limiter{Enabled: model.Limiter.Enabled, Count: view.Actions, Max: model.Limiter.Max,
			CalmMS: api.Millis(model.Limiter.Calm), Exhausted: model.Limiter.Enabled && view.Actions >= model.Limiter.Max},
		Stretch:  d.stretched.view(),
		Store:    d.storeStatus(),
		Groups:   []api.Group{},
		Monitors: make([]api.Monitor, 0, len(view.Monitors)),
		Problems: []api.Problem{},
		LastBoot: d.parts.Reason,
	}
	s.Suppression = d.suppression(model, view, s)
	s.Groups = d.groups(model, view)
	states := d.sched.States()
	for i, v := range view.Monitors {
		s.Monitors = append(s.Monitors, d.monitor(model.Monitors[i], v, states[v.Name].Next))
	}
	s.Problems = problems(&s)
	s.Level = api.LevelOK
	if len(s.Problems) > 0 {
		s.Level = s.Problems[0].Level
	}
	return s, nil
}

// bootOf describes the running kernel.
func bootOf(now time.Time) api.Boot {
	b := api.Boot{}
	if id, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		b.ID = strings.TrimSpace(string(id))
	}
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) == nil {
		b.UptimeMS = api.Millis(ts.Nano())
		b.Time = now.Add(-time.Duration(ts.Nano()))
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		b.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	return b
}

func (d *Daemon) storeStatus() api.Store {
	h := d.parts.Store.Health()
	s := api.Store{Dir: h.Dir, JournalBytes: h.JournalBytes, HistoryBytes: h.HistoryBytes, Events: h.LastSeq, Dropped: h.Dropped}
	if h.JournalError != nil {
		s.JournalError = h.JournalError.Error()
	}
	if h.HistoryError != nil {
		s.HistoryError = h.HistoryError.Error()
	}
	return s
}

func (d *Daemon) suppression(m *config.Model, v decide.View, s api.Status) api.Suppression {
	x := api.Suppression{Observe: m.Mode == config.Observe, Config: m.Server.RecoverySuppress, Rescue: v.Rescue,
		Limiter: s.Limiter.Exhausted, Store: s.Store.JournalError != "", Suspended: v.Held, Reasons: []string{}}
	add := func(is bool, text string) {
		if is {
			x.Reasons = append(x.Reasons, text)
		}
	}
	d.mu.Lock()
	brake := d.brake
	d.mu.Unlock()
	add(brake != "", "Observing is forced: "+brake+".")
	add(x.Observe && brake == "", `The mode is "observe": decisions are announced, not carried out.`)
	add(x.Config, "Recovery is suppressed for the whole server (server.suppress_recovery).")
	add(x.Rescue, "The machine is in a rescue target.")
	add(x.Limiter, fmt.Sprintf("The limit of %d machine-level actions is reached.", m.Limiter.Max))
	add(x.Store, "Reasons cannot be recorded: "+s.Store.JournalError+".")
	add(x.Suspended, "Everything is suspended by the operator.")
	add(v.Maintenance != "", "Maintenance window "+v.Maintenance+" is open.")
	for _, w := range v.Waiting {
		add(true, fmt.Sprintf("Action %s for %s waits: %s.", w.Action, w.Subject, w.Reason))
	}
	return x
}

func (d *Daemon) groups(m *config.Model, v decide.View) []api.Group {
	list := make([]api.Group, 0, len(v.Groups))
	at := map[string]int{}
	for i, g := range v.Groups {
		c := m.Groups[i]
		at[g.Name] = i
		list = append(list, api.Group{Name: g.Name, Comment: c.Comment, State: groupStates[g.State], Since: d.since.Add(g.Since),
			Auto: c.Auto, Resources: []api.Resource{}})
	}
	for _, r := range v.Resources {
		g := &list[at[r.Group]]
		one := api.Resource{Name: r.Name, Type: r.Type, Group: r.Group, Comment: r.Comment, State: resourceStates[r.State],
			Since: d.since.Add(r.Since), Detail: r.Failure}
		if pid, _, ok := (target{d, r.Name}).Process(); ok {
			one.PID = pid
		}
		if r.Failure != "" && g.Detail == "" {
			g.Detail = r.Name + ": " + r.Failure
		}
		g.Resources = append(g.Resources, one)
	}
	return list
}

var groupStates = map[decide.GroupState]api.State{
	decide.GroupOffline: api.Stopped, decide.GroupStarting: api.Starting, decide.GroupOnline: api.Started,
	decide.GroupStopping: api.Stopping, decide.GroupStartFailed: api.StartFailed, decide.GroupStopFailed: api.StopFailed,
}

var resourceStates = map[decide.ResourceState]api.State{
	decide.Offline: api.Stopped, decide.Starting: api.Starting, decide.Online: api.Started,
	decide.Stopping: api.Stopping, decide.StartFailed: api.StartFailed, decide.StopFailed: api.StopFailed,
}

func (d *Daemon) monitor(c config.Monitor, v decide.MonitorView, next time.Time) api.Monitor {
	p := c.Recovery.Policy
	m := api.Monitor{
		Name: c.Name, Type: c.Type, Alias: d.parts.Types.Monitors[c.Type].Alias, Comment: c.Comment, Target: c.Target, Recovers: c.Recovery.Target.String(),
		When: string(c.When), State: api.MonitorWaiting, Verdict: api.NotYet, Since: d.since.Add(v.Since), Detail: v.Detail,
		IntervalMS: api.Millis(c.Timing.Interval), TimeoutMS: api.Millis(c.Timing.Timeout), Dummy: v.Dummy,
		Counters: api.Counters{Failures: v.Recovery.Failures, Retry: p.Retry, Scripts: v.Recovery.Scripts, MaxScript: p.MaxScript,
			Restarts: v.Recovery.Restarts, MaxRestart: p.MaxRestart, Final: string(p.FinalAction), Exhausted: v.Recovery.Exhausted},
	}
	if h := d.past.get(c.Name); h != nil {
		h.describe(&m)
	}
	if v.Dummy && v.Probing && !v.Held {
		m.Verdict, m.Since, m.Detail = api.Failed, d.since.Add(v.Since), decide.DummyDetail // what is decided on
	}
	switch {
	case v.Held && !v.Idle: // fix 117: one whose target is stopped is stopped
		m.State = api.MonitorSuspended
	case !v.Probing:
		m.State = api.MonitorInactive
	case m.Verdict != api.NotYet:
		m.State = api.MonitorProbing
	}
	if v.Probing {
		m.NextProbe = next
	}
	return m
}

func (h *history) describe(m *api.Monitor) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m.Verdict, m.Since, m.LastProbe = h.verdict, h.since, h.last
	m.TookMS, m.MaxTookMS = api.Millis(h.took), api.Millis(h.max)
	m.Counters.Probes, m.Counters.Failed, m.Counters.TimedOut, m.Counters.Blind = h.count, h.failed, h.timedOut, h.blind
	if last := h.probes.last(); last != nil {
		m.Detail = last.Detail
	}
}

// problems lists what the operator should know at once, worst first.
func problems(s *api.Status) []api.Problem {
	all := []api.Problem{}
	add := func(is bool, l api.Level, subject, text, mend string) {
		if is {
			all = append(all, api.Problem{Level: l, Subject: subject, Text: text, Mend: mend})
		}
	}
	add(s.Protection.State == api.Unprotected, api.LevelCritical, "keepalive", s.Protection.Summary, "shisa doctor")
	add(s.Protection.State == api.Lesser, api.LevelWarning, "keepalive", s.Protection.Summary, "shisa doctor")
	add(s.Limiter.Exhausted, api.LevelCritical, "limiter", "The limit of machine-level actions is reached: none is taken any more.", "shisa limiter reset")
	add(s.Store.JournalError != "", api.LevelError, "store", "State cannot be written: "+s.Store.JournalError, "free space on, or remount, "+s.Store.Dir)
	add(s.Store.HistoryError != "", api.LevelWarning, "store", "History is not kept: "+s.Store.HistoryError, "")
	add(s.Suppression.Suspended, api.LevelWarning, "", "Everything is suspended.", "shisa resume")
	for _, g := range s.Groups {
		add(g.State == api.StartFailed || g.State == api.StopFailed, api.LevelError, "group/"+g.Name, "Group "+g.Name+" is "+string(g.State)+": "+g.Detail, "shisa why group/"+g.Name)
	}
	for i := range s.Monitors {
		m := &s.Monitors[i]
		if !m.Dummy && (m.Verdict == api.OK || m.Verdict == api.NotYet) {
			continue // most of them, which may be thousands
		}
		subject := "monitor/" + m.Name
		add(!m.Dummy && (m.Verdict == api.Failed || m.Verdict == api.TimedOut), api.LevelError, subject, "Monitor "+m.Name+": "+m.Detail, "shisa why "+m.Name)
		add(m.Verdict == api.CouldNotLook, api.LevelWarning, subject, "Monitor "+m.Name+" cannot look: "+m.Detail, "shisa why "+m.Name)
		add(m.Verdict == api.Warning, api.LevelWarning, subject, "Monitor "+m.Name+" warns: "+m.Detail, "")
		add(m.Dummy, api.LevelWarning, subject, "Monitor "+m.Name+" simulates a failure.", "shisa monitor unfail "+m.Name)
	}
	slices.SortStableFunc(all, func(a, b api.Problem) int { return cmp.Compare(rank(b.Level), rank(a.Level)) })
	return all
}

func rank(l api.Level) int {
	return slices.Index([]api.Level{api.LevelOK, api.LevelWarning, api.LevelError, api.LevelCritical}, l)
}
