package protect

import "context"

// Ask does what Run does every few seconds: it asks the keeper how it is, and gives
// its orders again to one that has come back empty.
func (p *Protect) Ask(ctx context.Context) { p.ask(ctx) }

// Seek does what Run does now and then: it looks for a countdown where one is lacking.
func (p *Protect) Seek(ctx context.Context) { p.seek(ctx) }
