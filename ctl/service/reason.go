package service

import (
	"context"
	"slices"
	"time"

	"shisa/ctl/api"
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
	BMCLog  []byte      `json:"bmc_log,omitempty"` // its newest entry then: what comes after it is new

	Ways []time.Duration `json:"ways_ns,omitempty"` // of the last sound ways down and up, oldest first
}

// waysKept is how many sound ways are remembered: of a year in which the machine
// is patched every other month.
const waysKept = 6

// reason works out why the machine went down last, once in each boot. up says
// that it did not go down since the daemon ran last.
func (p *process) reason(ctx context.Context, s scene) (v why.Verdict, up bool) {
	state := p.store.State()
	run := &state.Current
	if run.Boot == "" {
		run = nil
	}
	var before settled
	known := state.Cell(reasonKey, &before)
	e, log := s.gather(run, before.BMCLog)
	if len(before.Ways) > 0 {
		e.Usual = slices.Max(before.Ways)
	}
	v = why.Analyse(e)
	up = v.Cause == why.StillUp
	if up && known && before.Boot == s.now.ID {
		return before.Verdict, true
	}
	ways := before.Ways
	if took := why.Way(e); took > 0 {
		ways = append(ways, took)
		ways = ways[max(0, len(ways)-waysKept):]
	}
	if err := p.store.Save(ctx, reasonKey, settled{s.now.ID, v, log, ways}); err != nil {
		p.log.Error("the reason is not kept for the next start of the service", err, nil)
	}
	return v, up
}

// doctor looks at what the machine offers.
func (p *process) doctor(ctx context.Context) (api.Doctor, error) {
	return doctor.Examine(ctx, p.daemon.Model(), doctor.Options{Keeper: p.protect.View().Protection.Keeper.PID, Running: p.witness.Checks(), Types: p.types})
}
