package service

import (
	"context"

	"shisa/ctl/api"
	"shisa/ctl/config"
	"shisa/ctl/doctor"
	"shisa/ctl/why"
)

// reason works out why the machine went down last.
func (p *process) reason(context.Context, *config.Model) why.Verdict {
	state := p.store.State()
	if state.Current.Boot == bootID() {
		return why.Verdict{Cause: why.StillUp, Summary: "The machine did not go down; the service was restarted.", Confidence: why.Certain, Evidence: []why.Line{}}
	}
	return why.Verdict{Cause: why.FirstStart, Summary: "There is no record of an earlier run.", Confidence: why.Certain, Evidence: []why.Line{}}
}

// doctor looks at what the machine offers.
func (p *process) doctor(ctx context.Context) (api.Doctor, error) {
	return doctor.Examine(ctx, p.daemon.Model(), doctor.Options{Keeper: p.protect.View().Protection.Keeper.PID, Witnesses: true})
}
