package guard

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"shisa/ctl/beat"
	"shisa/ctl/keepalive"
	"shisa/ctl/keepalive/keepalivetest"
	"shisa/ctl/keeper/wire"
)

// A sim is a machine in simulated time: a page, a countdown that knows when it
// fires, and the post that pings it.
type sim struct {
	t     *testing.T
	now   beat.Time
	page  *beat.Page
	scene *scene
	post  *post
	fires beat.Time // when the countdown runs out unless pinged
	dead  bool      // the ping does not return an answer
}

const start = beat.Time(1000 * int64(time.Second))

// newSim arms a countdown of timeout with a rule for beats.
func newSim(t *testing.T, timeout, margin time.Duration, r rule, feed time.Duration) *sim {
	s := &sim{t: t, now: start, scene: new(scene)}
	s.page = beat.New(func() beat.Time { return s.now })
	s.scene.page.Store(s.page)
	s.scene.fresh.Store(int64(r.fresh))
	s.scene.absence.Store(int64(r.absence))
	s.scene.absent.Store(r.absent)
	engine := &keepalivetest.Fake{What: keepalive.Info{FeedEvery: feed}, OnPing: func() error {
		if s.dead {
			return errors.New("no answer")
		}
		s.fires = s.now.Add(timeout)
		return nil
	}}
	ask := keepalive.Request{Timeout: timeout, Action: keepalive.Reset}
	granted, err := engine.Arm(ask)
	if err != nil {
		t.Fatal(err)
	}
	s.post = &post{scene: s.scene, engine: engine, info: engine.Info(), guard: wire.Guard{Request: ask, Margin: margin}, granted: granted, last: s.now}
	s.post.armed.Store(true)
	s.fires = s.now.Add(timeout)
	return s
}

func (s *sim) slot(name string, limit time.Duration) *beat.Slot {
	slot, err := s.page.Slot(name, limit)
	if err != nil {
		s.t.Fatal(err)
	}
	return slot
}

// run lets time pass until t, or until the countdown fires, and reports
// whether it did. Every interval it calls each.
func (s *sim) run(t beat.Time, interval time.Duration, each func()) bool {
	wake, next := s.now, s.now
	for s.now < t {
		s.now = min(wake, next, t)
		if s.now > s.fires {
			s.now = s.fires
			return true
		}
		if s.now == next {
			next = next.Add(interval)
			if each != nil {
				each()
			}
		}
		if s.now == wake {
			if wake = s.post.round(func() beat.Time { return s.now }); wake <= s.now {
				s.t.Fatalf("the next round is at %v, which is not after %v", wake, s.now)
			}
		}
	}
	return false
}

// A notebook is an engine that keeps words.
type notebook struct {
	*keepalivetest.Fake
	notes []string
}

func (n *notebook) Note(text string) error {
	n.notes = append(n.notes, text)
	return nil
}

// TestNote lets a beat stop, come back, and stop for good: each time the engine is told
// once which one it is.
func TestNote(t *testing.T) {
	s := newSim(t, 4*time.Second, 0, rule{fresh: time.Second}, 0)
	n := &notebook{Fake: s.post.engine.(*keepalivetest.Fake)}
	s.post.engine = n
	loop := s.slot("loop", 10*time.Second)
	other := s.slot("other", 100*time.Second)
	both := func() { loop.Beat(); other.Beat() }
	both()
	for i := range 2 {
		if s.run(s.now.Add(20*time.Second), time.Second, both) || len(n.notes) != i {
			t.Fatalf("while all beats come: %q", n.notes)
		}
		s.run(loop.Last().Add(8*time.Second), time.Second, other.Beat)
	}
	if !s.run(s.now.Add(time.Hour), time.Second, other.Beat) {
		t.Fatal("it never fired")
	}
	for _, note := range n.notes {
		if !strings.Contains(note, "beat loop was last seen") || !strings.Contains(note, "its limit is 10000 ms") {
			t.Errorf("note %q", note)
		}
	}
	if len(n.notes) != 2 {
		t.Errorf("got %d notes, want 2: %q", len(n.notes), n.notes)
	}
}

