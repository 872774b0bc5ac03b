package timeline

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Options of Render.
type Options struct {
	Width int           // columns of the terminal; below 60 there are no bars
	Top   int           // most rows; 0: all
	Least time.Duration // leave out spans that took less
	ASCII bool          // bars of '#', for a terminal without UTF-8
}

// nameWidth bounds a span's name in the table, in columns.
const nameWidth = 28

// Render writes a summary, and a table of the longest spans with a bar for each
// that shows when in the shutdown it was.
func (r Report) Render(w io.Writer, o Options) error {
	rows := slices.DeleteFunc(slices.Clone(r.Spans), func(s Span) bool { return s.Length() < o.Least })
	left := 0
	if o.Top > 0 && len(rows) > o.Top {
		left = len(rows) - o.Top
		rows = rows[:o.Top]
	}
	var b strings.Builder
	b.WriteString(r.Summary() + "\n")
	names := 0
	for _, s := range rows {
		names = max(names, min(nameWidth, utf8.RuneCountInString(clean(s.Name))))
	}
	// seconds, blanks around the name, and the detail's least.
	const fixed, detail = 14, 26
	bar := o.Width - fixed - names - detail
	for _, s := range rows {
		mark := " "
		if s.Unfinished {
			mark = "…"
			if o.ASCII {
				mark = "+"
			}
		}
		line := fmt.Sprintf("%9.3f s%s  %-*s", s.Length().Seconds(), mark, names, cut(clean(s.Name), names))
		if o.Width >= 60 && bar >= 10 {
			line += "  " + r.bar(s, bar, o.ASCII)
		}
		b.WriteString(strings.TrimRight(line+"  "+clean(s.Detail), " ") + "\n")
	}
	if left > 0 {
		fmt.Fprintf(&b, "%d more\n", left)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Summary is one line: how long, where, and how far it got.
func (r Report) Summary() string {
	if r.Total == 0 && len(r.Spans) == 0 {
		return "no record of a shutdown"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "shutdown took %.3f s", r.Total.Seconds())
	asked := r.Request != "" || r.Asked > 0
	if asked {
		fmt.Fprintf(&b, ": %.3f s until the kernel was asked to %s, then %.3f s in devices",
			r.Asked.Seconds(), cmp.Or(r.Request, "go down"), r.Devices.Seconds())
	}
	switch {
	case r.Done:
	case !asked:
		b.WriteString(" and never asked the kernel to go down")
	default:
		b.WriteString(", where the record ends")
	}
	if worst := r.stuck(); worst != "" {
		fmt.Fprintf(&b, "; it ends in %s", worst)
	}
	return b.String()
}

// stuck names the innermost thing that never ended.
func (r Report) stuck() string {
	found := ""
	class := Class(-1)
	for _, s := range r.Spans {
		if s.Unfinished && s.Class > class {
			found, class = s.Name, s.Class
			if s.Detail != "" {
				found += " (" + s.Detail + ")"
			}
		}
	}
	return clean(found)
}

// bar draws when in the shutdown a span was. A span of any length has a mark.
func (r Report) bar(s Span, width int, ascii bool) string {
	full, empty := "█", "·"
	if ascii {
		full, empty = "#", "."
	}
	if r.Total <= 0 {
		return strings.Repeat(full, width)
	}
	at := func(d time.Duration) int { return int(float64(width) * float64(d) / float64(r.Total)) }
	begin := min(at(s.Begin), width-1)
	end := min(max(at(s.End), begin+1), width)
	return strings.Repeat(empty, begin) + strings.Repeat(full, end-begin) + strings.Repeat(empty, width-end)
}

// clean keeps names from writing to the terminal what is not text.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}

func cut(s string, width int) string {
	if runes := []rune(s); len(runes) > width {
		return string(runes[:width-1]) + "~"
	}
	return s
}
