package simulate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/recovery"
	"shisa/ctl/window"
)

// invariants returns what does not hold of a record, whatever the history was.
// Nobody reads 700 cases again after each change: these do.
func invariants(m *config.Model, r Record) []string {
	j := &judge{model: m, running: map[string]bool{}, failing: map[string]bool{}, steps: map[string]map[string]int{}}
	for _, e := range r {
		j.entry(e)
	}
	return j.wrong
}

type judge struct {
	model    *config.Model // in force
	next     *config.Model // was given and waits for its turn
	wrong    []string
	running  map[string]bool           // resources
	failing  map[string]bool           // monitors that were announced as failed
	steps    map[string]map[string]int // taken by each monitor since it was healthy
	wall     time.Time                 // at 0s
	looked   bool                      // one more look was asked for, or a resource failed for good
	asked    bool                      // the operator asked to take the machine down
	acted    int
	before   int  // actions of earlier boots
	forgiven bool // the limit was reset
	loose    bool // some counts may have begun anew, nobody knows which
}

func (j *judge) fault(e Entry, format string, args ...any) {
	j.wrong = append(j.wrong, fmt.Sprintf("%s: ", e)+fmt.Sprintf(format, args...))
}

func (j *judge) entry(e Entry) {
	words := strings.Fields(e.Text)
	switch e.Kind {
	case Input:
		j.input(e, words)
	case Decision:
		j.decision(e)
	case Command:
		j.command(e, words)
	case Event:
		j.event(e)
	case Ended, State:
	}
}

func (j *judge) input(e Entry, words []string) {
	switch {
	case strings.HasSuffix(e.Text, "(left out: it is not probed now)"):
	case words[0] == "clock":
		j.wall, _ = time.Parse("2006-01-02 15:04:05", words[1]+" "+words[2])
	case words[0] == "boot":
		if i := slices.Index(words, "actions"); i >= 0 {
			_, _ = fmt.Sscan(words[i+1], &j.before)
		}
	case e.Text == "reset limiter":
		j.forgiven = true
	case words[0] == "reset":
		clear(j.steps)
	case words[0] == "start":
		j.loose = true // what the operator starts anew begins anew
		clear(j.failing)
	case words[0] == "service":
		j.asked = true
	case words[0] == "reload":
		m := *j.model
		if j.next != nil {
			m = *j.next
		}
		reloads[words[1]](&m)
		j.next = &m
	case words[0] == "probe" && (words[2] == "ok" || words[2] == "warning"):
		delete(j.steps, words[1])
	}
}

// decision: each has a reason, and no monitor takes more steps than it may.
func (j *judge) decision(e Entry) {
	if e.Reason == "" {
		j.fault(e, "no reason")
	}
	if e.Count > e.Limit {
		j.fault(e, "one too many")
	}
	name := strings.TrimPrefix(e.Subject, "monitor/")
	i := slices.IndexFunc(j.model.Monitors, func(m config.Monitor) bool { return m.Name == name })
	p := j.model.Monitors[i].Recovery.Policy
	if j.steps[name] == nil {
		j.steps[name] = map[string]int{}
	}
	done := j.steps[name]
	done[e.Action]++
	switch a := recovery.Action(e.Action); {
	case a == recovery.NoAction:
	case j.loose && (a == recovery.Script || a == recovery.Restart):
	case a == recovery.Script && done[e.Action] > p.MaxScript, a == recovery.Restart && done[e.Action] > p.MaxRestart:
		j.fault(e, "more often than is configured since the target was healthy")
	case a != recovery.Script && a != recovery.Restart && a != p.FinalAction:
		j.fault(e, "that is not configured")
	case a == recovery.Restart && done[string(recovery.Script)] < p.MaxScript:
		j.fault(e, "restarted before the scripts were run")
	}
}

func (j *judge) command(e Entry, words []string) {
	switch words[0] {
	case "put": // the new configuration into force
		j.model = j.next
	case "start":
		j.start(e, words[1])
	case "stop":
		j.running[words[1]] = false
	case "look":
		j.looked = true
	case "act":
		j.act(e)
	}
}

// start: nothing starts twice, or before what it needs.
func (j *judge) start(e Entry, name string) {
	if j.running[name] {
		j.fault(e, "it runs already")
	}
	j.running[name] = true
	i := slices.IndexFunc(j.model.Resources, func(r config.Resource) bool { return r.Name == name })
	for _, need := range j.model.Resources[i].DependsOn {
		n := slices.IndexFunc(j.model.Resources, func(r config.Resource) bool { return r.Name == need })
		if !j.running[need] && !j.model.Resources[n].StartGoOn {
			j.fault(e, "started before %s, which it needs", need)
		}
	}
}

// act: nothing happens to the machine unless it may, was looked at again, and
// was not done too often.
func (j *judge) act(e Entry) {
	m := j.model
	if m.Mode != config.Protect {
		j.fault(e, "acted while only observing")
	}
	if m.Server.RecoverySuppress && !j.asked {
		j.fault(e, "acted though recovery is suppressed")
	}
	if !j.looked && !j.asked {
		j.fault(e, "acted without looking once more")
	}
	if open, err := window.ParseAll(m.Reboot.Windows); err == nil && len(open) > 0 && !j.asked {
		if _, is := open.Open(j.wall.Add(time.Duration(e.AtMS) * time.Millisecond)); !is || j.wall.IsZero() {
			j.fault(e, "acted outside of the reboot windows")
		}
	}
}

func (j *judge) event(e Entry) {
	name := strings.TrimPrefix(e.Subject, "monitor/")
	switch e.Code {
	case "monitor-failed":
		if j.failing[name] {
			j.fault(e, "announced twice")
		}
		j.failing[name] = true
	case "monitor-recovered", "monitor-warning", "monitor-blind":
		delete(j.failing, name)
	case "resource-start-failed", "resource-stop-failed":
		j.looked = true // its action is not taken for a monitor
	case "recovery-final":
		j.final(e)
	}
	if strings.Contains(e.Text, "{") {
		j.fault(e, "the text has a hole")
	}
}

// final: the limit holds, across boots.
func (j *judge) final(e Entry) {
	for _, a := range onMachine() {
		if strings.HasPrefix(e.Text, "recovery-final: Final action "+string(a)+" ") {
			j.acted++
		}
	}
	l := j.model.Limiter
	if l.Enabled && !j.forgiven && l.Calm.Milliseconds()+10_000 > e.AtMS && j.acted+j.before > max(l.Max, j.before) {
		j.fault(e, "%d actions on the machine, %d are allowed", j.acted+j.before, l.Max)
	}
}
