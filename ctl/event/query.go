package event

import (
	"slices"
	"strings"
	"time"
)

// Limits on the events that one query returns.
const (
	DefaultEvents = 100
	MaxEvents     = 10000
)

// A Query selects events. The zero Query selects the latest DefaultEvents.
type Query struct {
	After    uint64    // only events with a greater sequence number
	Since    time.Time // only events at or after this time; zero: all
	Limit    int       // at most so many, the latest; 0: DefaultEvents, at most MaxEvents
	Codes    []string  // any of these; empty: all
	Severity Severity  // at least this
	Subjects []string  // any of these, "monitor/web", or "monitor" for all monitors; empty: all
}

// Bound returns the number of events that q may return.
func (q Query) Bound() int {
	if q.Limit <= 0 {
		return DefaultEvents
	}
	return min(q.Limit, MaxEvents)
}

// Matches reports whether q selects e, apart from its Limit.
func (q Query) Matches(e Event) bool {
	switch {
	case q.After > 0 && e.Seq <= q.After,
		e.Severity < q.Severity,
		!q.Since.IsZero() && e.Time.Before(q.Since),
		len(q.Codes) > 0 && !slices.Contains(q.Codes, e.Code):
		return false
	}
	return len(q.Subjects) == 0 || slices.ContainsFunc(q.Subjects, func(s string) bool {
		return e.Subject == s || strings.HasPrefix(e.Subject, s+"/")
	})
}
