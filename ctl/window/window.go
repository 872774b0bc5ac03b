// Package window reads calendar windows: spans of local time in which
// something may, or must not, happen. A window is one line of text:
//
//	daily 02:00-04:00                            every day
//	mon-fri,sun 22:00-06:00                      past midnight: it belongs to the day on which it begins
//	2nd tue 20:00-24:00                          once a month; also 1st, 3rd, 4th, 5th and last
//	2026-12-24 18:00 to 2026-12-27 06:00         once
//
// The package is pure: the time comes with every question, in the zone in which
// the window is meant. Where a change to or from summer time skips or repeats a
// wall clock time, package time's rules hold.
package window

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Window is a span of calendar time. The zero Window is never open.
type Window struct {
	text       string
	days       [7]bool       // on which it begins, by time.Weekday
	nth        int           // of that weekday in the month; 0 each, -1 the last
	from, till time.Duration // since midnight of that day; till may lie on the next
	begin, end civil         // of one that occurs once
	once       bool
}

// A civil is a time by the wall clock, in whichever zone is asked for.
type civil struct {
	year           int
	month          time.Month
	day, hour, min int
}

func (c civil) in(l *time.Location) time.Time {
	return time.Date(c.year, c.month, c.day, c.hour, c.min, 0, 0, l)
}

// String returns the text that the window was read from.
func (w Window) String() string { return w.text }

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

var ordinals = map[string]int{"1st": 1, "2nd": 2, "3rd": 3, "4th": 4, "5th": 5, "last": -1}

// errForm says what a window looks like.
var errForm = errors.New(`want "daily 02:00-04:00", "mon-fri 22:00-06:00", "2nd tue 20:00-24:00" or "2026-12-24 18:00 to 2026-12-27 06:00"`)

// Parse reads a window.
func Parse(text string) (Window, error) {
	w, err := parse(strings.Fields(strings.ToLower(text)))
	if err != nil {
		return Window{}, fmt.Errorf("%q is no window: %w", text, err)
	}
	w.text = text
	return w, nil
}

func parse(words []string) (Window, error) {
	if len(words) == 5 && words[2] == "to" {
		return parseOnce(words)
	}
	w := Window{}
	if len(words) == 3 {
		nth, ok := ordinals[words[0]]
		if !ok {
			return w, errForm
		}
		w.nth, words = nth, words[1:]
	}
	if len(words) != 2 {
		return w, errForm
	}
	if err := w.parseDays(words[0]); err != nil {
		return w, err
	}
	return w, w.parseSpan(words[1])
}

func parseOnce(words []string) (Window, error) {
	const form = "2006-01-02 15:04"
	begin, err := time.Parse(form, words[0]+" "+words[1])
	if err != nil {
		return Window{}, errForm
	}
	end, err := time.Parse(form, words[3]+" "+words[4])
	if err != nil {
		return Window{}, errForm
	}
	if !end.After(begin) {
		return Window{}, errors.New("it ends before it begins")
	}
	return Window{once: true, begin: civilOf(begin), end: civilOf(end)}, nil
}

func civilOf(t time.Time) civil {
	return civil{t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute()}
}

// parseDays reads "daily", or days and ranges of days with commas between.
func (w *Window) parseDays(text string) error {
	if text == "daily" {
		text = "sun-sat"
	}
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, b := slices.Index(weekdays, first), slices.Index(weekdays, last)
		if a < 0 || b < 0 {
			return fmt.Errorf("%q is no day: want daily, or days such as mon, mon-fri, sat,sun", part)
		}
		w.days[a] = true
		for a != b { // fri-mon goes round the end of the week
			a = (a + 1) % len(weekdays)
			w.days[a] = true
		}
	}
	return nil
}

