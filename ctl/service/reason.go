package service

import (
	"context"

	"shisa/ctl/api"
	"shisa/ctl/config"
	"shisa/ctl/doctor"
	"shisa/ctl/why"
)

// reasonKey is the cell of the store that keeps the verdict of this boot: the
// evidence is gone when the daemon starts a second time.
const reasonKey = "reason"

// settled is a verdict with the boot that it was reached in.
type settled struct {
	Boot    string      `json:"boot"`
	Verdict why.Verdict `json:"verdict"`
}

// reason works out why the machine went down last, once in each boot. up says
// that it did not go down since the daemon ran last.
func (p *process) reason(ctx context.Context, m *config.Model) (v why.Verdict, up bool) {
	state := p.store.State()
	run := &state.Current
	if run.Boot == "" {
		run = nil
	}
	e := p.evidence(m.Store.Dir, run)
	v = why.Analyse(e)
	up = v.Cause == why.StillUp
	var before settled
	if up && state.Cell(reasonKey, &before) && before.Boot == e.Now.ID {
		return before.Verdict, true
	}
	if err := p.store.Save(ctx, reasonKey, settled{e.Now.ID, v}); err != nil {
		p.log.Error("the reason is not kept for the next start of the service", err, nil)
	}
	return v, up
}

// doctor looks at what the machine offers.
func (p *process) doctor(ctx context.Context) (api.Doctor, error) {
	return doctor.Examine(ctx, p.daemon.Model(), doctor.Options{Keeper: p.protect.View().Protection.Keeper.PID, Witnesses: true, Types: p.types})
}
