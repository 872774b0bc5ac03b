package config

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// nestingLimit bounds how deep tables and lists may stand in each other, and
// how many parts a dotted key may have. Our own format needs 3; the limit
// keeps the decoder, which recurses and looks up every prefix of a key, from
// using up stack or time on a hostile file.
const nestingLimit = 32

// A place is where a value stands in the source. The decoder keeps the
// positions of keys to itself, so this index is built beside it.
type place struct {
	line  int
	keys  map[string]*place // of a table
	items []*place          // of a list, tables of a [[…]] among them

	implicit bool // mentioned as part of a longer key only
}

// at returns the line of key in the table p, or that of the table itself when
// it does not hold the key. It works on a nil place.
func (p *place) at(key string) int {
	if c := p.child(key); c != nil {
		return c.line
	}
	if p == nil {
		return 0
	}
	return p.line
}

// child returns the place of key in the table p, or nil.
func (p *place) child(key string) *place {
	if p == nil {
		return nil
	}
	return p.keys[key]
}

// item returns the place of item i of the list p, or nil.
func (p *place) item(i int) *place {
	if p == nil || i >= len(p.items) {
		return nil
	}
	return p.items[i]
}

// last returns the table that [p.x] continues: p, or its last item.
func (p *place) last() *place {
	if n := len(p.items); n > 0 {
		return p.items[n-1]
	}
	return p
}

// enter returns the place of key in the table p, which it creates when needed.
func (p *place) enter(key string, line int) *place {
	if c := p.keys[key]; c != nil {
		return c
	}
	if p.keys == nil {
		p.keys = make(map[string]*place, 4)
	}
	c := &place{line: line, implicit: true}
	p.keys[key] = c
	return c
}

// A repeat is a key that is defined twice, which the decoder refuses without
// saying where the first one is.
type repeat struct{ line, first int }

// A scanner builds the index. It accepts every valid file and makes the best
// of a broken one, which the decoder then refuses.
type scanner struct {
	src      []byte
	pos      int
	line     int
	root     *place
	repeats  []repeat
	tooDeep  int // line of what is nested too deep; 0: nothing is
	unclosed int // line where text begins that does not end; 0: none does
}

// index returns the places of all keys of src.
func index(src []byte) *scanner {
	s := &scanner{src: bytes.TrimPrefix(src, []byte("\xef\xbb\xbf")), line: 1, root: &place{line: 1}}
	table := s.root
	for s.tooDeep == 0 && s.skipBlank() {
		if s.src[s.pos] == '[' {
			table = s.header()
		} else if !s.keyValue(table, 0) {
			s.skipLine()
		}
	}
	return s
}

func (s *scanner) peek() byte {
	if s.pos < len(s.src) {
		return s.src[s.pos]
	}
	return 0
}

func (s *scanner) accept(text string) bool {
	if !bytes.HasPrefix(s.src[s.pos:], []byte(text)) {
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
	if i := bytes.IndexByte(s.src[s.pos:], '\n'); i >= 0 {
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
		table = table.enter(part, line).last()
	}
	table = table.enter(parts[len(parts)-1], line)
	if !list {
		s.define(table.last(), line)
		return table.last()
	}
	table.implicit = false
	item := &place{line: line}
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
		table = table.enter(part, line)
	}
	s.define(table, line)
	s.value(table, depth)
	return true
}

// key reads a dotted key; none when there is no key.
func (s *scanner) key() []string {
	var parts []string
	for {
		s.skipSpace()
		part, ok := s.keyPart()
		if !ok {
			return nil
		}
		if parts = append(parts, part); len(parts) > nestingLimit {
			s.tooDeep = s.line
			return nil
		}
		s.skipSpace()
		if !s.accept(".") {
			return parts
		}
	}
}

func (s *scanner) keyPart() (string, bool) {
	switch q := s.peek(); q {
	case '"', '\'':
		start := s.pos + 1
		s.oneLine(q)
		text := string(s.src[start:max(start, s.pos-1)])
		if q == '"' {
			text = unescape(text)
		}
		return text, true
	}
	start := s.pos
	for s.pos < len(s.src) && isBare(s.src[s.pos]) {
		s.pos++
	}
	return string(s.src[start:s.pos]), s.pos > start
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
			s.tooDeep = s.line
			return
		}
		s.pos++
		s.inside(p, c, depth)
	default:
		if i := bytes.IndexAny(s.src[s.pos:], ",]}#\n"); i >= 0 {
			s.pos += i
		} else {
			s.pos = len(s.src)
		}
	}
}

// inside reads what stands between brackets of a list or inline table.
func (s *scanner) inside(p *place, open byte, depth int) {
	for s.tooDeep == 0 && s.skipBlank() {
		before := s.pos
		switch {
		case s.accept(","):
			continue
		case open == '[' && s.accept("]"), open == '{' && s.accept("}"):
			return
		case open == '[':
			item := &place{line: s.line}
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
