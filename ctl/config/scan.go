package config

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// nestingLimit bounds how deep tables and lists may stand in each other, and
// how many parts a dotted key may have. Our own format needs 3; the limit
// keeps the decoder, which recurses and looks up every prefix of a key, from
// using up stack or time on a hostile file.
const nestingLimit = 32

// keyLimit bounds how many keys one table may have. Ours have less than a
// hundred; each unknown key is compared with all of them to guess what was meant.
const keyLimit = 1000

// A scanner builds the index. It accepts every valid file and makes the best
// of a broken one, which the decoder then refuses.
type scanner struct {
	src      string
	pos      int
	line     int
	root     *place
	repeats  []repeat
	excess   int // line of what is nested too deep or has too many keys; 0: nothing is
	unclosed int // line where text begins that does not end; 0: none does

	parts []string // of the latest key
	free  []place  // allocated, but not yet used
}

// index returns the places of all keys of src.
func index(src string) *scanner {
	s := &scanner{src: strings.TrimPrefix(src, "\xef\xbb\xbf"), line: 1}
	s.root = s.place("")
	table := s.root
	for s.excess == 0 && s.skipBlank() {
		if s.src[s.pos] == '[' {
			table = s.header()
		} else if !s.keyValue(table, 0) {
			s.skipLine()
		}
	}
	return s
}

// place returns a new place in this line.
func (s *scanner) place(name string) *place {
	if len(s.free) == 0 {
		s.free = make([]place, 256)
	}
	p := &s.free[0]
	s.free = s.free[1:]
	p.name, p.line = name, s.line
	return p
}

// enter returns the place of key in the table p, which it creates when needed.
func (s *scanner) enter(p *place, key string) *place {
	c := p.child(key)
	if c == nil {
		c = s.place(key)
		c.implicit = true
		if p.adopt(c); p.count > keyLimit {
			s.excess = s.line
		}
	}
	return c
}

func (s *scanner) peek() byte {
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

func (s *scanner) accept(text string) bool {
	if !strings.HasPrefix(s.src[s.pos:], text) {
		return false
	}
	s.pos += len(text)
	return true
}

func (s *scanner) skipSpace() {
	for s.pos < len(s.src) && (s.src[s.pos] == ' ' || s.src[s.pos] == '\t' || s.src[s.pos] == '\r') {
		s.pos++
	}
}

func (s *scanner) skipLine() {
	if i := strings.IndexByte(s.src[s.pos:], '\n'); i >= 0 {
		s.pos += i
	} else {
		s.pos = len(s.src)
	}
}

// skipBlank skips space, line ends and comments; it reports whether anything
// follows.
func (s *scanner) skipBlank() bool {
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case '\n':
			s.line++
			s.pos++
		case ' ', '\t', '\r':
			s.pos++
		case '#':
			s.skipLine()
		default:
			return true
		}
	}
	return false
}

// header reads "[a.b]" or "[[a.b]]" and returns the table that it begins.
func (s *scanner) header() *place {
	line := s.line
	s.pos++
	list := s.accept("[")
	parts := s.key()
	s.accept("]")
	s.accept("]")
	s.skipLine()
	if len(parts) == 0 {
		return s.root
	}
	table := s.root
	for _, part := range parts[:len(parts)-1] {
		table = s.enter(table, part).last()
	}
	table = s.enter(table, parts[len(parts)-1])
	if !list {
		s.define(table.last(), line)
		return table.last()
	}
	table.implicit = false
	item := s.place("")
	table.items = append(table.items, item)
	return item
}

// define notes that p is defined at line, and whether it was before.
func (s *scanner) define(p *place, line int) {
	if !p.implicit {
		s.repeats = append(s.repeats, repeat{line, p.line})
		return
	}
	p.line, p.implicit = line, false
}

// keyValue reads "a.b = value" into table; false when no such thing is there.
func (s *scanner) keyValue(table *place, depth int) bool {
	line := s.line
	parts := s.key()
	s.skipSpace()
	if len(parts) == 0 || !s.accept("=") {
		return false
	}
	for _, part := range parts {
		table = s.enter(table, part)
	}
	s.define(table, line)
	s.value(table, depth)
	return true
}

