package simulate

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"shisa/ctl/decide"
	"shisa/ctl/recovery"
)

// A History is what happens, in order.
type History struct{ steps []step }

// A step is one line of a history, once for each repetition.
type step struct {
	at    time.Duration
	text  string // as it was written, without the time
	input decide.Input
	probe string       // monitor that input is a probe of; empty: it is none
	world func(*World) // a change of the world instead of an input

	line      int    // of the history; 0: it stands there without words
	operation string // that world changes, such as "start web"; empty: none
}

// SizeLimit bounds the steps of a history.
const SizeLimit = 1_000_000

// By is who gives the operator's commands in a history.
const By = "the operator"

// A Problem is a mistake in a history.
type Problem struct {
	Line int
	Err  error
}

// Error returns "line 3: ...".
func (p Problem) Error() string { return fmt.Sprintf("line %d: %v", p.Line, p.Err) }

// Unwrap returns the mistake.
func (p Problem) Unwrap() error { return p.Err }

// Parse reads a history; of several mistakes it returns all, joined.
func Parse(text string) (History, error) {
	var h History
	var mistakes []error
	var now time.Duration
	n := 0
	for line := range strings.Lines(text) {
		n++
		words, err := split(line)
		if err == nil && len(words) > 0 {
			now, err = h.line(n, now, words)
		}
		if err != nil {
			mistakes = append(mistakes, Problem{n, err})
		}
	}
	if len(mistakes) == 0 && !slices.ContainsFunc(h.steps, func(s step) bool { _, boot := s.input.(decide.Boot); return boot }) {
		h.boot()
	}
	return h, errors.Join(mistakes...)
}

// boot adds a boot behind what is arranged at the very beginning.
func (h *History) boot() {
	i := slices.IndexFunc(h.steps, func(s step) bool {
		_, clock := s.input.(decide.Clock)
		return s.at > 0 || s.input != nil && !clock
	})
	if i < 0 {
		i = len(h.steps)
	}
	h.steps = slices.Insert(h.steps, i, step{text: "boot clean", input: decide.Boot{Clean: true}})
}

// split returns the words of a line; one in double quotes may hold blanks. A #
// begins a comment.
func split(line string) ([]string, error) {
	var words []string
	for line = strings.TrimSpace(line); line != "" && line[0] != '#'; line = strings.TrimLeft(line, " \t") {
		if line[0] != '"' {
			i := strings.IndexAny(line, " \t")
			if i < 0 {
				i = len(line)
			}
			words, line = append(words, line[:i]), line[i:]
			continue
		}
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil {
			return nil, errors.New("the closing quote is missing")
		}
		text, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, err
		}
		words, line = append(words, text), line[len(quoted):]
	}
	return words, nil
}

// line reads line number n and returns the time that it leaves behind.
func (h *History) line(n int, now time.Duration, words []string) (time.Duration, error) {
	if words[0] == "clock" {
		wall, err := time.Parse("2006-01-02 15:04:05", strings.Join(words[1:], " "))
		if err != nil {
			return now, errors.New("want clock YYYY-MM-DD HH:MM:SS")
		}
		h.steps = append(h.steps, step{at: now, text: strings.Join(words, " "), input: decide.Clock{Wall: wall}})
		return now, nil
	}
	at, err := when(now, words[0])
	if err != nil {
		return now, err
	}
	words = words[1:]
	times, every := 1, time.Duration(0)
	if last := len(words) - 1; last > 2 && words[last-1] == "every" {
		if times, every, err = repeat(words[last-2], words[last]); err != nil {
			return now, err
		}
		words = words[:last-2]
	}
	if len(h.steps)+times > SizeLimit {
		return now, fmt.Errorf("more than %d steps", SizeLimit)
	}
	s, err := read(words)
	if err != nil {
		return now, err
	}
	s.line = n
	for i := range times {
		s.at = at + time.Duration(i)*every
		h.steps = append(h.steps, s)
	}
	return s.at, nil
}

// longest bounds the time of a history, which keeps sums from overflowing.
const longest = 10 * 366 * 24 * time.Hour

// when reads a time, which may count from now and never lies before it.
func when(now time.Duration, text string) (time.Duration, error) {
	rest, after := strings.CutPrefix(text, "+")
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no time: want one such as 90s or 1h5m, or +10s after the line before", text)
	}
	if after {
		d += now
	}
	if d < now {
		return 0, fmt.Errorf("%v lies before the line above (%v)", d, now)
	}
	if d > longest {
		return 0, fmt.Errorf("%v is longer than %v", d, longest)
	}
	return d, nil
}

// repeat reads "x6" and "10s".
func repeat(times, every string) (int, time.Duration, error) {
	n, err := strconv.Atoi(strings.TrimPrefix(times, "x"))
	d, derr := time.ParseDuration(every)
	if err != nil || derr != nil || times[0] != 'x' || n < 1 || n > SizeLimit || d <= 0 || d > longest/time.Duration(n) {
		return 0, 0, fmt.Errorf("%s every %s: want a repetition such as x6 every 10s", times, every)
	}
	return n, d, nil
}

// errForm says that a line is none of those that there are.
func errForm(words []string, want string) error {
	return fmt.Errorf("%q: want %s", strings.Join(words, " "), want)
}

// read reads what happens.
func read(words []string) (step, error) {
	s := step{text: quote(words)}
	if len(words) == 0 {
		return s, errors.New("nothing happens: want end to let time pass")
	}
	verb, rest := words[0], words[1:]
	f := verbs[verb]
	if f == nil {
		return s, fmt.Errorf("%q is nothing that happens; there are %s", verb, strings.Join(verbNames(), ", "))
	}
	err := f(&s, verb, rest)
	return s, err
}

func quote(words []string) string {
	all := slices.Clone(words)
	for i, word := range all {
		if word == "" || strings.ContainsAny(word, " \t\"\\#") || strconv.Quote(word) != `"`+word+`"` {
			all[i] = strconv.Quote(word)
		}
	}
	return strings.Join(all, " ")
}

// Outcomes are the words for what a probe finds.
var outcomes = map[string]recovery.Input{
	"ok": recovery.Succeeded, "warning": recovery.Succeeded, "failed": recovery.Failed,
	"certain": recovery.SurelyFailed, "timeout": recovery.TimedOut, "blind": recovery.CouldNotLook,
}
