package service

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"shisa/ctl/keepalive/drivers/ipmi"
	"shisa/ctl/keeper/witness"
	"shisa/ctl/why"
)

// Limits of what is asked of a BMC. Each command takes some milliseconds of a
// good one, and the countdown is armed after this only.
const (
	bmcTime    = 2 * time.Second
	bmcEntries = 64
	// bmcDrift is how far apart two clocks may be that were just compared, one of
	// them in whole seconds.
	bmcDrift = 2 * time.Second
)

// bmcAnswer is what a BMC knows of the boot that ended.
type bmcAnswer struct {
	evidence *why.BMC
	words    []why.Words
	newest   []byte // entry of its log, raw
}

// askBMC asks the BMC, where there is one, for what happened since a time. One
// that does not answer in time is left to its driver's own limit. Other
// programs that talk to it, a vendor's agent say, are not disturbed: nothing is
// set, cleared or reserved.
func (s scene) askBMC(since time.Time, seen []byte) bmcAnswer {
	b, err := s.bmc()
	if err != nil {
		return bmcAnswer{newest: seen}
	}
	ctx, cancel := context.WithTimeout(context.Background(), bmcTime)
	defer cancel()
	answer := make(chan bmcAnswer, 1)
	go func() {
		defer b.Close() //nolint:errcheck // only read from
		answer <- s.examine(ctx, b, since, seen)
	}()
	select {
	case a := <-answer:
		return a
	case <-ctx.Done():
		s.fails("the BMC", fmt.Errorf("no answer within %v", bmcTime))
		return bmcAnswer{newest: seen}
	}
}

// examine puts the questions. What fails leaves its part of the answer empty:
// not every BMC knows every command.
func (s scene) examine(ctx context.Context, b *ipmi.BMC, since time.Time, seen []byte) bmcAnswer {
	a := bmcAnswer{evidence: &why.BMC{}, newest: seen}
	t, err := b.Timer()
	if err != nil {
		s.fails("the timer of the BMC", err)
		return bmcAnswer{newest: seen}
	}
	a.evidence.Expired = t.Expired
	if c, err := b.RestartCause(); err == nil && c != ipmi.RestartUnknown {
		a.evidence.Restart, a.evidence.By = c.String(), restarts[c]
	}
	// Its clock may show another zone's time, or be wrong by years: what counts is
	// how long ago an entry was made.
	var ahead time.Duration
	if shows, err := b.LogTime(); err == nil && !shows.IsZero() {
		ahead = time.Until(shows).Round(time.Second)
	}
	for r, err := range b.Newest(ctx, bmcEntries) {
		if err != nil {
			s.fails("the event log of the BMC", err)
			break
		}
		if bytes.Equal(a.newest, seen) {
			a.newest = slices.Clone(r.Raw[:])
		}
		if bytes.Equal(r.Raw[:], seen) {
			break // this one and those before it were there at the last boot
		}
		if !r.Time.IsZero() {
			r.Time = r.Time.Add(-ahead).Local()
			if r.Time.Before(since.Add(-bmcDrift)) {
				break
			}
		} else if seen == nil {
			continue // without a time, and nothing says that it is new
		}
		a.add(r)
	}
	slices.Reverse(a.evidence.Entries)
	slices.Reverse(a.words)
	return a
}

// add sorts in an entry of the log.
func (a *bmcAnswer) add(r ipmi.Record) {
	if r.Ours {
		if phase, cause, ok := witness.Decode(r.Code); ok {
			a.words = append(a.words, why.Words{At: r.Time, Phase: phase, Stall: cause, From: "event log of the BMC"})
		}
		return
	}
	if e, ok := entry(r); ok {
		a.evidence.Entries = append(a.evidence.Entries, e)
	}
}

// restarts is what a cause of a restart says about how the machine went down.
// One that only says how it was switched on again says nothing.
var restarts = map[ipmi.RestartCause]why.Hand{
	ipmi.RestartByCommand: why.ByOperator, ipmi.RestartByResetButton: why.ByOperator,
	ipmi.RestartACAlways: why.ByPower, ipmi.RestartACPrevious: why.ByPower,
	ipmi.RestartByWatchdog: why.ByTimer,
}

// A sensed event is a sensor type with an offset, IPMI 2.0 table 42-3.
type sensed struct{ sensor, offset byte }

// sensors are the events that take a machine down. A single power supply that
// loses its input (08h) is none: that is what the second one is there for.
var sensors = map[sensed]struct {
	text string
	by   why.Hand
}{
	{0x09, 0}: {"power unit: switched off", why.ByOperator},
	{0x09, 1}: {"power unit: power cycle", why.ByOperator},
	{0x09, 4}: {"power unit: AC lost", why.ByPower},
	{0x09, 5}: {"power unit: soft power control failed", why.ByPower},
	{0x09, 6}: {"power unit: failure", why.ByPower},
	{0x14, 0}: {"power button pressed", why.ByOperator},
	{0x14, 2}: {"reset button pressed", why.ByOperator},
	{0x20, 1}: {"the operating system stopped: panic", why.ByPanic},
	{0x23, 0}: {"watchdog: timer expired", why.ByTimer},
	{0x23, 1}: {"watchdog: hard reset", why.ByTimer},
	{0x23, 2}: {"watchdog: power down", why.ByTimer},
	{0x23, 3}: {"watchdog: power cycle", why.ByTimer},
}

const (
	standardRecord = 0x02
	sensorSpecific = 0x6f
	systemRestart  = 0x1d // its offset 7 carries a cause of a restart
)

// entry translates an entry of the log; false: it has nothing to do with
// machines that go down. Bit 7 of the event type says that something is over.
func entry(r ipmi.Record) (why.Entry, bool) {
	if r.Type != standardRecord || r.Raw[12] != sensorSpecific {
		return why.Entry{}, false
	}
	offset := r.Raw[13] & 0x0f
	if r.Raw[10] == systemRestart && offset == 7 {
		c := ipmi.RestartCause(r.Raw[14] & 0x0f)
		return why.Entry{At: r.Time, Text: "system restart: " + c.String(), By: restarts[c]}, restarts[c] != ""
	}
	s, ok := sensors[sensed{r.Raw[10], offset}]
	return why.Entry{At: r.Time, Text: s.text, By: s.by}, ok
}
