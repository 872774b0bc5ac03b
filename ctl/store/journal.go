package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// journalQueue bounds records that wait for the disk. The daemon writes a
	// few a day; so many wait only while the disk hangs.
	journalQueue = 64
	// mendEvery is the pause between attempts to write a journal that could
	// not be written.
	mendEvery = 15 * time.Second
	// cellLimit bounds the value of one cell in bytes: the names of 16 384
	// suspended monitors of 63 bytes, twice over; cellCount bounds the keys.
	cellLimit = 2 << 20
	cellCount = 3
)

// A journal is the safety state: records on a disk and the State they add up
// to. One goroutine writes; it may hang with the disk without holding up
// anybody who reads the state.
type journal struct {
	disk    disk
	limit   int64 // of the file, in bytes, before it is compacted
	stamp   func() Stamp
	changed func(error)
	queue   chan request
	ended   chan struct{} // closed when run has returned
	keep    bool          // what is on the disk was not understood: put it aside before it is replaced

	mu     sync.Mutex // guards what follows; never held while the disk works
	state  State
	size   int64
	broken error // the disk does not hold the state
	damage Damage
}

type request struct {
	record Record
	done   chan<- error
}

// load reads the state from the disk and writes it back compacted, which also
// mends damage. It never fails: what does not work stands in broken.
func (j *journal) load() {
	b, err := j.disk.read(max(4*payloadLimit, 2*j.limit))
	j.damage = scan(b, func(payload []byte) bool {
		at, r, err := decode(payload)
		if err == nil {
			j.state = j.state.with(at, r)
		}
		return err == nil
	})
	j.keep = err != nil || j.damage.Any()
	if j.compact(); err != nil {
		j.broken = errors.Join(fmt.Errorf("read journal: %w", err), j.broken)
	}
}

// run writes what is queued until ctx is done and the queue is empty.
func (j *journal) run(ctx context.Context) {
	defer close(j.ended)
	for {
		var mend <-chan time.Time
		if j.health() != nil {
			mend = time.After(mendEvery)
		}
		select {
		case r := <-j.queue:
			r.done <- j.write(r.record)
		case <-mend:
			j.compact()
		case <-ctx.Done():
			for {
				select {
				case r := <-j.queue:
					r.done <- j.write(r.record)
				default:
					return
				}
			}
		}
	}
}

// record queues r and waits until it is on disk, or ctx is done. After an
// error the record counts in memory all the same, and is written with the
// state when the disk works again.
func (j *journal) record(ctx context.Context, r Record) error {
	done := make(chan error, 1)
	select {
	case j.queue <- request{r, done}:
	case <-j.ended:
		return fmt.Errorf("record %s: %w", r.kind(), ErrClosed)
	case <-ctx.Done():
		return fmt.Errorf("record %s: the disk hangs: %w", r.kind(), ctx.Err())
	}
	select {
	case err := <-done:
		return err
	case <-j.ended:
		select {
		case err := <-done: // it was written last
			return err
		default:
			return fmt.Errorf("record %s: %w", r.kind(), ErrClosed)
		}
	case <-ctx.Done():
		return fmt.Errorf("record %s: the disk hangs: %w", r.kind(), ctx.Err())
	}
}

func (j *journal) write(r Record) error {
	at := j.stamp()
	payload, err := encode(at, r)
	if err != nil {
		return err
	}
	j.mu.Lock()
	j.state = j.state.with(at, r)
	whole := j.broken != nil || j.size+int64(len(payload)) > j.limit
	j.mu.Unlock()
	if whole {
		return j.compact()
	}
	frame := appendFrame(nil, payload)
	if err := j.disk.add(frame); err != nil {
		return j.settle(0, fmt.Errorf("write journal: %w", err))
	}
	return j.settle(int64(len(frame)), nil)
}

// compact replaces the file by one record that holds the whole state.
func (j *journal) compact() error {
	if j.keep {
		if err := j.disk.aside(); err != nil {
			return j.settle(0, fmt.Errorf("keep the damaged journal: %w", err))
		}
		j.keep = false
	}
	payload, err := encode(j.stamp(), past{j.current()})
	if err != nil {
		return j.settle(0, err)
	}
	frame := appendFrame(nil, payload)
	if err := j.disk.replace(frame); err != nil {
		return j.settle(0, fmt.Errorf("write journal: %w", err))
	}
	j.mu.Lock()
	j.size = 0
	j.mu.Unlock()
	return j.settle(int64(len(frame)), nil)
}

// settle notes the outcome of a write that added n bytes.
func (j *journal) settle(n int64, err error) error {
	j.mu.Lock()
	j.size += n
	flipped := (j.broken == nil) != (err == nil)
	j.broken = err
	j.mu.Unlock()
	if flipped && j.changed != nil {
		j.changed(err)
	}
	return err
}

func (j *journal) current() State {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.state
}

func (j *journal) health() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.broken
}

// check refuses a record that would make the journal grow without bound.
func (j *journal) check(r Record) error {
	c, ok := r.(Cell)
	if !ok {
		return nil
	}
	s := j.current()
	if _, known := s.Cells[c.Key]; !known && len(s.Cells) >= cellCount {
		return fmt.Errorf("cell %s: there are %d already", c.Key, cellCount)
	}
	if len(c.Value) > cellLimit {
		return errors.New("cell " + c.Key + ": too large")
	}
	return nil
}
