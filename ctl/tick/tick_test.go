package tick

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestTogether: loops of different periods that began at different moments meet.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now() // a whole second
		for _, c := range []struct{ after, every, want time.Duration }{
			{0, time.Second, time.Second},
			{time.Millisecond, time.Second, time.Second},
			{999 * time.Millisecond, time.Second, time.Second},
			{300 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond},
			{1300 * time.Millisecond, 2 * time.Second, 2 * time.Second},
			{3 * time.Second, 5 * time.Second, 5 * time.Second},
		} {
			go func() {
				time.Sleep(c.after)
				if !Wait(t.Context(), c.every) {
					t.Errorf("after %v every %v: not waited for", c.after, c.every)
				}
				if got := time.Since(begin); got != c.want {
					t.Errorf("after %v every %v: woke at %v, want %v", c.after, c.every, got, c.want)
				}
			}()
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
	})
}

func TestDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if Sleep(ctx, time.Hour) || Wait(ctx, time.Hour) {
		t.Error("a done context was not noticed")
	}
}
