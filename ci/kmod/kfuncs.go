package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"shisa/ci/vm"
)

// kfunc lets an eBPF program ping and then hand over a missed beat: the machine is
// reset at once, a minute before the timeout. Where headers bring no types, or the
// kernel is too old, the module says that it has no kfuncs and works without.
func kfunc(ctx context.Context, r *rig, g *vm.Guest) (result, error) {
	has, err := g.Sh(ctx, "dmesg | sed -n 's/.*clpka: timeout.*kfuncs //p'")
	if err != nil {
		return result{}, err
	}
	want := "yes"
	if r.before(6, 12) { // Debian's headers bring types from then on
		want = "no"
	}
	if has = strings.TrimSpace(has); has != want {
		return result{seen: "kfuncs/" + has}, fmt.Errorf("want kfuncs %s", want)
	}
	if _, compiled := r.files[program]; has == "no" || !compiled {
		return result{seen: "kfuncs/" + has}, nil
	}
	call := "by_timer"
	if r.rt() { // it rejects timers of eBPF
		call = "directly"
	}
	s := &shot{guest: g, began: time.Now()}
	if s.owner, err = g.Go(tool, "kfunc", program, call); err != nil {
		return result{}, err
	}
	if _, err := s.pinged(ctx, "/dev/clpka"); err != nil {
		ended, _ := s.owner.Wait(ctx) // it says why
		return result{}, fmt.Errorf("%w: %s", err, ended.Stderr)
	}
	s.deadline = time.Now().Add(time.Second) // the tool waits a moment first
	res, err := s.want(ctx, 2*soon, vm.KindReset)
	res.seen, res.fired = call+"+"+res.seen, false
	return res, errors.Join(err, says(ctx, g, "FIRED countdown=main action=reset reason=beat", "clpka: note: told by a program"))
}
