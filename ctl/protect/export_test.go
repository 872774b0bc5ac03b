package protect

import "context"

// Ask does what Run does every few seconds: it asks the keeper how it is, and gives
// its orders again to one that has come back empty.
func (p *Protect) Ask(ctx context.Context) { p.ask(ctx) }