func TestFiresExactlyAtTheLimit(t *testing.T) {
	for _, c := range []struct {
		interval, limit, timeout, margin, feed time.Duration
	}{
		{3 * time.Second, 90 * time.Second, 85 * time.Second, 0, 0},
		{500 * time.Millisecond, 3 * time.Second, 2 * time.Second, 0, 0},
		{time.Second, 10 * time.Second, 8 * time.Second, 0, 0},
		{3 * time.Second, 90 * time.Second, 115 * time.Second, 30 * time.Second, 0},           // a backstop
		{3 * time.Second, 90 * time.Second, 115 * time.Second, 30 * time.Second, time.Second}, // a BMC, fed gently
		{3 * time.Second, 90 * time.Second, 30 * time.Second, 0, 0},                           // a chip that grants little
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			s := newSim(t, c.timeout, c.margin, rule{fresh: c.interval * 3 / 2}, c.feed)
			loop := s.slot("loop", c.limit)
			other := s.slot("other", 2*c.limit)
			beats := func() { loop.Beat(); other.Beat() }
			beats()
			if s.run(start.Add(10*time.Minute), c.interval, beats) {
				t.Fatalf("fired after %v though every beat came", s.now.Sub(start))
			}
			last := loop.Last()
			if !s.run(last.Add(time.Hour), c.interval, other.Beat) {
				t.Fatal("one loop has stopped and it never fired")
			}
			if got, want := s.now.Sub(last), c.limit+c.margin; got < want || got > want+tolerance {
				t.Errorf("fired %v after the last beat, want %v", got, want)
			}
		})
	}
}

func TestBMCIsFedGently(t *testing.T) {
	s := newSim(t, 120*time.Second, 30*time.Second, rule{fresh: 5 * time.Second}, time.Second)
	loop := s.slot("loop", 95*time.Second)
	loop.Beat()
	s.run(start.Add(time.Hour), 3*time.Second, loop.Beat)
	if got := s.page.Engine(0).Pings.Load(); got < 58 || got > 62 {
		t.Errorf("%d pings in an hour with a timeout of 120s, want one a minute", got)
	}
}

func TestLateBeatIsForgiven(t *testing.T) {
	s := newSim(t, 85*time.Second, 0, rule{fresh: 4500 * time.Millisecond}, 0)
	loop := s.slot("loop", 90*time.Second)
	loop.Beat()
	// Every beat comes after 88 of 90 seconds: slow, and progress all the same.
	if s.run(start.Add(24*time.Hour), 88*time.Second, loop.Beat) {
		t.Errorf("fired after %v", s.now.Sub(start))
	}
}

// TestCoarseEngine has an engine whose shortest timeout is longer than the
// limit: it must not fire in good times, and fires late in bad ones.
func TestCoarseEngine(t *testing.T) {
	s := newSim(t, 60*time.Second, 0, rule{fresh: 3 * time.Second}, 0)
	loop := s.slot("loop", 10*time.Second)
	loop.Beat()
	if s.run(start.Add(time.Hour), 2*time.Second, loop.Beat) {
		t.Fatal("fired though every beat came")
	}
	if last := loop.Last(); !s.run(last.Add(time.Hour), time.Hour, nil) || s.now.Sub(last) > 64*time.Second {
		t.Errorf("fired %v after the last beat", s.now.Sub(last))
	}
}

func TestAbsence(t *testing.T) {
	for _, c := range []struct {
		name    string
		absence time.Duration
		absent  bool
		want    time.Duration
	}{
		{"hung, not absent", time.Minute, false, 10 * time.Second},
		{"absent", time.Minute, true, time.Minute},
		{"absent with a short absence", time.Second, true, 10 * time.Second},
		{"absent with none configured", 0, true, 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSim(t, 8*time.Second, 0, rule{fresh: 1500 * time.Millisecond, absence: c.absence, absent: c.absent}, 0)
			loop := s.slot("loop", 10*time.Second)
			loop.Beat()
			if !s.run(start.Add(time.Hour), time.Hour, nil) {
				t.Fatal("never fired")
			}
			if got := s.now.Sub(start); got < c.want || got > c.want+tolerance {
				t.Errorf("fired after %v, want %v", got, c.want)
			}
		})
	}
}

