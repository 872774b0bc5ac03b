package daemon

import (
	"context"
	"strings"
	"sync"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/config"
	"shisa/ctl/monitor"
)

// mailKept bounds the messages kept for one monitor. A probe follows the first
// of them within fractions of a second; those that a flood pushes out are
// counted by the number of the next.
const mailKept = 16

// mail hands messages from outside to the monitors that take them.
type mail struct {
	mu  sync.Mutex
	seq uint64 // of the latest message
	by  map[string]*mailbox
}

// A mailbox holds what came for one monitor.
type mailbox struct {
	mu    sync.Mutex // guards all below
	takes func(monitor.Message) bool
	kept  ring[monitor.Message]
	calls watchers
}

// keep makes a mailbox for each monitor of m whose type takes messages, and
// forgets those of others.
func (l *mail) keep(m *config.Model, types config.Registry) {
	by := map[string]*mailbox{}
	for _, c := range m.Monitors {
		takes := types.Monitors[c.Type].Takes(c.Params)
		if takes == nil {
			continue
		}
		box := l.box(c.Name)
		if box == nil {
			box = &mailbox{calls: watchers{}}
		}
		box.mu.Lock()
		box.takes = takes
		box.mu.Unlock()
		by[c.Name] = box
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.by = by
}

func (l *mail) box(name string) *mailbox {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.by[name]
}

// An address is a mailbox by name, as a prober sees it: that there is one, and
// which, may change while the prober lives.
type address struct {
	mail *mail
	name string
}

// Latest implements monitor.Mailbox.
func (a address) Latest() uint64 {
	if kept := a.Since(0); len(kept) > 0 {
		return kept[len(kept)-1].Seq
	}
	return 0
}

// Since implements monitor.Mailbox.
func (a address) Since(seq uint64) (found []monitor.Message) {
	box := a.mail.box(a.name)
	if box == nil {
		return nil
	}
	box.mu.Lock()
	defer box.mu.Unlock()
	for _, m := range box.kept.items {
		if m.Seq > seq {
			found = append(found, m)
		}
	}
	return found
}

// WatchMail implements monitor.Mailbox.
func (a address) WatchMail(ctx context.Context, changed func()) {
	box := a.mail.box(a.name)
	if box == nil {
		return
	}
	wake := awake()
	box.mu.Lock()
	box.calls[wake] = true
	box.mu.Unlock()
	defer func() {
		box.mu.Lock()
		defer box.mu.Unlock()
		delete(box.calls, wake)
	}()
	wait(ctx, wake, changed)
}

// deliver hands msg to all that take it and returns their names.
func (l *mail) deliver(msg monitor.Message) (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	msg.Seq = l.seq
	for name, box := range l.by {
		if (msg.Monitor == "" || msg.Monitor == name) && box.put(msg) {
			names = append(names, name)
		}
	}
	return names
}

func (b *mailbox) put(msg monitor.Message) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if msg.Monitor == "" && !b.takes(msg) {
		return false
	}
	b.kept.add(msg, mailKept)
	b.calls.tell()
	return true
}

// watchers are those that want to know of changes. They are woken, not called,
// so that nobody can hold up who tells of a change.
type watchers map[chan struct{}]bool

// awake returns a channel to be woken by, woken once already: what changed
// before the caller watched was not told.
func awake() chan struct{} {
	wake := make(chan struct{}, 1)
	wake <- struct{}{}
	return wake
}

func (w watchers) tell() {
	for wake := range w {
		select {
		case wake <- struct{}{}:
		default: // it is told already
		}
	}
}

// wait calls changed each time it is woken, until ctx is done.
func wait(ctx context.Context, wake <-chan struct{}, changed func()) {
	for {
		select {
		case <-wake:
			changed()
		case <-ctx.Done():
			return
		}
	}
}

// Notify hands a message from outside to the monitors that take it.
func (d *Daemon) Notify(ctx context.Context, c api.NotifyCommand) (api.Result, error) {
	if err := c.Check(); err != nil {
		return api.Result{}, err
	}
	names := d.mail.deliver(monitor.Message{At: time.Now(), From: api.CallerFrom(ctx).String(),
		Monitor: c.Monitor, Category: c.Category, Keyword: c.Keyword, Text: c.Text, Clear: c.Clear})
	if len(names) == 0 {
		err := api.Errorf(api.NotFound, "no monitor of type message takes it")
		return api.Result{}, err.Try("compare category and keyword with the configuration: shisa config show")
	}
	d.record(ctx, c.String(), c.Text)
	var idle []string
	for _, name := range names {
		if _, ok := d.sched.State(name); !ok {
			idle = append(idle, name)
		}
	}
	text := "Handed to " + inOrder(names) + "."
	if len(idle) > 0 {
		text += " Without effect, since not probing at present: " + inOrder(idle) + "."
	}
	return api.Result{Text: text}, nil
}

func inOrder(names []string) string { return strings.Join(sorted(names), ", ") }
