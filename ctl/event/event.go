// Package event declares what the operator must know: every event has a code,
// a severity, a title and a text, declared once in catalogue.go. Log lines,
// alerts, the history, the manual's table and the original's event numbers all
// derive from that declaration.
package event

import (
	"fmt"
	"strings"
	"time"
)

// A Severity says how urgent an event is.
type Severity int

// Severities, from least to most urgent.
const (
	Info     Severity = iota // for the record
	Warning                  // look at it during working hours
	Error                    // something does not work
	Critical                 // the machine itself is about to be acted upon, or is unprotected
)

var severityNames = [...]string{"info", "warning", "error", "critical"}

// String returns the lower-case name.
func (s Severity) String() string {
	if s < 0 || int(s) >= len(severityNames) {
		return fmt.Sprintf("severity(%d)", int(s))
	}
	return severityNames[s]
}

// MarshalText writes the name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the name.
func (s *Severity) UnmarshalText(b []byte) error {
	for i, n := range severityNames {
		if n == string(b) {
			*s = Severity(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not a severity: use one of %s", b, strings.Join(severityNames[:], ", "))
}

// A Def is the declaration of one kind of event.
type Def struct {
	Code     string   // "monitor-failed": stable, for filters and programs
	Severity Severity //
	Title    string   // short, for headings and subjects of mails
	Text     string   // one sentence; {key} is replaced by the field of that name
	Mend     string   // what the operator can do; empty when nothing is to be done
	Legacy   string   // the original's module and event number, "rm/9"; empty: none
}

// An Event is one thing that happened. The zero Event is not valid.
type Event struct {
	Seq      uint64            `json:"seq"`               // counts up within one store, never repeats, skips after a crash; 0 until stored
	Code     string            `json:"code"`              // of its Def
	Severity Severity          `json:"severity"`          // of its Def
	Time     time.Time         `json:"time"`              // wall clock, for people
	Uptime   time.Duration     `json:"uptime_ns"`         // since boot, suspended time included, for order and distance
	Boot     string            `json:"boot"`              // boot id of the kernel that it happened under
	Subject  string            `json:"subject,omitempty"` // "monitor/web", "group/db", "keepalive/primary"; empty: the server
	Text     string            `json:"text"`              // complete sentence
	Fields   map[string]string `json:"fields,omitempty"`
}

// New returns an event of kind d about subject; pairs are the keys and values
// that its text and its consumers need. Times and the sequence number are
// added by whoever publishes it.
func (d *Def) New(subject string, pairs ...string) Event {
	if len(pairs)%2 != 0 {
		panic("event: " + d.Code + ": odd number of keys and values")
	}
	e := Event{Code: d.Code, Severity: d.Severity, Subject: subject, Text: d.Text}
	if len(pairs) > 0 {
		e.Fields = make(map[string]string, len(pairs)/2)
	}
	_, name, _ := strings.Cut(subject, "/")
	replace := []string{"{subject}", subject, "{name}", name}
	for i := 0; i < len(pairs); i += 2 {
		e.Fields[pairs[i]] = pairs[i+1]
		replace = append(replace, "{"+pairs[i]+"}", pairs[i+1])
	}
	e.Text = strings.NewReplacer(replace...).Replace(d.Text)
	return e
}

var byCode = map[string]*Def{}

func define(code string, s Severity, title, text string) *Def {
	if byCode[code] != nil {
		panic("event: " + code + " declared twice")
	}
	d := &Def{Code: code, Severity: s, Title: title, Text: text}
	byCode[code] = d
	order = append(order, d)
	return d
}

var order []*Def

// All returns every declared event in order of declaration.
func All() []*Def { return order }

// Lookup returns the declaration of code, or nil.
func Lookup(code string) *Def { return byCode[code] }

// legacy names the original's module and event number.
func (d *Def) legacy(number string) *Def { d.Legacy = number; return d }

// mend says what the operator can do about it.
func (d *Def) mend(text string) *Def { d.Mend = text; return d }
