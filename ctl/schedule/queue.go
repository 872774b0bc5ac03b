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

// plan puts a monitor where its next thing to do belongs.
func (s *Scheduler) plan(e *entry) {
	due := e.next
	if !e.look.IsZero() && e.look.Before(due) {
		due = e.look
	}
	if e.run != nil && !e.run.timedOut && e.run.late.Before(due) {
		due = e.run.late
	}
	e.slot = s.slotOf(due)
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
