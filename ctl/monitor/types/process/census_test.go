package process

import (
	"sync"
	"testing"
	"testing/synctest"

	"shisa/ctl/proc"
)

// TestCensus: all who ask while a census is taken share the next one, which
// begins after they asked.
func TestCensus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		taken := 0
		begin := make(chan struct{})
		c := census{look: func() ([]life, error) {
			taken++
			n := taken
			<-begin
			return []life{{Stat: proc.Stat{ID: proc.ID{PID: n}}}}, nil
		}}
		got := make([]int, 20)
		var wg sync.WaitGroup
		ask := func(i int) {
			wg.Go(func() {
				all, err := c.take()
				if err != nil || len(all) != 1 {
					t.Errorf("%d: %v, %v", i, all, err)
					return
				}
				got[i] = all[0].PID
			})
		}
		ask(0)
		synctest.Wait() // the first is being taken
		for i := 1; i < len(got); i++ {
			ask(i)
		}
		synctest.Wait()
		close(begin)
		wg.Wait()
		for i, n := range got {
			if want := min(i+1, 2); n != want {
				t.Errorf("asker %d saw census %d, want %d", i, n, want)
			}
		}
	})
}
