package schedule

import (
	"container/heap"
	"time"
)

// A queue orders monitors by the slot in which they have something to do next.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].slot < q[j].slot }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	e := x.(*entry)
	e.index = len(*q)
	*q = append(*q, e)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	e.index = -1
	return e
}

func (q *queue) drop(e *entry) {
	if e.index >= 0 {
		heap.Remove(q, e.index)
	}
}

// slotOf returns the first slot that does not begin before t.
func (s *Scheduler) slotOf(t time.Time) int64 {
	return int64((t.Sub(s.origin) + Slot - 1) / Slot)
}

// gridSlot returns the first slot for a grid point of e: where all of its crowd
// meet whose grain is the same.
func (s *Scheduler) gridSlot(e *entry) int64 {
	g := grain(e.timing.Interval)
	late := e.crowd % g
	return (s.slotOf(e.next)-late+g-1)/g*g + late
}

// grain returns which slots grid points of an interval are put into: every
// grain-th. Each divides the next, so that also monitors of different intervals
// meet, and the largest, a second, so that they meet the other loops.
func grain(interval time.Duration) int64 {
	limit := min(interval/grains, maxGrain)
	for _, g := range []time.Duration{maxGrain, 200 * time.Millisecond, 100 * time.Millisecond} {
		if g <= limit {
			return int64(g / Slot)
		}
	}
	return 1
}

// plan puts a monitor where its next thing to do belongs.
func (s *Scheduler) plan(e *entry) {
	slot := s.gridSlot(e)
	if !e.look.IsZero() {
		slot = min(slot, s.slotOf(e.look))
	}
	if e.run != nil && !e.run.timedOut {
		slot = min(slot, s.slotOf(e.run.late))
	}
	e.slot = slot
	if e.index < 0 {
		heap.Push(&s.queue, e)
	} else {
		heap.Fix(&s.queue, e.index)
	}
	if e.index == 0 && e.slot < s.planned {
		select {
		case s.wake <- struct{}{}:
		default: // the loop has not seen the last one yet
		}
	}
}
