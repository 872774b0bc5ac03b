package cli

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"shisa/ctl/api"
)

// A painter writes for a terminal, or plainly for everything else.
type painter struct {
	color bool
	width int // columns; 0: unbounded
}

// newPainter looks at where the output goes. NO_COLOR (no-color.org) is
// honoured.
func newPainter(out io.Writer) painter {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return painter{}
	}
	p := painter{color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
	if w, _, err := term.GetSize(int(f.Fd())); err == nil {
		p.width = w
	}
	return p
}

// Colours, by meaning (ECMA-48, 8.3.117).
const (
	plain  = ""
	good   = "32"
	warn   = "33"
	bad    = "31"
	alarm  = "1;31"
	dim    = "2"
	strong = "1"
)

func (p painter) in(color, text string) string {
	if !p.color || color == plain || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// fit cuts text to the columns that are left after used ones.
func (p painter) fit(text string, used int) string {
	room := p.width - used
	if p.width == 0 || utf8.RuneCountInString(text) <= room {
		return text
	}
	return string([]rune(text)[:max(0, room-1)]) + "…"
}

// wrapFrom is the least room in columns that text is wrapped in; in less it
// goes on beyond the edge.
const wrapFrom = 24

// units keep to their number.
var units = regexp.MustCompile(`(\d) (ms|s|min|h|days)\b`)

// wrap breaks text between words into lines of the columns that are left after
// used ones.
func (p painter) wrap(text string, used int) []string {
	room := p.width - used
	if p.width == 0 || room < wrapFrom {
		return []string{text}
	}
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(units.ReplaceAllString(text, "$1\x00$2")) {
		word = strings.ReplaceAll(word, "\x00", " ")
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > room {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}

// inert makes one line of text that cannot move the cursor, colour, hide or
// reverse what is on the terminal: it may come from a program that is watched.
func inert(text string) string {
	if isInert(text) {
		return text
	}
	safe := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return '·'
		}
		return r
	}, text)
	return strings.Join(strings.Fields(safe), " ")
}

// isInert reports whether text is so already, as nearly all is: printable ASCII
// in words that are one space apart.
func isInert(text string) bool {
	before := byte(' ')
	for i := range len(text) {
		c := text[i]
		if c < ' ' || c > '~' || c == ' ' && before == ' ' {
			return false
		}
		before = c
	}
	return before != ' ' || text == ""
}

// pad fills text to a width in columns, whatever its bytes are.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

func levelColor(l api.Level) string {
	switch l {
	case api.LevelOK:
		return good
	case api.LevelInfo:
		return dim
	case api.LevelWarning:
		return warn
	case api.LevelError:
		return bad
	case api.LevelCritical:
		return alarm
	}
	return plain
}

func verdictColor(v api.Verdict) string {
	switch v {
	case api.OK:
		return good
	case api.Warning, api.CouldNotLook:
		return warn
	case api.Failed, api.TimedOut:
		return bad
	case api.NotYet:
	}
	return dim
}

func stateColor(s api.State) string {
	switch s {
	case api.Started:
		return good
	case api.Starting, api.Stopping:
		return warn
	case api.StartFailed, api.StopFailed:
		return bad
	case api.Stopped:
	}
	return dim
}

// ago says how long since t in one unit: "3 min".
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return span(now.Sub(t))
}

// span says d in one unit, rounded down.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// A table aligns columns by their widest cell.
type table struct {
	rows [][]cell
	wrap bool // the last column goes on in the next line instead of being cut
}

type cell struct{ text, color string }

func (t *table) add(cells ...cell) {
	for i := range cells {
		indent := len(cells[i].text) - len(strings.TrimLeft(cells[i].text, " "))
		cells[i].text = strings.Repeat(" ", indent) + inert(cells[i].text)
	}
	t.rows = append(t.rows, cells)
}

// write prints the table with an indent; the last column keeps to the width of
// the terminal.
func (t *table) write(w io.Writer, p painter, indent int) {
	var width []int
	for _, r := range t.rows {
		for i, c := range r {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(c.text))
		}
	}
	for _, r := range t.rows {
		line, used := strings.Repeat(" ", indent), indent
		for i, c := range r {
			if i == len(r)-1 {
				line += t.last(p, c, used)
				break
			}
			line += p.in(c.color, c.text) + strings.Repeat(" ", width[i]-utf8.RuneCountInString(c.text)+2)
			used += width[i] + 2
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

// last is the last cell of a row, which begins behind used columns.
func (t *table) last(p painter, c cell, used int) string {
	if !t.wrap {
		return p.in(c.color, p.fit(c.text, used))
	}
	lines := p.wrap(c.text, used)
	for i := range lines {
		lines[i] = p.in(c.color, lines[i])
	}
	return strings.Join(lines, "\n"+strings.Repeat(" ", used))
}
