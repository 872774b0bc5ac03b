package guard

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/beat"
	"shisa/ctl/keeper/witness"
)

// testify makes the test the watch's witness and returns what hears its messages.
func testify(t *testing.T, w *watch) func() []witness.Message {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(pair[0]); unix.Close(pair[1]) })
	w.scribe.Store(&scribe{fd: pair[0]})
	return func() (heard []witness.Message) {
		var b [witness.MessageSize]byte
		for {
			n, err := unix.Read(pair[1], b[:])
			if err == unix.EAGAIN {
				return heard
			}
			if err != nil {
				t.Fatal(err)
			}
			m, err := witness.Parse(b[:n])
			if err != nil {
				t.Fatal(err)
			}
			heard = append(heard, m)
		}
	}
}

// TestLastWordsComeBeforeTheReset stops a beat. Whether the last ping is made when it
// is due, or the keeper sleeps through it, or it hangs, so that the engine fires before
// the beat's limit: the witness hears of it in time to write, and never without need.
func TestLastWordsComeBeforeTheReset(t *testing.T) {
	const limit, timeout, stops = 5 * time.Second, 4 * time.Second, 60 * time.Second
	for _, c := range []struct {
		name         string
		asleep, wake time.Duration // after the last beat; no thread pings between them
		fires        time.Duration // after the last beat
		back         bool          // the beat comes back after the last words
		want         []witness.Phase
	}{
		{name: "the last ping is made in time", fires: limit, want: []witness.Phase{witness.Warning, witness.Final}},
		{name: "the last ping hangs", asleep: 500 * time.Millisecond, wake: time.Minute, fires: timeout, want: []witness.Phase{witness.Final}},
		{name: "the keeper sleeps through it", asleep: 500 * time.Millisecond, wake: 1500 * time.Millisecond, fires: timeout, want: []witness.Phase{witness.Final}},
		{name: "it sleeps through it, and the beat comes back", asleep: 500 * time.Millisecond, wake: 1500 * time.Millisecond, back: true, want: []witness.Phase{witness.Final, witness.Recovered}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSim(t, timeout, 0, rule{fresh: 750 * time.Millisecond}, time.Second) // fed at half the timeout
			loop := s.slot("loop", limit)
			w := &watch{scene: s.scene}
			w.warn.Store(defaultWarn)
			hear := testify(t, w)
			var heard []witness.Phase
			var final beat.Time
			var ping, look beat.Time
			for ; s.now <= s.fires && s.now < start.Add(2*stops); s.now = s.now.Add(10 * time.Millisecond) {
				since := s.now.Sub(start.Add(stops))
				if (since <= 0 || c.back && final > 0) && s.now.Sub(start)%(500*time.Millisecond) == 0 {
					loop.Beat()
				}
				if asleep := since >= c.asleep && since < c.wake; s.now >= ping && !asleep {
					ping = s.post.round(func() beat.Time { return s.now })
				}
				if s.now >= look {
					look = w.round(s.now)
				}
				for _, m := range hear() {
					if heard = append(heard, m.Phase); m.Phase == witness.Final {
						final = s.now
					}
				}
			}
			if !slices.Equal(heard, c.want) {
				t.Errorf("the witness heard %v, want %v", heard, c.want)
			}
			if c.back {
				return
			}
			if got := s.fires.Sub(loop.Last()); got < c.fires-timeout/4 || got > c.fires+tolerance {
				t.Errorf("fired %v after the last beat, want about %v", got, c.fires)
			}
			if left := s.fires.Sub(final); left < limit/10-10*time.Millisecond || left > timeout/2 {
				t.Errorf("the witness had %v to write", left)
			}
		})
	}
}
