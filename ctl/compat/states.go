package compat

import (
	"slices"

	"shisa/ctl/api"
)

// nowhere is where a group is that does not run.
const nowhere = "None"

// online is the state of this server: it answers. Entry points of containers
// wait for just this word, so that a missing countdown shows on its own line
// alone.
const online = "Online"

var groupStates = map[api.State]string{
	api.Stopped: "Offline", api.Starting: "Online Pending", api.Started: "Online", api.Stopping: "Offline Pending",
	api.StartFailed: "Error", api.StopFailed: "Error",
}

func groupState(g api.Group) string { return groupStates[g.State] }

var resourceStates = map[api.State]string{
	api.Stopped: "Offline", api.Starting: "Online Pending", api.Started: "Online", api.Stopping: "Offline Pending",
	api.StartFailed: "Online Failure", api.StopFailed: "Offline Failure",
}

func resourceState(r api.Resource) string { return resourceStates[r.State] }

// current is the server on which a group runs.
func current(s api.Status, g api.Group) string {
	if g.State == api.Stopped {
		return nowhere
	}
	return s.Server
}

// monitorState is the state of a monitor. Failures that are still tolerated do
// not show, as in the original.
func monitorState(m api.Monitor) string {
	switch {
	case m.State == api.MonitorSuspended:
		return "Suspend"
	case m.State == api.MonitorBroken:
		return "Error"
	case m.State == api.MonitorInactive:
		return "Offline"
	}
	switch m.Verdict {
	case api.OK:
		return "Normal"
	case api.Warning, api.CouldNotLook:
		return "Caution"
	case api.Failed, api.TimedOut:
		n := m.Counters
		if n.Failures > n.Retry || n.Scripts > 0 || n.Restarts > 0 || n.Exhausted {
			return "Error"
		}
		return "Normal"
	case api.NotYet:
	}
	return "Unknown"
}

// probeState is the state of a monitor on this server.
func probeState(m api.Monitor) string {
	switch monitorState(m) {
	case "Suspend":
		return "Suspend"
	case "Offline":
		return "Offline"
	case "Unknown":
		return "Online Pending"
	case "Caution":
		return "Caution"
	case "Error":
		return "Online Failure"
	}
	return "Online"
}

// mark is a state in one letter.
func mark(state string) string {
	switch state {
	case "Online", "Normal":
		return "o"
	case "Online Pending", "Offline Pending":
		return "p"
	case "Caution":
		return "c"
	case "Offline", "Unused":
		return "-"
	case "Unknown":
		return "u"
	}
	return "x"
}

// A heartbeat is a line below the server. The original's servers watched each
// other by them; what watches this one is its countdown.
type heartbeat struct{ name, state, comment string }

func heartbeats(s api.Status) []heartbeat {
	var all []heartbeat
	for _, e := range []*api.Engine{s.Protection.Primary, s.Protection.Backstop} {
		if e == nil {
			continue
		}
		h := heartbeat{e.Driver, "Normal", "Countdown (" + e.Role + ")"}
		switch {
		case e.Error != "":
			h.state = "Error"
		case !e.Armed:
			h.state = "Unused"
		}
		all = append(all, h)
	}
	if len(all) == 0 {
		h := heartbeat{"keepalive", "Unused", "Countdown"}
		if s.Protection.State == api.Unprotected {
			h.state = "Error"
		}
		all = append(all, h)
	}
	return all
}

// stallAlias is the original's name of the monitor of user space.
const stallAlias = "userw"

// monitors lists the monitors with that of user space at the end, which the
// original had among them, if none is configured as such.
func monitors(s api.Status) []api.Monitor {
	if w, implied := impliedMonitor(s); implied {
		return append(slices.Clip(s.Monitors), w)
	}
	return s.Monitors
}

// impliedMonitor is the monitor of user space where it works without one that is
// configured to show it.
func impliedMonitor(s api.Status) (w api.Monitor, implied bool) {
	if !s.Stall.Enabled || slices.ContainsFunc(s.Monitors, func(m api.Monitor) bool { return m.Alias == stallAlias || m.Name == stallAlias }) {
		return w, false
	}
	w = api.Monitor{Name: stallAlias, Type: "stall", Alias: stallAlias, State: api.MonitorProbing, Verdict: api.OK,
		IntervalMS: s.Stall.IntervalMS, TimeoutMS: s.Stall.TimeoutMS}
	if s.Suppression.Suspended {
		w.State = api.MonitorSuspended
	}
	for _, b := range s.Stall.Beats {
		if !b.Fresh {
			w.Verdict, w.Counters.Exhausted = api.Failed, true
		}
	}
	return w, true
}
