package event

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
)

// numbered returns a bus that numbers events from 1.
func numbered() *Bus {
	var seq uint64
	return NewBus(func(e *Event) { seq++; e.Seq = seq })
}

func subscribe(t *testing.T, b *Bus, limit int) *Subscription {
	t.Helper()
	s, err := b.Subscribe(limit)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestBusDeliversInOrderToAll(t *testing.T) {
	b := numbered()
	s1, s2 := subscribe(t, b, 0), subscribe(t, b, 0)
	for range 3 {
		b.Publish(ServiceStarted.New(""))
	}
	for _, s := range []*Subscription{s1, s2} {
		for want := range uint64(3) {
			d, err := s.Next(t.Context())
			if err != nil || d.Event.Seq != want+1 || d.Lost != 0 {
				t.Fatalf("got %d, lost %d, %v; want %d", d.Event.Seq, d.Lost, err, want+1)
			}
		}
	}
}

func TestBusSlowSubscriberLosesOldestAndIsTold(t *testing.T) {
	b := numbered()
	slow, other := subscribe(t, b, 4), subscribe(t, b, 0)
	for range 10 {
		b.Publish(ServiceStarted.New("")) // never waits, or this test would hang
	}
	d, err := slow.Next(t.Context())
	if err != nil || d.Event.Seq != 7 || d.Lost != 6 {
		t.Fatalf("got %d, lost %d, %v; want event 7 after 6 lost", d.Event.Seq, d.Lost, err)
	}
	if d, _ = slow.Next(t.Context()); d.Event.Seq != 8 || d.Lost != 0 {
		t.Errorf("a gap is told once: got %d, lost %d", d.Event.Seq, d.Lost)
	}
	if d, _ = other.Next(t.Context()); d.Event.Seq != 1 || d.Lost != 0 {
		t.Errorf("one slow subscriber cost another its events: %d, %d", d.Event.Seq, d.Lost)
	}
}

func TestBusNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := numbered()
		s := subscribe(t, b, 0)
		got := make(chan uint64, 1)
		go func() {
			d, _ := s.Next(context.Background())
			got <- d.Event.Seq
		}()
		synctest.Wait() // Next is blocked now
		b.Publish(ServiceStarted.New(""))
		if seq := <-got; seq != 1 {
			t.Errorf("got %d", seq)
		}
	})
}

func TestBusEnds(t *testing.T) {
	b := numbered()
	s := subscribe(t, b, 0)
	b.Publish(ServiceStarted.New(""))
	b.Close()
	if d, err := s.Next(t.Context()); err != nil || d.Event.Seq != 1 {
		t.Errorf("what was queued is lost at close: %v", err)
	}
	if _, err := s.Next(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	if _, err := b.Subscribe(0); !errors.Is(err, ErrClosed) {
		t.Errorf("subscribed to a closed bus: %v", err)
	}
	s.Close()
	b.Close()
	if e := b.Publish(ServiceStopping.New("")); e.Seq != 2 {
		t.Errorf("not stamped after close: %d", e.Seq)
	}
}

func TestBusNextEndsWithContext(t *testing.T) {
	s := subscribe(t, numbered(), 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestBusSubscriberLimit(t *testing.T) {
	b := numbered()
	for range SubscriberLimit {
		subscribe(t, b, 1)
	}
	_, err := b.Subscribe(1)
	if !errors.Is(err, ErrTooMany) {
		t.Fatalf("got %v", err)
	}
	for s := range b.subs {
		defer b.Subscribe(1)
		s.Close()
		break
	}
	subscribe(t, b, 1)
}

func TestBusConcurrent(t *testing.T) {
	b := numbered()
	s := subscribe(t, b, 64)
	const publishers, each = 4, 500
	var wg sync.WaitGroup
	for range publishers {
		wg.Go(func() {
			for range each {
				b.Publish(ServiceStarted.New(""))
			}
		})
	}
	done := make(chan error, 1)
	go func() {
		var seen, last uint64
		for seen < publishers*each {
			d, err := s.Next(t.Context())
			if err != nil {
				done <- err
				return
			}
			if d.Event.Seq != last+d.Lost+1 {
				done <- fmt.Errorf("event %d after %d with %d lost", d.Event.Seq, last, d.Lost)
				return
			}
			last, seen = d.Event.Seq, seen+d.Lost+1
		}
		done <- nil
	}()
	wg.Wait()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Fix 96 of the original: some monitors recorded an error alert at every
// interval.
func TestFix96AlertOnlyOnChange(t *testing.T) {
	var c Changes
	alerts := 0
	for i, state := range []string{"failed", "failed", "failed", "ok", "ok", "failed", "failed"} {
		if c.Changed("monitor/web", state) {
			alerts++
		}
		if c.Changed("monitor/db", "ok") != (i == 0) {
			t.Error("subjects are mixed up")
		}
	}
	if alerts != 3 {
		t.Errorf("%d alerts for 3 changes", alerts)
	}
	c.Forget("monitor/web")
	if !c.Changed("monitor/web", "failed") {
		t.Error("a forgotten subject is still known")
	}
}

func BenchmarkPublish(b *testing.B) {
	bus := numbered()
	for range 4 {
		if _, err := bus.Subscribe(0); err != nil {
			b.Fatal(err)
		}
	}
	e := MonitorFailed.New("monitor/web", "detail", "x")
	for i := range b.N {
		e.Subject = strconv.Itoa(i)
		bus.Publish(e)
	}
}
