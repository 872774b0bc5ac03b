package vm

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"shisa/ci/vm/wire"
)

// fakeGuest answers commands like the init in the guest does.
func fakeGuest(t *testing.T, answer func(c wire.Command, send func(wire.Message))) (*link, func(wire.Message), func()) {
	t.Helper()
	host, guest := net.Pipe()
	l := newLink(host, newEventLog())
	send := func(m wire.Message) { _ = wire.Write(guest, m) }
	done := make(chan struct{}, 2)
	go func() { l.read(host); done <- struct{}{} }()
	go func() {
		for lines := wire.Lines(guest); lines.Scan(); {
			if c, err := wire.Decode[wire.Command](lines.Bytes()); err == nil {
				answer(c, send)
			}
		}
		done <- struct{}{}
	}()
	hangUp := func() { guest.Close(); <-done; <-done; host.Close() }
	return l, send, hangUp
}

func TestLink(t *testing.T) {
	l, send, hangUp := fakeGuest(t, func(c wire.Command, send func(wire.Message)) {
		if c.Boot != "one" {
			return // as the real one does
		}
		switch strings.Join(c.Argv, " ") {
		case "print":
			send(wire.Message{Kind: wire.Out, ID: c.ID, PID: 42})
			send(wire.Message{Kind: wire.Out, ID: c.ID, Data: []byte("a")})
			send(wire.Message{Kind: wire.Err, ID: c.ID, Data: []byte("e")})
			send(wire.Message{Kind: wire.Out, ID: c.ID, Data: []byte("b")})
			send(wire.Message{Kind: wire.Out, ID: 999, Data: []byte("of nobody")})
			send(wire.Message{Kind: wire.Exit, ID: c.ID, Exit: 3})
		case "absent":
			send(wire.Message{Kind: wire.Exit, ID: c.ID, Error: "no such file"})
		case "reset":
			send(wire.Message{Kind: wire.Ready, Boot: "two"})
		}
	})
	defer hangUp()
	send(wire.Message{Kind: wire.Ready, Boot: "one"})
	if _, err := l.events.wait(t.Context(), func(e Event) bool { return e.Kind == KindReady }); err != nil {
		t.Fatal(err)
	}
	run := func(name string) (Result, error) {
		return l.call(t.Context(), wire.Command{Op: wire.OpStart, Argv: []string{name}})
	}
	if r, err := run("print"); err != nil || r != (Result{Stdout: "ab", Stderr: "e", Exit: 3}) {
		t.Errorf("print: got %+v, %v", r, err)
	}
	if _, err := run("absent"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("absent: got %v", err)
	}
	if _, err := run("reset"); !errors.Is(err, ErrReset) {
		t.Errorf("reset: got %v, want ErrReset", err)
	}
}

func TestLinkEnds(t *testing.T) {
	l, _, hangUp := fakeGuest(t, func(wire.Command, func(wire.Message)) {})
	p, err := l.send(wire.Command{Op: wire.OpStart, Argv: []string{"x"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("no answer: got %v", err)
	}
	hangUp()
	if _, err := p.Wait(t.Context()); !errors.Is(err, ErrEnded) {
		t.Errorf("after the end: got %v, want ErrEnded", err)
	}
	if pid, err := p.PID(t.Context()); pid != 0 || err != nil {
		t.Errorf("the pid of a command that never started: got %d, %v", pid, err)
	}
	if _, err := l.send(wire.Command{Op: wire.OpStart}); !errors.Is(err, ErrEnded) {
		t.Errorf("a command after the end: got %v, want ErrEnded", err)
	}
}
