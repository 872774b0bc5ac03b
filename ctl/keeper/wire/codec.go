package wire

import (
	"encoding/binary"
	"errors"
	"time"
)

// Bounds on what a message may hold; what exceeds them is not decoded.
const (
	MaxMessage = 64 << 10 // bytes
	maxText    = 4 << 10  // bytes of one text
	maxList    = 64       // elements of one list
)

var errMalformed = errors.New("malformed message")

// A codec writes or reads fields one after the other. Each message type names
// its fields once, in one function that serves both directions, so that the two
// can never disagree.
type codec struct {
	buf     []byte
	reading bool
	err     error
}

func (c *codec) fail() {
	if c.err == nil {
		c.err = errMalformed
	}
}

// number codes any integer as a signed varint.
func number[T ~int | ~int64](c *codec, p *T) {
	switch {
	case c.err != nil:
	case c.reading:
		v, n := binary.Varint(c.buf)
		if n <= 0 || int64(T(v)) != v {
			c.fail()
			return
		}
		*p, c.buf = T(v), c.buf[n:]
	default:
		c.buf = binary.AppendVarint(c.buf, int64(*p))
	}
}

func text[T ~string](c *codec, p *T) {
	n := len(*p)
	if !c.reading && n > maxText {
		*p, n = (*p)[:maxText], maxText
	}
	number(c, &n)
	switch {
	case c.err != nil:
	case c.reading:
		if n < 0 || n > maxText || n > len(c.buf) {
			c.fail()
			return
		}
		*p, c.buf = T(c.buf[:n]), c.buf[n:]
	default:
		c.buf = append(c.buf, *p...)
	}
}

func flag(c *codec, p *bool) {
	n := 0
	if *p {
		n = 1
	}
	number(c, &n)
	if c.reading && c.err == nil {
		if n != 0 && n != 1 {
			c.fail()
		}
		*p = n == 1
	}
}

func list[T any](c *codec, p *[]T, each func(*codec, *T)) {
	n := len(*p)
	number(c, &n)
	if c.err != nil {
		return
	}
	if n < 0 || n > maxList {
		c.fail()
		return
	}
	if c.reading {
		*p = make([]T, n)
	}
	for i := range *p {
		each(c, &(*p)[i])
	}
}

// encode writes one message.
func encode(fields func(*codec)) ([]byte, error) {
	var c codec
	fields(&c)
	if c.err == nil && len(c.buf) > MaxMessage {
		c.fail()
	}
	return c.buf, c.err
}

// decode reads one message, which must end where its fields end.
func decode(b []byte, fields func(*codec)) error {
	c := codec{buf: b, reading: true}
	fields(&c)
	if c.err == nil && len(c.buf) > 0 {
		c.fail()
	}
	return c.err
}

func span(c *codec, p *time.Duration) { number(c, p) }

var errVersion = errors.New("the other side speaks another version of the protocol: upgrade the keeper or the daemon")
