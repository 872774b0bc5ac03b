package simulate

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/decide"
	"shisa/ctl/recovery"
)

// A Kind says what an entry of a record is.
type Kind string

// Kinds of entries.
const (
	Input    Kind = "input"    // something happened
	Decision Kind = "decision" // what was decided about a monitor
	Command  Kind = "command"  // what is done
	Ended    Kind = "ended"    // what was done has failed, or succeeded after some time
	Event    Kind = "event"    // what is announced
	State    Kind = "state"    // what there is at the end
)

// signs begin the lines of each kind in the text form.
var signs = map[Kind]string{Input: ">", Decision: "=", Command: "!", Ended: "<", Event: "·", State: "@"}

// An Entry is one line of a record.
type Entry struct {
	AtMS    int64  `json:"at_ms"` // since the start
	Kind    Kind   `json:"kind"`
	Subject string `json:"subject,omitempty"` // monitor/NAME and so on
	Action  string `json:"action,omitempty"`  // of a decision
	Count   int    `json:"count,omitempty"`   // of it: which of how many
	Limit   int    `json:"limit,omitempty"`   //
	Reason  string `json:"reason,omitempty"`  // of it
	Code    string `json:"code,omitempty"`    // of an event
	Text    string `json:"text"`              // for people
}

// String returns the line of the text form.
func (e Entry) String() string {
	at := time.Duration(e.AtMS) * time.Millisecond
	return fmt.Sprintf("%9s %s %s", at, signs[e.Kind], e.Text)
}

// A Record is what a history made the machine decide.
type Record []Entry

// WriteText writes r for people, an entry a line.
func (r Record) WriteText(w io.Writer) error {
	b := bufio.NewWriter(w)
	for _, e := range r {
		fmt.Fprintln(b, e)
	}
	return b.Flush()
}

// A player carries out a history and writes the record.
type player struct {
	*World
	record Record
	last   map[string]recovery.Decision // by monitor
	repeat map[string]string            // what was noted last of a monitor that is not probed
	began  map[string]time.Duration     // operations under way
	again  bool                         // a probe was asked for
	forbid string                       // what the blockers said last
}

func newPlayer(model *config.Model) *player {
	p := &player{World: NewWorld(model), last: map[string]recovery.Decision{}, repeat: map[string]string{}, began: map[string]time.Duration{}}
	p.See, p.World.Ended = p.command, p.ended
	return p
}

// Run plays h to a machine for model and returns what it decided. A decision
// that says the same as the one before, and does nothing, is left out.
func Run(model *config.Model, h History) Record {
	p := newPlayer(model)
	for _, s := range h.steps {
		p.Run(s.at - p.Now)
		p.step(s)
		p.Run(0)
	}
	p.state()
	return p.record
}

func (p *player) note(k Kind, subject, format string, args ...any) *Entry {
	p.record = append(p.record, Entry{AtMS: p.Now.Milliseconds(), Kind: k, Subject: subject, Text: fmt.Sprintf(format, args...)})
	return &p.record[len(p.record)-1]
}

func (p *player) step(s step) {
	subject := ""
	if s.probe != "" {
		subject = "monitor/" + s.probe
	}
	if s.probe != "" && !p.Probing(s.probe) {
		if p.repeat[s.probe] != s.text {
			p.repeat[s.probe] = s.text
			p.note(Input, subject, "%s (left out: it is not probed now)", s.text)
		}
		return
	}
	p.repeat[s.probe] = ""
	entry := len(p.record)
	p.note(Input, subject, "%s", s.text)
	if s.world != nil {
		s.world(p.World)
		return
	}
	p.Input(s.input)
	if s.probe != "" && len(p.record) == entry+1 {
		p.record = p.record[:entry] // it changed nothing and decided nothing new
	}
}

const askBlockers = "ask the blockers"