// key reads a dotted key; none when there is no key. The parts are valid until
// the next call.
func (s *scanner) key() []string {
	parts := s.parts[:0]
	for {
		s.skipSpace()
		part, ok := s.keyPart()
		if !ok {
			return nil
		}
		if parts = append(parts, part); len(parts) > nestingLimit {
			s.excess = s.line
			return nil
		}
		s.skipSpace()
		if !s.accept(".") {
			s.parts = parts
			return parts
		}
	}
}

func (s *scanner) keyPart() (string, bool) {
	switch q := s.peek(); q {
	case '"', '\'':
		start := s.pos + 1
		s.oneLine(q)
		text := s.src[start:max(start, s.pos-1)]
		if q == '"' {
			text = unescape(text)
		}
		return text, true
	}
	start := s.pos
	for s.pos < len(s.src) && isBare(s.src[s.pos]) {
		s.pos++
	}
	return s.src[start:s.pos], s.pos > start
}

func isBare(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// value skips a value, noting at p what stands inside it.
func (s *scanner) value(p *place, depth int) {
	s.skipSpace()
	switch c := s.peek(); c {
	case '"', '\'':
		if q := strings.Repeat(string(c), 3); s.accept(q) {
			s.manyLines(c)
		} else {
			s.oneLine(c)
		}
	case '[', '{':
		if depth++; depth > nestingLimit {
			s.excess = s.line
			return
		}
		s.pos++
		s.inside(p, c, depth)
	default:
		if i := strings.IndexAny(s.src[s.pos:], ",]}#\n"); i >= 0 {
			s.pos += i
		} else {
			s.pos = len(s.src)
		}
	}
}

// inside reads what stands between brackets of a list or inline table.
func (s *scanner) inside(p *place, open byte, depth int) {
	for s.excess == 0 && s.skipBlank() {
		before := s.pos
		switch {
		case s.accept(","):
			continue
		case open == '[' && s.accept("]"), open == '{' && s.accept("}"):
			return
		case open == '[':
			item := s.place("")
			p.items = append(p.items, item)
			s.value(item, depth)
		default:
			s.keyValue(p, depth)
		}
		if s.pos == before { // broken: not even one byte of a value
			return
		}
	}
}

// oneLine skips text in quotes q, the opening one included.
func (s *scanner) oneLine(q byte) {
	for s.pos++; s.pos < len(s.src); s.pos++ {
		switch c := s.src[s.pos]; {
		case c == '\n':
			return
		case c == '\\' && q == '"':
			if s.pos+1 < len(s.src) && s.src[s.pos+1] != '\n' {
				s.pos++
			}
		case c == q:
			s.pos++
			return
		}
	}
}

// manyLines skips the rest of text in triple quotes. Up to two quotes may
// stand before the closing three, so that a longer run ends with them.
func (s *scanner) manyLines(q byte) {
	run, start := 0, s.line
	for ; s.pos < len(s.src); s.pos++ {
		c := s.src[s.pos]
		if c == q {
			run++
			continue
		}
		if run >= 3 {
			return
		}
		run = 0
		if c == '\n' {
			s.line++
		}
		if c == '\\' && q == '"' && s.pos+1 < len(s.src) && s.src[s.pos+1] != '\n' {
			s.pos++
		}
	}
	if run < 3 {
		s.unclosed = start
	}
}

// unescape resolves the escapes of a quoted key.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		digits := 0
		switch s[i] {
		case 'b':
			b.WriteByte('\b')
		case 't':
			b.WriteByte('\t')
		case 'n':
			b.WriteByte('\n')
		case 'f':
			b.WriteByte('\f')
		case 'r':
			b.WriteByte('\r')
		case 'e':
			b.WriteByte(0x1b)
		case 'x':
			digits = 2
		case 'u':
			digits = 4
		case 'U':
			digits = 8
		default:
			b.WriteByte(s[i])
		}
		if n, err := strconv.ParseUint(s[i+1:min(len(s), i+1+digits)], 16, 32); digits > 0 && err == nil {
			b.Write(utf8.AppendRune(nil, rune(n)))
			i += digits
		}
	}
	return b.String()
}
