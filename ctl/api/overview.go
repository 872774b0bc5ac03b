package api

import "time"

// An Overview is a Status that carries of each monitor only what a table shows:
// a fifth of the bytes where there are thousands. It decodes into a Status.
type Overview struct {
	Status
	Monitors []MonitorLine `json:"monitors"`
}

// A MonitorLine is what a table shows of a Monitor, under the same keys.
type MonitorLine struct {
	Name     string       `json:"name"`
	Type     string       `json:"type"`
	Alias    string       `json:"alias,omitempty"`
	Comment  string       `json:"comment,omitempty"`
	State    MonitorState `json:"state"`
	Verdict  Verdict      `json:"verdict"`
	Since    time.Time    `json:"since"`
	Detail   string       `json:"detail,omitempty"`
	Counters *Counters    `json:"counters,omitempty"` // null: recovery has not begun
}

// Overview returns what tables show of s.
func (s Status) Overview() Overview {
	o := Overview{Status: s, Monitors: make([]MonitorLine, len(s.Monitors))}
	o.Status.Monitors = nil // hidden by those of o
	for i := range s.Monitors {
		m := &s.Monitors[i]
		l := MonitorLine{Name: m.Name, Type: m.Type, Alias: m.Alias, Comment: m.Comment,
			State: m.State, Verdict: m.Verdict, Since: m.Since, Detail: m.Detail}
		if m.Counters.begun() {
			l.Counters = &m.Counters
		}
		o.Monitors[i] = l
	}
	return o
}

// begun reports whether anything has come of failures that counts at present.
func (c Counters) begun() bool {
	return c.Failures > 0 || c.Scripts > 0 || c.Restarts > 0 || c.Exhausted
}
