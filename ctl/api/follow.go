package api

import (
	"context"
	"errors"

	"shisa/ctl/event"
)

// FollowBus does the work of Backend.Follow: it gives what history returns for
// q and then what bus publishes to emit, each event once, without a gap
// between the two.
func FollowBus(ctx context.Context, q EventQuery, bus *event.Bus,
	history func(context.Context, EventQuery) ([]event.Event, error), emit func(FollowItem) error) error {
	// Subscribe before reading, so that nothing falls between.
	sub, err := bus.Subscribe(0)
	switch {
	case errors.Is(err, event.ErrTooMany):
		return Errorf(Busy, "%v", err)
	case err != nil:
		return Errorf(NotReady, "shisad is stopping")
	}
	defer sub.Close()
	past, err := history(ctx, q)
	if err != nil {
		return err
	}
	last := q.After
	for _, e := range past {
		last = max(last, e.Seq)
		if err := emit(FollowItem{Event: &e}); err != nil {
			return err
		}
	}
	for {
		d, err := sub.Next(ctx)
		if errors.Is(err, event.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		item := FollowItem{Lost: d.Lost}
		if d.Event.Seq > last && q.Matches(d.Event) {
			item.Event = &d.Event
		}
		if item.Event == nil && item.Lost == 0 {
			continue
		}
		if err := emit(item); err != nil {
			return err
		}
	}
}
