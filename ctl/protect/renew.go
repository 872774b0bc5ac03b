package protect

import (
	"context"
	"errors"

	"shisa/ctl/event"
	"shisa/ctl/keeper"
	"shisa/ctl/keeper/wire"
)

// renew has a keeper of another version go on as the program that is installed
// now, without letting go of a countdown, and returns its status. One that does
// not become it guards as well as before; it is announced, and not asked again.
func (p *Protect) renew(ctx context.Context, s keeper.Status) keeper.Status {
	p.mu.Lock()
	tried := p.stale == s.Version
	p.mu.Unlock()
	if p.o.Version == "" || s.Version == p.o.Version || tried || s.State == wire.Down {
		return s
	}
	next, err := p.client.Upgrade(ctx, p.o.Program)
	if err != nil {
		next = s
	} else if next.Version != p.o.Version {
		err = errors.New("that is the program that is installed")
	}
	if err != nil {
		p.mu.Lock()
		p.stale = next.Version
		p.mu.Unlock()
		p.o.Emit(event.KeeperOutdated.New("keeper", "version", next.Version, "wanted", p.o.Version, "error", err.Error()))
	}
	return next
}
