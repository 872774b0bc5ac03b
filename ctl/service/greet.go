package service

import (
	"context"
	"fmt"
	"io"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/tick"
)

// greetAfter gives probes a moment to come back before the summary is printed.
const greetAfter = time.Second

// greet says once what is protected and with what.
func (p *process) greet(ctx context.Context, out io.Writer) {
	if !tick.Sleep(ctx, greetAfter) {
		return
	}
	s, err := p.daemon.Status(ctx)
	if err != nil {
		return
	}
	row := func(name, format string, args ...any) {
		fmt.Fprintf(out, "  %-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(out, "\nshisa %s guards %s\n", p.version, s.Server)
	row("mode", "%s", s.Mode)
	row("config", "%s", s.Config.Source)
	row("countdown", "%s", s.Protection.Summary)
	row("keeper", "%s (pid %d)", s.Protection.Keeper.State, s.Protection.Keeper.PID)
	for _, b := range s.Stall.Beats {
		row("beat", "%-12s last %v ago, limit %v", b.Name, b.AgeMS.D().Round(time.Millisecond), b.LimitMS)
	}
	row("groups", "%d, monitors %d", len(s.Groups), len(s.Monitors))
	row("last boot", "%s", s.LastBoot.Summary)
	for _, e := range s.Protection.Passed {
		row("passed over", "%s: %s", e.Engine, e.Reason)
	}
	for _, problem := range s.Problems {
		row(string(problem.Level), "%s", problem.Text)
	}
	if s.Level == api.LevelOK {
		row("", "Everything is well.")
	}
	fmt.Fprintln(out, "\nLook with: shisa status · shisa why · shisa events --follow · shisa doctor. Stop with Ctrl-C.")
}
