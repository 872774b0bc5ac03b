package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"shisa/ctl/api"
	"shisa/ctl/why"
)

func (a *app) why() *cobra.Command {
	var shutdown bool
	c := &cobra.Command{Use: "why [SUBJECT]", Short: "why the machine went down last, or why something is as it is",
		Long: "Without a subject: why the machine went down last, with the evidence.\n" +
			"With one (a monitor, group or resource; monitor/NAME when names coincide): its last probes with their own log, and the decisions.\n" +
			"With --shutdown: where the time of the last shutdown went, by process, sync and device.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			subject := ""
			switch {
			case shutdown && len(args) > 0:
				return fmt.Errorf("--shutdown takes no subject: %w", errUsage)
			case shutdown:
				subject = "shutdown"
			case len(args) == 1:
				subject = args[0]
			}
			w, err := a.client().Why(c.Context(), subject)
			if err != nil {
				return err
			}
			if a.json {
				return a.writeJSON(w)
			}
			a.writeWhy(w)
			return nil
		}}
	c.Flags().BoolVar(&shutdown, "shutdown", false, "where the time of the last shutdown went")
	return c
}

func (a *app) writeWhy(w api.Why) {
	fmt.Fprintln(a.out, a.paint.in(strong, strings.Join(a.paint.wrap(inert(w.Summary), 0), "\n")))
	if w.Boot != nil {
		a.writeBoot(*w.Boot)
	}
	if w.Monitor != nil {
		a.writeMonitor(*w.Monitor)
	}
	if w.Timeline != nil {
		a.writeTimeline(*w.Timeline)
	}
	if len(w.Events) > 0 {
		fmt.Fprintln(a.out, "\nevents")
		for _, e := range w.Events {
			fmt.Fprint(a.out, "  ")
			a.writeEvent(e)
		}
	}
}

func (a *app) writeBoot(v why.Verdict) {
	t := table{wrap: true}
	row := func(name, text string) {
		if text != "" {
			t.add(cell{name, dim}, cell{text, plain})
		}
	}
	row("cause", fmt.Sprintf("%s (%s)", v.Cause, v.Confidence))
	row("action", v.Action)
	row("stalled", strings.ReplaceAll(v.Stall, "_", " "))
	row("about", v.Subject)
	if v.WentDown != nil {
		row("went down", v.WentDown.Local().Format("2006-01-02 15:04:05"))
	}
	if v.CameBack != nil {
		row("came back", v.CameBack.Local().Format("2006-01-02 15:04:05"))
	}
	for _, l := range v.Evidence {
		row("evidence", l.Source+": "+l.Text)
	}
	row("what to do", v.Mend)
	t.write(a.out, a.paint, 2)
}

func (a *app) writeMonitor(m api.MonitorWhy) {
	fmt.Fprintln(a.out, "\nprobes")
	for _, p := range m.Probes {
		a.writeProbe(p)
	}
	if len(m.Decisions) == 0 {
		return
	}
	fmt.Fprintln(a.out, "\ndecisions")
	for _, d := range m.Decisions {
		count := ""
		if d.Limit > 0 {
			count = fmt.Sprintf(" %d of %d", d.Count, d.Limit)
		}
		text := d.Reason
		if d.Outcome != "" {
			text += " → " + d.Outcome
		}
		fmt.Fprintf(a.out, "  %s  %s%s: %s\n", d.At.Local().Format(timeOfDay), d.Action, count, inert(text))
	}
}

// timeOfDay is how times of one story are written.
const timeOfDay = "15:04:05.000"

// writeProbe shows a probe with what it noted on its way.
func (a *app) writeProbe(p api.Probe) {
	fmt.Fprintf(a.out, "  %s  %s  %7.1f ms  %s\n", p.At.Local().Format(timeOfDay),
		a.paint.in(verdictColor(p.Verdict), pad(string(p.Verdict), 14)), float64(p.TookMS.D().Microseconds())/1000, inert(p.Detail))
	for _, line := range p.Log {
		fmt.Fprintln(a.out, a.paint.in(dim, "      "+inert(line)))
	}
}
