package process

import "strings"

// A pattern tells command lines.
type pattern interface{ MatchString(line string) bool }

// A glob is a pattern of texts between which anything may stand. It is looked at
// for each process of the machine by each monitor, so it is no regular
// expression.
type glob []string

func newGlob(text string) glob { return strings.Split(text, "*") }

// MatchString reports whether the whole line is the texts in their order, the
// first at its beginning and the last at its end.
func (g glob) MatchString(line string) bool {
	first, last := g[0], g[len(g)-1]
	if len(g) == 1 {
		return line == first
	}
	if !strings.HasPrefix(line, first) {
		return false
	}
	line = line[len(first):]
	if !strings.HasSuffix(line, last) {
		return false
	}
	line = line[:len(line)-len(last)]
	for _, part := range g[1 : len(g)-1] {
		i := strings.Index(line, part)
		if i < 0 {
			return false
		}
		line = line[i+len(part):]
	}
	return true
}
