package vm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"
)

func TestDecodeQMP(t *testing.T) {
	tests := []struct {
		name, line string
		want       string // the event, "greeting", "return" or "error"; empty: not valid
	}{
		{"greeting", `{"QMP": {"version": {}, "capabilities": ["oob"]}}`, "greeting"},
		{"reset", `{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "RESET", "data": {"guest": true, "reason": "guest-reset"}}`, "RESET guest-reset"},
		{"watchdog", `{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "WATCHDOG", "data": {"action": "reset"}}`, "WATCHDOG reset"},
		{"no data", `{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "STOP"}`, "STOP"},
		{"other data", `{"event": "X", "data": {"reason": {"a": 1}, "action": 7}}`, "X"},
		{"data is no object", `{"event": "X", "data": [1]}`, "X"},
		{"return", `{"return": {}, "id": 3}`, "return"},
		{"error", `{"id": 3, "error": {"class": "CommandNotFound", "desc": "no"}}`, "error"},
		{"empty", ``, ""},
		{"nothing", `{}`, ""},
		{"not an object", `[1,2]`, ""},
		{"cut", `{"event": "RES`, ""},
	}
	for _, tt := range tests {
		m, err := decodeQMP([]byte(tt.line))
		got := ""
		switch {
		case err != nil:
		case m.Greeting != nil:
			got = "greeting"
		case m.Event != "":
			got = m.event(time.Now()).String()
		case m.Error != nil:
			got = "error"
		case m.Return != nil:
			got = "return"
		}
		if got != tt.want {
			t.Errorf("%s: got %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}

// QEMU's stamp counts, unless the clocks disagree so much that one was set.
func TestEventTime(t *testing.T) {
	now := time.Now()
	tests := []struct {
		name  string
		stamp time.Time
		want  time.Time
	}{
		{"read late", now.Add(-3 * time.Second), now.Add(-3 * time.Second)},
		{"read at once", now, now},
		{"in the future", now.Add(time.Hour), now},
		{"long ago", now.Add(-time.Hour), now},
	}
	for _, tt := range tests {
		line := fmt.Sprintf(`{"event": "RESET", "timestamp": {"seconds": %d, "microseconds": %d}}`,
			tt.stamp.Unix(), tt.stamp.Nanosecond()/1000)
		m, err := decodeQMP([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.event(now).Time.Sub(tt.want).Abs(); got > time.Microsecond {
			t.Errorf("%s: off by %v", tt.name, got)
		}
	}
}

func TestQMPCommands(t *testing.T) {
	ours, theirs := net.Pipe()
	q := newQMP(ours)
	events := make(chan Event, 10)
	asked := make(chan struct{})
	go q.read(ours, func(e Event) { events <- e })
	go func() { // a monitor that answers out of order and hangs up at "quit"
		var first int
		scan := bufio.NewScanner(theirs)
		for scan.Scan() {
			var c struct {
				Execute string
				ID      int
			}
			if json.Unmarshal(scan.Bytes(), &c) != nil || c.Execute == "quit" {
				break
			}
			if first == 0 {
				first = c.ID
				close(asked)
				continue
			}
			fmt.Fprintf(theirs, "{\"event\": \"STOP\"}\nnoise\n{\"return\": \"second\", \"id\": %d}\n", c.ID)
			fmt.Fprintf(theirs, "{\"error\": {\"class\": \"C\", \"desc\": \"first\"}, \"id\": %d}\n", first)
		}
		theirs.Close()
	}()
	failed := make(chan error, 1)
	go func() {
		_, err := q.do(t.Context(), "one", nil)
		failed <- err
	}()
	<-asked
	got, err := q.do(t.Context(), "two", map[string]int{"a": 1})
	if err != nil || string(got) != `"second"` {
		t.Errorf("the second command: got %s, %v", got, err)
	}
	if err := <-failed; err == nil || err.Error() != "qmp one: C: first" {
		t.Errorf("the first command: got %v", err)
	}
	if e := <-events; e.Kind != "STOP" {
		t.Errorf("got event %v, want STOP", e)
	}
	if _, err := q.do(t.Context(), "quit", nil); !errors.Is(err, ErrEnded) {
		t.Errorf("a command that ends QEMU: got %v, want ErrEnded", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.do(ctx, "late", nil); !errors.Is(err, ErrEnded) {
		t.Errorf("a command after the end: got %v, want ErrEnded", err)
	}
}

func FuzzDecodeQMP(f *testing.F) {
	f.Add([]byte(`{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "RESET", "data": {"reason": "guest-reset"}}`))
	f.Add([]byte(`{"return": {}, "id": 3}`))
	f.Add([]byte(`{"event": "X", "data": null}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := decodeQMP(line)
		if err != nil {
			return
		}
		now := time.Now()
		if m.Event == "" && m.Return == nil && m.Error == nil && m.Greeting == nil {
			t.Error("a message without a meaning was accepted")
		}
		if e := m.event(now); e.Time.After(now) || now.Sub(e.Time) > maxQMPLag {
			t.Errorf("event at %v, received at %v", e.Time, now)
		}
	})
}