func TestEmptyPageIsAbsence(t *testing.T) {
	s := newSim(t, 8*time.Second, 0, rule{fresh: time.Second, absence: 30 * time.Second}, 0)
	if !s.run(start.Add(time.Hour), time.Hour, nil) || s.now.Sub(start) != 30*time.Second {
		t.Errorf("a daemon that never made a slot: fired after %v, want 30s", s.now.Sub(start))
	}
}

func TestModes(t *testing.T) {
	s := newSim(t, 8*time.Second, 0, rule{fresh: time.Second}, 0)
	s.slot("loop", 10*time.Second)
	s.scene.mode.Store(always)
	if s.run(start.Add(time.Hour), time.Hour, nil) {
		t.Error("what cannot be stopped, and was to be, fired")
	}
	s.scene.mode.Store(never)
	from := s.now
	if !s.run(from.Add(time.Hour), time.Hour, nil) || s.now.Sub(from) > 8*time.Second {
		t.Errorf("a shutdown that hangs: fired after %v", s.now.Sub(from))
	}
}

// TestShutdownLongerThanTheDeviceKnows pings until what is left is what the
// device can count.
func TestShutdownLongerThanTheDeviceKnows(t *testing.T) {
	s := newSim(t, 8*time.Second, 0, rule{}, 0)
	s.scene.mode.Store(never)
	s.post.hold = start.Add(100 * time.Second)
	if !s.run(start.Add(time.Hour), time.Hour, nil) || s.now.Sub(start) != 108*time.Second {
		t.Errorf("fired after %v, want 108s", s.now.Sub(start))
	}
}

func TestPingThatFailsIsRepeated(t *testing.T) {
	s := newSim(t, 60*time.Second, 0, rule{fresh: 5 * time.Second}, time.Second)
	loop := s.slot("loop", 70*time.Second)
	loop.Beat()
	s.dead = true
	s.run(start.Add(50*time.Second), 3*time.Second, loop.Beat)
	if s.page.Engine(0).Errors.Load() < 10 || s.post.failure.Load() == nil {
		t.Error("errors are not counted")
	}
	s.dead = false
	if s.run(start.Add(10*time.Minute), 3*time.Second, loop.Beat) {
		t.Error("fired though the engine answered again in time")
	}
	if s.post.failure.Load() != nil {
		t.Error("an error that is over is still shown")
	}
}

func TestPauseOfTheMachineIsForgiven(t *testing.T) {
	var g gaps
	p := beat.New(func() beat.Time { return start })
	if _, err := p.Slot("loop", 10*time.Second); err != nil {
		t.Fatal(err)
	}
	r := rule{fresh: time.Second}
	paused := start.Add(time.Second)
	resumed := paused.Add(9 * time.Second)
	if v := r.judge(p, resumed, &g, 8*time.Second, 0); v.until > resumed {
		t.Error("without a gap a beat of 10s is stale")
	}
	g.note(paused, resumed)
	if v := r.judge(p, resumed, &g, 8*time.Second, 0); v.until < resumed || v.deadline != start.Add(19*time.Second) {
		t.Errorf("after a pause of 9s: until %v, deadline %v", v.until.Sub(start), v.deadline.Sub(start))
	}
	// Pauses again and again add at most the limit once.
	for range 20 {
		paused, resumed = resumed.Add(time.Second), resumed.Add(5*time.Second)
		g.note(paused, resumed)
	}
	if v := r.judge(p, resumed, &g, 8*time.Second, 0); v.deadline != start.Add(20*time.Second) {
		t.Errorf("deadline %v, want 20s", v.deadline.Sub(start))
	}
	g.note(resumed, resumed.Add(10*time.Millisecond))
	if g.since(resumed) != 0 {
		t.Error("an ordinary lateness counts as a pause")
	}
}