// parseSpan reads "22:00-06:00".
func (w *Window) parseSpan(text string) error {
	from, till, ok := strings.Cut(text, "-")
	if !ok {
		return errForm
	}
	var err error
	if w.from, err = clock(from); err != nil {
		return err
	}
	if w.till, err = clock(till); err != nil {
		return err
	}
	switch {
	case w.from == 24*time.Hour:
		return errors.New("24:00 is an end, not a beginning: write 00:00 of the next day")
	case w.from == w.till:
		return errors.New("it ends when it begins: write 00:00-24:00 for a whole day")
	case w.till < w.from:
		w.till += 24 * time.Hour
	}
	return nil
}

func clock(text string) (time.Duration, error) {
	hour, minute, ok := strings.Cut(text, ":")
	h, herr := strconv.ParseUint(hour, 10, 8)
	m, merr := strconv.ParseUint(minute, 10, 8)
	if !ok || herr != nil || merr != nil || len(minute) != 2 || len(hour) > 2 || m > 59 || h > 24 || h == 24 && m > 0 {
		return 0, fmt.Errorf("%q is no time of day: want HH:MM", text)
	}
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute, nil
}

// span returns the window that begins on the day of t, if one does.
func (w Window) span(t time.Time) (begin, end time.Time, ok bool) {
	y, m, d := t.Date()
	if !w.days[t.Weekday()] || w.nth > 0 && (d-1)/7+1 != w.nth {
		return begin, end, false
	}
	if w.nth < 0 && time.Date(y, m, d+7, 12, 0, 0, 0, time.UTC).Month() == m {
		return begin, end, false
	}
	at := func(since time.Duration) time.Time {
		return time.Date(y, m, d, 0, int(since/time.Minute), 0, 0, t.Location())
	}
	return at(w.from), at(w.till), true
}

// Open reports whether w is open at t, in the zone of t. A window is open from
// its first moment, and closed again from its last.
func (w Window) Open(t time.Time) bool {
	if w.once {
		return !t.Before(w.begin.in(t.Location())) && t.Before(w.end.in(t.Location()))
	}
	for back := range 2 { // one that began yesterday may last until today
		begin, end, ok := w.span(noon(t, -back))
		if ok && !t.Before(begin) && t.Before(end) {
			return true
		}
	}
	return false
}

// noon returns noon of the day that is days after that of t: a time that every
// day of every zone has.
func noon(t time.Time, days int) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d+days, 12, 0, 0, 0, t.Location())
}

// horizon is how many days ahead Next looks: the fifth weekday of a month may
// be away for three months.
const horizon = 130

// Next returns the next time after t at which w opens or closes, and false
// when it never does again.
func (w Window) Next(t time.Time) (time.Time, bool) {
	if w.once {
		for _, c := range []civil{w.begin, w.end} {
			if at := c.in(t.Location()); at.After(t) {
				return at, true
			}
		}
		return time.Time{}, false
	}
	var best time.Time
	for day := -1; day <= horizon; day++ {
		begin, end, ok := w.span(noon(t, day))
		if !ok {
			continue
		}
		for _, at := range []time.Time{begin, end} {
			if at.After(t) && (best.IsZero() || at.Before(best)) {
				best = at
			}
		}
		if !best.IsZero() {
			return best, true
		}
	}
	return best, false
}

// A Set is a list of windows that is open when one of them is.
type Set []Window

// ParseAll reads a list of windows.
func ParseAll(texts []string) (Set, error) {
	var s Set
	for _, text := range texts {
		w, err := Parse(text)
		if err != nil {
			return nil, err
		}
		s = append(s, w)
	}
	return s, nil
}

// Open returns the first window that is open at t, and false when none is.
func (s Set) Open(t time.Time) (Window, bool) {
	i := slices.IndexFunc(s, func(w Window) bool { return w.Open(t) })
	if i < 0 {
		return Window{}, false
	}
	return s[i], true
}

// Next returns the next time after t at which one of the windows opens or
// closes, and false when none ever does.
func (s Set) Next(t time.Time) (time.Time, bool) {
	var best time.Time
	for _, w := range s {
		if at, ok := w.Next(t); ok && (best.IsZero() || at.Before(best)) {
			best = at
		}
	}
	return best, !best.IsZero()
}
