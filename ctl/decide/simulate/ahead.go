package simulate

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/decide"
	"shisa/ctl/recovery"
)

// A Look is a probe that was recorded.
type Look struct {
	Monitor string
	At      time.Time
	Outcome string // as a history writes it: "ok", "failed", …
	Detail  string
}

// Recorded writes a history from looks that were recorded, in order of time, to
// be read by [Parse]: everything ran already, and then came these.
func Recorded(looks []Look) string {
	var b strings.Builder
	if len(looks) > 0 {
		fmt.Fprintf(&b, "clock %s\n", looks[0].At.Format("2006-01-02 15:04:05"))
	}
	b.WriteString("0s boot clean\n")
	var last time.Duration
	for _, l := range looks {
		at := max(last, l.At.Sub(looks[0].At).Round(time.Millisecond))
		fmt.Fprintf(&b, "%s probe %s %s", at, l.Monitor, l.Outcome)
		if l.Detail != "" && l.Detail != l.Outcome {
			b.WriteString(" " + strconv.Quote(l.Detail))
		}
		b.WriteByte('\n')
		last = at
	}
	return b.String()
}

// Bounds of Ahead: how many failing probes it plays, and how many in a row
// that lead to nothing new end it.
const (
	aheadProbes = 2000
	aheadQuiet  = 4
)

// Ahead plays what follows if the target of a monitor, whose recovery stands
// at from, fails every probe from now on, while everything else works. wall is
// the calendar now. It returns nothing when model has no such monitor.
func Ahead(model *config.Model, monitor string, from recovery.State, wall time.Time) Record {
	p := newPlayer(model)
	view, ok := p.Machine.Monitor(monitor)
	if !ok {
		return nil
	}
	timing := timingOf(model, monitor)
	p.Input(decide.Clock{Wall: wall})
	p.Input(everythingRuns(model, monitor, from))
	p.Run(0)
	p.record = nil
	p.note(State, "monitor/"+monitor, "monitor %s", state(decide.MonitorView{Name: view.Name, Health: decide.Broken, Probing: true, Recovery: from}))
	quiet := 0
	for n := 0; n < aheadProbes && quiet < aheadQuiet; n++ {
		before := len(p.record)
		if p.Probing(monitor) {
			p.Input(decide.Probed{Monitor: monitor, Outcome: recovery.Failed, Detail: "it goes on failing"})
		}
		p.Run(0)
		if p.again { // it was asked to look at once
			p.again = false
			continue
		}
		p.Run(timing)
		if quiet++; len(p.record) > before {
			quiet = 0
		} else if wake, ok := p.Machine.Wake(); ok && p.comes() {
			quiet = 0
			p.Run(max(0, wake-p.Now)) // nothing happens until then
		}
	}
	return p.record
}

// comes reports whether something is still to come by itself.
func (p *player) comes() bool {
	v := p.Machine.View()
	for _, m := range v.Monitors {
		if m.RestartAt > 0 {
			return true
		}
	}
	return len(v.Waiting) > 0
}

func timingOf(model *config.Model, monitor string) time.Duration {
	for _, m := range model.Monitors {
		if m.Name == monitor {
			return m.Timing.Interval
		}
	}
	return 0
}

// everythingRuns is a start of the daemon alone, in the midst of everything.
func everythingRuns(model *config.Model, monitor string, from recovery.State) decide.Boot {
	d := decide.Durable{Groups: map[string]bool{}, Recovery: map[string]recovery.State{monitor: from}}
	for _, g := range model.Groups {
		d.Groups[g.Name] = true
	}
	for _, r := range model.Resources {
		d.Online = append(d.Online, r.Name)
	}
	return decide.Boot{Clean: true, Adopt: true, Durable: d}
}
