package witness

import (
	"context"
	"maps"
	"time"

	"shisa/bpf"
	"shisa/bpf/beats"
	"shisa/bpf/flight"
	"shisa/ctl/beat"
	"shisa/ctl/event"
	"shisa/ctl/tick"
)

// A missing beat was told of, and has not come since.
type missing struct {
	beats.Miss
	since time.Time
}

// missed tells of a beat that did not come. The countdown is the keeper's affair:
// this is for the operator, and for the record.
func (w *Witness) missed(m beats.Miss) {
	now := time.Now()
	entry := flight.Entry{At: now, Kind: flight.MissedBeat, Subject: m.Name, For: m.At - m.Last}
	w.note(entry)
	key := slotKey{m.Guest, m.Slot, m.Name}
	w.mu.Lock()
	maps.DeleteFunc(w.told, func(_ slotKey, at time.Time) bool { return now.Sub(at) >= quietFor })
	_, quiet := w.told[key]
	if !quiet && m.Guest && !w.misses.take(now) { // any process may have one
		w.misses.hold(now)
		quiet = true
	}
	if !quiet {
		w.told[key], w.missing[key] = now, missing{m, now}
	}
	w.mu.Unlock()
	if !quiet {
		w.store.remember(entry)
		w.o.Emit(event.BeatMissed.New("beat/"+m.Name, "beat", m.Name, "limit", m.Limit.String(), "late", m.Late().Round(time.Microsecond).String()))
	}
}

// quietFor is how long after a miss was told of no other of the same beat is.
const quietFor = 10 * time.Second

type slotKey struct {
	guest bool
	slot  int
	name  string
}

// returned tells of the beats that are back.
func (w *Witness) returned() {
	w.mu.Lock()
	var back []missing
	for key, was := range w.missing {
		last, used := w.lastBeat(key)
		if used && last <= was.Last {
			continue
		}
		delete(w.missing, key)
		if used {
			back = append(back, was)
		}
	}
	untold := w.misses.untold(time.Now())
	w.mu.Unlock()
	w.untold(untold, "beats of other processes were missed")
	for _, was := range back {
		w.o.Emit(event.BeatBack.New("beat/"+was.Name, "beat", was.Name, "for", round(time.Since(was.since)+was.At-was.Last)))
	}
}

func (w *Witness) lastBeat(key slotKey) (time.Duration, bool) {
	if key.guest {
		return w.guests.lastOf(key.slot, key.name)
	}
	var r beat.Reading
	used := w.o.Page != nil && w.o.Page.Read(key.slot, &r) && r.Name() == key.name
	return time.Duration(r.Last), used
}

// tend tells of beats that are back and keeps the orders in the kernel in line
// with what is armed, until ctx is done.
func (w *Witness) tend(ctx context.Context, set *bpf.Set) {
	for tick.Wait(ctx, tendEvery) {
		w.returned()
		w.order(set)
	}
}

// order says what becomes of a miss of ours: nothing, unless a countdown is armed
// and judged by beats.
func (w *Witness) order(set *bpf.Set) {
	if set == nil || set.Beats == nil || w.o.HandOver == nil || w.o.Page == nil || !w.o.Page.Kernel() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var o beats.Orders
	if !w.down {
		o.Age, o.Pinger = w.o.HandOver()
	}
	if o == w.orders {
		return
	}
	if err := set.Beats.Order(o); err != nil {
		w.o.Log("hand over misses", err)
		return
	}
	w.orders = o
}

// StandDown has no miss handed over any more: the machine goes down, or the
// countdown is about to be disarmed, and the loops end on purpose.
func (w *Witness) StandDown() { w.standing(true) }

func (w *Witness) standing(down bool) {
	w.mu.Lock()
	w.down = down
	set := w.set
	w.mu.Unlock()
	w.order(set)
}

// Forget ends the timer that goes on when this process is gone: the service is
// stopped for good. Beats that are kept in the kernel stay where they are.
func (w *Witness) Forget() {
	if w.o.Keep != "" {
		w.say("end the timer in the kernel", beats.Stop(w.o.Keep))
	}
}
