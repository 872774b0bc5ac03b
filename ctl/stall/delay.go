package stall

import (
	"strconv"
	"time"

	"shisa/ctl/beat"
	"shisa/ctl/event"
)

// A Delay is a beat that is, or was, late.
type Delay struct {
	Beat  string
	Delay time.Duration // so far, or until the beat came
	Limit time.Duration
	Came  bool // the beat has come meanwhile
}

// Event returns the warning, in milliseconds.
func (d Delay) Event() event.Event {
	return event.StallDelay.New("stall/"+d.Beat, "beat", d.Beat, "delay_ms", ms(d.Delay), "timeout_ms", ms(d.Limit))
}

func ms(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// Delays finds delays on a page of beats, those included that began and ended
// between two looks, because the whole daemon stood still. The zero Delays has
// not looked yet. It is used by one goroutine.
type Delays struct {
	slots [beat.MaxSlots]known
}

// known is what was seen of one slot.
type known struct {
	name    string
	largest time.Duration
	told    bool // the delay that goes on
}

// Look returns the delays of at least percent of their beat's limit that were
// not returned before: each once when it begins, or once when it is over if it
// was not seen before. Percent 0 returns the age of every beat at every look,
// for measuring; 100 returns nothing.
func (d *Delays) Look(page *beat.Page, now beat.Time, percent int) []Delay {
	var delays []Delay
	var r beat.Reading
	for i := range d.slots {
		k := &d.slots[i]
		if !page.Read(i, &r) {
			*k = known{}
			continue
		}
		if name := r.Name(); name != k.name {
			*k = known{name: name, largest: r.MaxDelay}
		}
		if delay, tell := k.look(&r, now, percent); tell {
			delays = append(delays, delay)
		}
		k.largest = max(k.largest, r.MaxDelay)
	}
	return delays
}

func (k *known) look(r *beat.Reading, now beat.Time, percent int) (Delay, bool) {
	age := max(now.Sub(r.Last), 0)
	delay := Delay{Beat: k.name, Delay: age, Limit: r.Limit}
	warn := r.Limit * time.Duration(percent) / 100
	switch {
	case percent >= 100:
		return delay, false
	case percent <= 0:
		return delay, true
	case age >= warn:
		tell := !k.told
		k.told = true
		return delay, tell
	}
	told := k.told
	k.told = false
	if !told && r.MaxDelay > k.largest && r.MaxDelay >= warn {
		delay.Delay, delay.Came = r.MaxDelay, true
		return delay, true
	}
	return delay, false
}
