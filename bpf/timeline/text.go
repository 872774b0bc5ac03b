package timeline

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// prefix begins each stored line, so that it can be found again among others:
// in the kernel's log, in what pstore kept of it, in a file.
const prefix = "shisa-shutdown:"

// maxField bounds the names in a stored line, in bytes: longer ones are cut.
const maxField = 64

// ErrNoMark means that a line is not a stored mark.
var ErrNoMark = errors.New("not a mark of a shutdown")

// Text is the mark as one line without its end: prefix, seconds, kind, and the
// fields. Names are quoted, for they may hold any byte.
func (m Mark) Text() string {
	return fmt.Sprintf("%s %d.%06d %s %d %d %d %s %s", prefix,
		m.At/time.Second, m.At%time.Second/time.Microsecond,
		m.Kind, m.Arg, m.PID, m.From, quote(m.Name), quote(m.Driver))
}

func quote(s string) string {
	if len(s) > maxField {
		s = s[:maxField]
	}
	return strconv.QuoteToASCII(s)
}

// Parse reads a line that Text wrote, or the program in the kernel. Whatever stands before the prefix is
// ignored: the kernel puts level and time there.
func Parse(line string) (m Mark, err error) {
	at := strings.LastIndex(line, prefix+" ")
	if at < 0 {
		return m, ErrNoMark
	}
	p := fields{rest: line[at+len(prefix):]}
	if when := p.word(); strings.Contains(when, ".") {
		m.At = p.seconds(when)
		m.Kind = p.kind()
		m.Arg, m.PID, m.From = p.number(), p.number(), p.number()
	} else { // the kernel's own, from bpf/src/shutdown.bpf.c
		m.At = p.nanoseconds(when)
		m.Arg = p.number()
		m.Kind = p.kind()
	}
	m.Name, m.Driver = p.text(), p.text()
	if p.bad {
		return Mark{}, fmt.Errorf("%w: %.120q", ErrNoMark, line)
	}
	return m, nil
}

// ParseAll reads the marks among the lines of a log, and counts the lines that
// have the prefix and are damaged.
func ParseAll(log string) (marks []Mark, damaged int) {
	for line := range strings.Lines(log) {
		if !strings.Contains(line, prefix) {
			continue
		}
		m, err := Parse(strings.TrimRight(line, "\n\r"))
		if err != nil {
			damaged++
			continue
		}
		marks = append(marks, m)
	}
	return marks, damaged
}

// fields takes a line apart; bad stays true once anything was wrong.
type fields struct {
	rest string
	bad  bool
}

func (f *fields) word() string {
	f.rest = strings.TrimLeft(f.rest, " ")
	word, rest, _ := strings.Cut(f.rest, " ")
	f.rest = rest
	f.bad = f.bad || word == ""
	return word
}

func (f *fields) number() int {
	n, err := strconv.Atoi(f.word())
	f.bad = f.bad || err != nil
	return n
}

func (f *fields) nanoseconds(word string) time.Duration {
	ns, err := strconv.ParseUint(word, 10, 63)
	f.bad = f.bad || err != nil
	return time.Duration(ns).Truncate(time.Microsecond) // as Text has it
}

func (f *fields) seconds(word string) time.Duration {
	whole, micro, ok := strings.Cut(word, ".")
	s, err1 := strconv.ParseUint(whole, 10, 32)
	us, err2 := strconv.ParseUint(micro, 10, 32)
	f.bad = f.bad || !ok || err1 != nil || err2 != nil || len(micro) != 6
	return time.Duration(s)*time.Second + time.Duration(us)*time.Microsecond
}

func (f *fields) kind() Kind {
	word := f.word()
	for k := Signal; k < kinds; k++ {
		if word == k.String() {
			return k
		}
	}
	f.bad = true
	return 0
}

func (f *fields) text() string {
	f.rest = strings.TrimLeft(f.rest, " ")
	quoted, err := strconv.QuotedPrefix(f.rest)
	if err != nil || quoted[0] != '"' {
		f.bad = true
		return ""
	}
	f.rest = f.rest[len(quoted):]
	s, err := strconv.Unquote(quoted)
	f.bad = f.bad || err != nil || len(s) > maxField
	return s
}
