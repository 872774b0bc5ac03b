package event

import (
	"context"
	"errors"
	"sync"
)

// Limits of the bus.
const (
	// QueueLimit is how many events a subscriber may lag behind before it
	// loses the oldest. Ordinary operation makes a few events a minute; a
	// storm of one event from each of 1 000 monitors fits.
	QueueLimit = 1024
	// SubscriberLimit bounds subscribers, each of which may hold QueueLimit events.
	SubscriberLimit = 256
)

// ErrClosed says that the bus or the subscription is closed.
var ErrClosed = errors.New("event bus closed")

// ErrTooMany says that there are SubscriberLimit subscribers already.
var ErrTooMany = errors.New("too many subscribers to events")

// A Bus hands every published event to every subscriber, in the same order.
// Publishing never waits for a subscriber: one that is too slow loses its
// oldest events and learns how many. It starts no goroutine.
type Bus struct {
	mu     sync.Mutex
	stamp  func(*Event)
	subs   map[*Subscription]struct{}
	closed bool
}

// NewBus returns a bus. It calls stamp, which may be nil, on each event before
// anyone sees it, one event at a time: the place to add sequence number and
// times.
func NewBus(stamp func(*Event)) *Bus {
	return &Bus{stamp: stamp, subs: map[*Subscription]struct{}{}}
}

// Publish stamps e, queues it for all subscribers and returns it as they see
// it. After Close it only stamps.
func (b *Bus) Publish(e Event) Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stamp != nil {
		b.stamp(&e)
	}
	if !b.closed {
		for s := range b.subs {
			s.push(e)
		}
	}
	return e
}

// Subscribe returns a subscription to all events published from now on; limit
// bounds its queue, 0 means QueueLimit. The error is ErrClosed or ErrTooMany.
func (b *Bus) Subscribe(limit int) (*Subscription, error) {
	if limit <= 0 {
		limit = QueueLimit
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return nil, ErrClosed
	case len(b.subs) >= SubscriberLimit:
		return nil, ErrTooMany
	}
	s := &Subscription{bus: b, limit: limit, wake: make(chan struct{}, 1)}
	b.subs[s] = struct{}{}
	return s, nil
}

// Close ends all subscriptions: each still delivers what is queued, and then
// ErrClosed.
func (b *Bus) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for s := range b.subs {
		s.end()
	}
	clear(b.subs)
}

// A Delivery is one event and how many were lost before it.
type Delivery struct {
	Event Event
	Lost  uint64
}

// A Subscription is a bounded queue of events for one reader.
type Subscription struct {
	bus   *Bus
	limit int
	wake  chan struct{} // holds a token when there may be something new

	mu    sync.Mutex
	queue []Event
	lost  uint64 // since the last delivery
	ended bool
}

// Next returns the next event, waiting for one until ctx is done or the
// subscription ends. It is for one goroutine at a time.
func (s *Subscription) Next(ctx context.Context) (Delivery, error) {
	for {
		if d, ok, err := s.pop(); ok || err != nil {
			return d, err
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return Delivery{}, ctx.Err()
		}
	}
}

// Close ends the subscription; a waiting Next returns ErrClosed when it has
// delivered what is queued.
func (s *Subscription) Close() {
	s.bus.mu.Lock()
	delete(s.bus.subs, s)
	s.bus.mu.Unlock()
	s.end()
}

func (s *Subscription) push(e Event) {
	s.mu.Lock()
	if len(s.queue) >= s.limit {
		// Shift rather than reslice, so that the backing array stays bounded.
		copy(s.queue, s.queue[1:])
		s.queue = s.queue[:len(s.queue)-1]
		s.lost++
	}
	s.queue = append(s.queue, e)
	s.mu.Unlock()
	s.ring()
}

func (s *Subscription) pop() (Delivery, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		if s.ended {
			return Delivery{}, false, ErrClosed
		}
		return Delivery{}, false, nil
	}
	d := Delivery{Event: s.queue[0], Lost: s.lost}
	s.lost = 0
	s.queue[0] = Event{}
	if s.queue = s.queue[1:]; len(s.queue) == 0 {
		s.queue = nil // an idle subscriber holds no memory
	}
	return d, true, nil
}

func (s *Subscription) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.ring()
}

func (s *Subscription) ring() {
	select {
	case s.wake <- struct{}{}:
	default: // a token is there already
	}
}
