package guard

import (
	"testing"
	"time"

	"shisa/ctl/keepalive"
)

// A keeper that is terminated during a shutdown leaves to the device what is left,
// not the whole timeout again.
func TestRest(t *testing.T) {
	for _, c := range []struct {
		name       string
		gone, hold time.Duration
		want       time.Duration // of the engine; 0: it is left alone
	}{
		{"in the middle", 30 * time.Second, 0, 60 * time.Second},
		{"at the end", 90 * time.Second, 0, time.Second},
		{"past the end", 100 * time.Second, 0, time.Second},
		{"more than the device knows", 30 * time.Second, 40 * time.Second, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSim(t, 90*time.Second, 0, rule{}, 0)
			s.scene.mode.Store(never)
			if c.hold > 0 {
				s.post.hold = start.Add(c.hold)
			}
			s.now = start.Add(c.gone)
			before := s.post.granted
			s.post.rest(s.now)
			want := keepalive.Granted{Timeout: c.want, Action: keepalive.Reset}
			if c.want == 0 {
				want = before
			}
			if s.post.granted != want {
				t.Errorf("granted %+v, want %+v", s.post.granted, want)
			}
		})
	}
}
