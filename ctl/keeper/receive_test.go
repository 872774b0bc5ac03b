package keeper

import (
	"errors"
	"io"
	"testing"
)

// reads are the answers of a socket, one after the other.
type reads []struct {
	text string
	err  error
}

func (r *reads) Read(b []byte) (int, error) {
	if len(*r) == 0 {
		return 0, io.EOF
	}
	now := (*r)[0]
	*r = (*r)[1:]
	return copy(b, now.text), now.err
}

func TestReceive(t *testing.T) {
	hangs := errors.New("deadline")
	for _, c := range []struct {
		name  string
		reads reads
		want  string
		err   error
	}{
		{"packet", reads{{"reply", nil}}, "reply", nil},
		{"end told before the packet", reads{{"", io.EOF}, {"reply", nil}}, "reply", nil},
		{"end without an error, before the packet", reads{{"", nil}, {"reply", nil}}, "reply", nil},
		{"end", reads{{"", io.EOF}, {"", io.EOF}}, "", io.EOF},
		{"error", reads{{"", hangs}, {"reply", nil}}, "", hangs},
	} {
		b := make([]byte, 10)
		n, err := receive(&c.reads, b)
		if string(b[:n]) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: got %q, %v; want %q, %v", c.name, b[:n], err, c.want, c.err)
		}
	}
}
