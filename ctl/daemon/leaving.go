package daemon

import (
	"context"

	"shisa/ctl/store"
)

// systemGoesDown records that the operating system goes down though nobody asked us
// for it: what becomes of the machine from now on is a shutdown, be it clean or not.
// An order that was recorded before says more and stands.
func (d *Daemon) systemGoesDown(ctx context.Context, how, by, reason string) {
	if l := d.parts.Store.State().Current.Leaving; l != nil && l.How != "stop" {
		return
	}
	d.log("the shutdown is not recorded", d.parts.Store.Leaving(ctx, store.Leaving{How: how, By: by, Reason: reason, Phase: "requested"}))
}
