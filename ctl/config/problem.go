package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// A Problem is one thing that is wrong with a configuration, or that its
// author should know.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"` // 0: the file as a whole
	Key     string `json:"key,omitempty"`  // "stall.timeout", "monitor.NAME.recovery.target"; empty: no single key
	Text    string `json:"text"`           // what is wrong and what to write or do instead
	Warning bool   `json:"warning,omitempty"`

	cause   error // for errors.Is; often nil
	outside bool  // the text is right, but a file that it names is not
}

// String returns "file:line: key: text", for warnings "file:line: warning:
// key: text".
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Warning {
		b.WriteString("warning: ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Error returns what String does.
func (p Problem) Error() string { return p.String() }

// Unwrap returns the error of the operating system behind p, if there is one.
func (p Problem) Unwrap() error { return p.cause }

// textLimit bounds the text of a problem in bytes: it may quote what somebody wrote.
const textLimit = 1000

// shortened returns text with its middle left out when it is too long.
func shortened(text string) string {
	if len(text) <= textLimit {
		return text
	}
	return strings.ToValidUTF8(text[:textLimit/2], "") + " … " + strings.ToValidUTF8(text[len(text)-textLimit/4:], "")
}

// Problems are all problems of one configuration, in order of the file.
type Problems []Problem

// Errors returns those that keep the configuration from being used.
func (ps Problems) Errors() Problems {
	return slices.DeleteFunc(slices.Clone(ps), func(p Problem) bool { return p.Warning })
}

// Warnings returns those that do not.
func (ps Problems) Warnings() Problems {
	return slices.DeleteFunc(slices.Clone(ps), func(p Problem) bool { return !p.Warning })
}

// Err returns the errors joined, one a line, or nil when there are only
// warnings. errors.Is finds the causes, such as fs.ErrNotExist.
func (ps Problems) Err() error {
	var errs []error
	for _, p := range ps.Errors() {
		errs = append(errs, p)
	}
	return errors.Join(errs...)
}

// String returns every problem on a line of its own, warnings among them.
func (ps Problems) String() string {
	var b strings.Builder
	for _, p := range ps {
		b.WriteString(p.String() + "\n")
	}
	return b.String()
}

// maxBrief bounds the problems that Brief names.
const maxBrief = 10

// Brief returns the first problems in one line, for a log or an event, and counts
// the others.
func (ps Problems) Brief() string {
	var b strings.Builder
	for i, p := range ps {
		if i > 0 {
			b.WriteString("; ")
		}
		if i == maxBrief {
			fmt.Fprintf(&b, "and %d more", len(ps)-i)
			break
		}
		b.WriteString(p.String())
	}
	return b.String()
}

// unusable reports whether the text itself is wrong.
func (ps Problems) unusable() bool {
	return slices.ContainsFunc(ps, func(p Problem) bool { return !p.Warning && !p.outside })
}

// sort orders ps by line; problems of one line stay in order of discovery.
func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int { return a.Line - b.Line })
}

// clearer turns messages of the TOML decoder into words for an operator.
var clearer = []struct{ has, text string }{
	{"is out of range for int64", "this number is too large for any key"},
	{"strings cannot contain newlines", "the closing quote is missing"},
	{`expected '"'`, "the closing quote is missing"},
	{`expected "'"`, "the closing quote is missing"},
	{`expected '"""'`, `the closing """ is missing`},
	{`expected "'''"`, "the closing ''' is missing"},
	{"expected '.' or '='", "want KEY = VALUE"},
	{"expected a top-level item to end with a newline", "something stands behind the value: write one KEY = VALUE a line, and text in quotes"},
	{"expected a comma (',') or array terminator", "the list is not closed: want a comma or ]"},
	{"expected a comma or an inline table terminator", "the table is not closed: want a comma or }"},
	{"to end table name", "the table's name is not closed: want ]"},
	{"end of table array name", "the table's name is not closed: want ]]"},
	{"unexpected end of table name", "the table's name is missing between the brackets"},
	{"invalid escape", `unknown escape after \ in text: write \\ for a backslash, or use single quotes`},
	{"key name appears blank", "the key before = is missing"},
}

// syntax describes the error of the TOML decoder.
func syntax(err error, s *scanner) Problem {
	var pe toml.ParseError
	if !errors.As(err, &pe) {
		return Problem{Text: err.Error()}
	}
	p := Problem{Line: max(1, pe.Position.Line), Text: pe.Message}
	if strings.HasPrefix(pe.Message, "Key '") {
		p.Key, p.Text = twice(pe, s)
		return p
	}
	if word, ok := strings.CutPrefix(pe.Message, "expected value but found "); ok {
		word = strings.TrimSuffix(word, " instead")
		p.Key, p.Text = pe.LastKey, "want a value, got "+word+": text stands in quotes"
		if word == `'\n'` {
			p.Text = "the value is missing"
		}
		return p
	}
	if s.unclosed > 0 && strings.Contains(pe.Message, "unexpected EOF") {
		p.Line = s.unclosed // where it begins says more than where the file ends
	}
	for _, c := range clearer {
		if strings.Contains(pe.Message, c.has) {
			p.Text = c.text
			break
		}
	}
	return p
}

// twice describes a key that the decoder found defined already.
func twice(pe toml.ParseError, s *scanner) (key, text string) {
	key, _, _ = strings.Cut(strings.TrimPrefix(pe.Message, "Key '"), "' ")
	if strings.HasSuffix(pe.Message, "cannot be used as an array.") {
		return key, fmt.Sprintf("a list of tables here, but not in line %d: write [[%s]], in double brackets, for each", s.root.at(key), key)
	}
	for _, r := range s.repeats {
		if r.line == pe.Position.Line {
			return key, fmt.Sprintf("defined twice; the first is in line %d", r.first)
		}
	}
	return key, "defined twice"
}
