package wire

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	messages := []Message{
		{Kind: Ready, Boot: "b", Release: "6.1", Text: "line\nbreak"},
		{Kind: Out, ID: 7, Data: []byte("\x00\xff\n")},
		{Kind: Exit, ID: 7, Exit: 137},
	}
	var b bytes.Buffer
	for _, m := range messages {
		if err := Write(&b, m); err != nil {
			t.Fatal(err)
		}
	}
	lines := Lines(&b)
	for _, want := range messages {
		if !lines.Scan() {
			t.Fatalf("no line for %+v: %v", want, lines.Err())
		}
		got, err := Decode[Message](lines.Bytes())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
}

func TestDecodeRejects(t *testing.T) {
	for _, line := range []string{"", "{", "{}", "[]", `{"Op":"start"}`, `{"Kind":1}`} {
		if m, err := Decode[Message]([]byte(line)); err == nil {
			t.Errorf("message %q: got %+v, want an error", line, m)
		}
	}
	for _, line := range []string{"{}", `{"Kind":"out"}`, `{"Op":"start","ID":"x"}`} {
		if c, err := Decode[Command]([]byte(line)); err == nil {
			t.Errorf("command %q: got %+v, want an error", line, c)
		}
	}
}

func TestLinesAreBounded(t *testing.T) {
	lines := Lines(strings.NewReader(strings.Repeat("x", 2*maxLine)))
	if lines.Scan() || lines.Err() == nil {
		t.Error("a line beyond the limit was accepted")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"Kind":"out","ID":1,"Data":"AAA="}`))
	f.Add([]byte(`{"ID":1,"Boot":"x","Op":"start","Argv":["sh"]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if m, err := Decode[Message](line); err == nil && m.Kind == "" {
			t.Error("a message without a kind was accepted")
		}
		if c, err := Decode[Command](line); err == nil && c.Op == "" {
			t.Error("a command without an operation was accepted")
		}
	})
}