// TestFix085 starts the clock just below the points where tick counters of 32
// bits wrap: the original warned of delays after 198 days.
func TestFix085NoFalseDelayAcrossTickWraps(t *testing.T) {
	for _, hz := range []int64{100, 250, 1000} {
		for _, ticks := range []int64{1 << 31, 1 << 32} {
			wrap := beat.Time(ticks * (int64(time.Second) / hz))
			var g gaps
			now := wrap.Add(-2 * time.Second)
			p := beat.New(func() beat.Time { return now })
			s, err := p.Slot("loop", 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			for range 8 {
				s.Beat()
				now = now.Add(time.Second)
				if v := (rule{}).judge(p, now, &g, 0, 0); v.age != time.Second || v.deadline <= now {
					t.Errorf("HZ %d, %d ticks: age %v, deadline in %v", hz, ticks, v.age, v.deadline.Sub(now))
				}
			}
		}
	}
}

// TestEnhancement043: after 447 and 497 days of running the original was told
// wrong start times by the system and judged timeouts wrongly.
func TestEnhancement043LongUptime(t *testing.T) {
	for _, days := range []int64{198, 447, 497, 10 * 365} {
		now := beat.Time(days * 24 * int64(time.Hour))
		p := beat.New(func() beat.Time { return now })
		if _, err := p.Slot("loop", 10*time.Second); err != nil {
			t.Fatal(err)
		}
		now = now.Add(9 * time.Second)
		if v := (rule{}).judge(p, now, new(gaps), 0, 0); v.deadline.Sub(now) != time.Second {
			t.Errorf("%d days: %v left, want 1s", days, v.deadline.Sub(now))
		}
		now = now.Add(2 * time.Second)
		if v := (rule{}).judge(p, now, new(gaps), 0, 0); v.deadline.Sub(now) != -time.Second {
			t.Errorf("%d days: %v left, want -1s", days, v.deadline.Sub(now))
		}
	}
}

func TestHostileTimes(t *testing.T) {
	now := start
	p := beat.New(func() beat.Time { return now })
	s, err := p.Slot("loop", time.Duration(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	if v := (rule{}).judge(p, now, new(gaps), 0, 0); v.limit != maxLimit {
		t.Errorf("a limit of centuries counts as %v", v.limit)
	}
	s.SetLimit(10 * time.Second)
	now = start.Add(time.Hour)
	s.Beat() // in the future, as seen from start
	if v := (rule{}).judge(p, start, new(gaps), 0, 0); v.deadline > start {
		t.Error("a beat from the future keeps the machine alive")
	}
}

func TestRoundAllocatesNothing(t *testing.T) {
	s := newSim(t, 8*time.Second, 0, rule{fresh: 1500 * time.Millisecond}, 0)
	loop := s.slot("loop", 10*time.Second)
	clock := func() beat.Time { return s.now }
	w := &watch{scene: s.scene}
	w.warn.Store(80)
	n := testing.AllocsPerRun(1000, func() {
		loop.Beat()
		s.now = s.now.Add(time.Second)
		s.post.round(clock)
		w.round(s.now)
	})
	if n != 0 {
		t.Errorf("%v allocations a round, want none", n)
	}
	if s.page.Engine(0).Pings.Load() < 1000 {
		t.Errorf("only %d pings", s.page.Engine(0).Pings.Load())
	}
}

func FuzzJudge(f *testing.F) {
	f.Add(int64(start), int64(start), int64(10*time.Second), int64(8*time.Second), int64(0), false)
	f.Fuzz(func(t *testing.T, now, last, limit, timeout, absence int64, absent bool) {
		at := beat.Time(last)
		p := beat.New(func() beat.Time { return at })
		if limit <= 0 || now < 0 || timeout < 0 || timeout > int64(maxLimit) || now > int64(1000*maxLimit) {
			return
		}
		if _, err := p.Slot("loop", time.Duration(limit)); err != nil {
			t.Fatal(err)
		}
		r := rule{fresh: time.Second, absence: time.Duration(absence), absent: absent}
		v := r.judge(p, beat.Time(now), new(gaps), time.Duration(timeout), 0)
		if v.deadline > beat.Time(now).Add(maxLimit+ahead) {
			t.Errorf("alive until %v after now", v.deadline.Sub(beat.Time(now)))
		}
		if v.slot != 0 || v.age < 0 {
			t.Errorf("slot %d, age %v", v.slot, v.age)
		}
	})
}