// command notes what the machine answers.
func (p *player) command(c decide.Command) {
	if op, what := Operation(c); op != 0 {
		p.began[what] = p.Now
		subject := ""
		if _, name, ok := strings.Cut(what, " "); ok && (strings.HasPrefix(what, "start ") || strings.HasPrefix(what, "stop ")) {
			subject = "resource/" + name
		}
		p.note(Command, subject, "%s", cmp.Or(map[string]string{"blockers": askBlockers}[what], what))
		return
	}
	switch c := c.(type) {
	case decide.Probe:
		p.again = true
		p.note(Command, "monitor/"+c.Monitor, "look at %s once more", c.Monitor)
	case decide.Decided:
		p.decided(c)
	case decide.Emit:
		e := p.note(Event, c.Event.Subject, "%s: %s", c.Event.Code, c.Event.Text)
		e.Code = c.Event.Code
	case decide.Guard:
		p.note(Command, "", "guard the shutdown: %s", c.Reason)
	case decide.StretchProbes:
		p.note(Command, "", "multiply the timeouts of probes by %d", c.Ratio)
	case decide.Stay:
		p.note(Command, "", "the order to take the machine down no longer holds")
	case decide.Exit:
		p.note(Command, "", "end the service")
	case decide.Swap:
		p.note(Command, "", "put the new configuration into force")
	}
}

func (p *player) decided(c decide.Decided) {
	d := c.Decision
	if p.last[c.Monitor] == d && d.Action == recovery.NoAction {
		return
	}
	p.last[c.Monitor] = d
	what := string(d.Action)
	if d.Action == recovery.NoAction {
		what = "nothing"
	}
	if d.Limit > 0 {
		what = fmt.Sprintf("%s %d of %d", what, d.Count, d.Limit)
	}
	e := p.note(Decision, "monitor/"+c.Monitor, "%s: %s, because %s", c.Monitor, what, d.Reason)
	e.Action, e.Count, e.Limit, e.Reason = string(d.Action), d.Count, d.Limit, d.Reason
}

// ended notes the end of an operation that failed or took its time.
func (p *player) ended(what, failure string) {
	took := p.Now - p.began[what]
	if what == "blockers" {
		before := p.forbid
		p.forbid = failure
		if last := len(p.record) - 1; failure != "" && failure == before && p.record[last].Text == askBlockers {
			p.record = p.record[:last] // they say the same every time
			return
		}
	}
	switch {
	case failure != "":
		p.note(Ended, "", "%s: failed: %s", what, failure)
	case took > 0:
		p.note(Ended, "", "%s: done after %s", what, took)
	}
}

// state notes what there is at the end.
func (p *player) state() {
	v := p.Machine.View()
	for _, g := range v.Groups {
		var units []string
		for _, r := range v.Resources {
			if r.Group == g.Name {
				units = append(units, r.Name+" "+string(r.State))
			}
		}
		p.note(State, "group/"+g.Name, "group %s %s (%s)", g.Name, g.State, strings.Join(units, ", "))
	}
	for _, m := range v.Monitors {
		p.note(State, "monitor/"+m.Name, "monitor %s", state(m))
	}
	for _, w := range v.Waiting {
		p.note(State, w.Subject, "%s for %s waits: %s", w.Action, w.Subject, w.Reason)
	}
	if v.Actions > 0 {
		p.note(State, "", "%d actions on the machine count against the limit", v.Actions)
	}
	for _, what := range slices.Sorted(maps.Keys(p.outstanding())) {
		p.note(State, "", "%s is under way", what)
	}
}

func (p *player) outstanding() map[string]bool {
	all := map[string]bool{}
	for _, what := range p.Outstanding() {
		all[what] = true
	}
	return all
}

// state describes a monitor in words.
func state(m decide.MonitorView) string {
	words := []string{m.Name, string(m.Health)}
	add := func(is bool, word string) {
		if is {
			words = append(words, word)
		}
	}
	add(m.Held, "suspended")
	add(!m.Probing && !m.Held, "not probed")
	add(m.Dummy, "dummy failure")
	s := m.Recovery
	add(s.Failures > 0, fmt.Sprintf("failures %d", s.Failures))
	add(s.Scripts > 0, fmt.Sprintf("scripts %d", s.Scripts))
	add(s.Restarts > 0, fmt.Sprintf("restarts %d", s.Restarts))
	add(s.Exhausted, "exhausted")
	add(m.RestartAt > 0, fmt.Sprintf("restart at %s", m.RestartAt))
	return strings.Join(words, " ")
}
