package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"shisa/ctl/api"
	"shisa/ctl/client"
	"shisa/ctl/event"
	"shisa/ctl/param"
)

// operate are the commands for what an operator does besides monitors and
// groups.
func (a *app) operate() []*cobra.Command {
	return []*cobra.Command{a.stretch(), a.note(), a.script(), a.speed(), a.trace(), a.service()}
}

func (a *app) stretch() *cobra.Command {
	var length, reason string
	c := &cobra.Command{Use: "stretch [RATIO]", Short: "give probes, resources and scripts more time for a while",
		Long: "Multiplies the timeouts of probes, resources and scripts, for a time in which the machine is expected to be slow; RATIO is a\n" +
			"whole number, and 1 is back to normal. The countdown keeps its timeout.\n" +
			"Without a ratio it tells the one in force.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.showStretch(c)
			}
			cmd := api.StretchCommand{Reason: reason}
			if _, err := fmt.Sscanf(args[0], "%d", &cmd.Ratio); err != nil {
				return fmt.Errorf("%q is no whole number: %w", args[0], errUsage)
			}
			if length != "" {
				d, err := param.ParseDuration(length)
				if err != nil {
					return fmt.Errorf("--for: %w: %w", err, errUsage)
				}
				cmd.ForMS = api.Millis(d)
			}
			return a.result(a.client().Stretch(c.Context(), cmd))
		}}
	c.Flags().StringVar(&length, "for", "", `how long, such as "2h"; at most 30d`)
	c.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return c
}

func (a *app) showStretch(c *cobra.Command) error {
	s, err := a.client().Overview(c.Context())
	if err != nil {
		return err
	}
	if a.json {
		return a.writeJSON(s.Stretch)
	}
	text := "The configured timeouts hold."
	if s.Stretch.Ratio > 1 {
		text = fmt.Sprintf("Everything but the countdown has %d times as long until %s.", s.Stretch.Ratio, s.Stretch.Until.Local().Format(time.DateTime))
	}
	fmt.Fprintln(a.out, text)
	return nil
}

func (a *app) note() *cobra.Command {
	var severity string
	var cmd api.NoteCommand
	c := &cobra.Command{Use: "note TEXT", Short: "write an event in your own words",
		Example: "  shisa note --severity warning 'disk 2 was exchanged'", Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cmd.Text = strings.Join(args, " ")
			if err := cmd.Severity.UnmarshalText([]byte(severity)); err != nil {
				return fmt.Errorf("--severity: %w: %w", err, errUsage)
			}
			return a.result(a.client().Note(c.Context(), cmd))
		}}
	c.Flags().StringVar(&severity, "severity", event.Info.String(), "info, warning, error or critical")
	c.Flags().IntVar(&cmd.ID, "id", 0, "a number of your own for it")
	return c
}

func (a *app) script() *cobra.Command {
	var limit time.Duration
	var reason string
	run := &cobra.Command{Use: "run NAME", Short: "run a script of the folder " + api.ScriptDir + " beside the configuration",
		Long: "Runs the script NAME of the folder " + api.ScriptDir + " beside the configuration as the daemon would, and shows what it printed.\n" +
			"Exit code 1 when it ends with another status than 0.", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := a.client().Script(c.Context(), api.ScriptCommand{Name: args[0], TimeMS: api.Millis(limit), Reason: reason})
			if err != nil {
				return err
			}
			if a.json {
				err = a.writeJSON(r)
			} else {
				fmt.Fprint(a.out, r.Output)
				fmt.Fprintln(a.err, inert(r.Text))
			}
			if err == nil && !r.OK {
				err = errSaid
			}
			return err
		}}
	run.Flags().DurationVar(&limit, "timeout", api.ScriptTime, "longest time that it may take")
	run.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return parent("script", "run scripts that an administrator has laid down", run)
}

func (a *app) speed() *cobra.Command {
	var cmd api.SpeedCommand
	c := &cobra.Command{Use: "speed [high|low|auto]", Short: "set the clock of the processors, or tell it",
		Long: "high: as fast as they can; low: as slow as they can; auto: as the kernel finds right for the load. Without a word it tells.",
		Args: cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs), ValidArgs: []string{"high", "low", "auto"},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				cmd.Mode = api.SpeedMode(args[0])
			}
			return a.result(a.client().Speed(c.Context(), cmd))
		}}
	c.Flags().StringVar(&cmd.Reason, "reason", "", "why, for the record")
	return c
}

func (a *app) trace() *cobra.Command {
	var cmd api.TraceCommand
	var length string
	c := &cobra.Command{Use: "trace", Short: "measure for some seconds how long tasks wait for a CPU",
		Long: "Traces every switch between tasks, in the kernel, and shows how long tasks that wanted a CPU had to wait for it.\n" +
			"Switching becomes up to a quarter dearer meanwhile; nothing of it is left afterwards.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := param.ParseDuration(length)
			if err != nil {
				return fmt.Errorf("--for: %w: %w", err, errUsage)
			}
			cmd.ForMS = api.Millis(d)
			t, err := a.client().Trace(c.Context(), cmd)
			if err != nil {
				return err
			}
			if a.json {
				return a.writeJSON(t)
			}
			a.writeTrace(t)
			return nil
		}}
	c.Flags().StringVar(&length, "for", param.FormatDuration(api.TraceTime), `how long, at most "1m"`)
	c.Flags().StringVar(&cmd.Reason, "reason", "", "why, for the record")
	return c
}

// traceBar is the longest bar, in columns.
const traceBar = 50

// writeTrace draws the waits: one line for each power of two of nanoseconds.
func (a *app) writeTrace(t api.Trace) {
	total := t.Total()
	if total == 0 {
		fmt.Fprintln(a.out, "No task waited for a CPU.")
		return
	}
	at := func(q float64) string { return short(t.Quantile(q)) }
	fmt.Fprintf(a.out, "Tasks waited %d times for a CPU in %s: half of them less than %s, 99 %% less than %s, all less than %s.\n",
		total, t.ForMS.D().Round(100*time.Millisecond), at(0.5), at(0.99), at(1))
	most := slices.MaxFunc(t.Waits, func(x, y api.TraceWait) int { return int(x.Count) - int(y.Count) }).Count
	for _, w := range t.Waits {
		bar := strings.Repeat("#", int((w.Count*traceBar+most-1)/most))
		fmt.Fprintln(a.out, strings.TrimRight(fmt.Sprintf("  < %7s %9d  %s", short(time.Duration(w.BelowNS)), w.Count, bar), " "))
	}
	if t.Lost > 0 {
		fmt.Fprintf(a.out, "%d waits found no room and are not among these.\n", t.Lost)
	}
}

// short has three digits of a span at most.
func short(d time.Duration) string {
	unit := time.Nanosecond
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}

func (a *app) service() *cobra.Command {
	var all []*cobra.Command
	for verb, short := range map[string]string{
		"start":   "start the daemon",
		"stop":    "stop every group and the daemon, and disarm the countdown",
		"restart": "restart the daemon alone: groups run on, the countdown stays armed",
	} {
		all = append(all, &cobra.Command{Use: verb, Short: short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
			var err error
			switch s := (client.Service{}); {
			case s.Present():
				err = s.Do(c.Context(), verb, client.DaemonUnit, true)
			case verb == "stop":
				_, err = a.client().Stop(c.Context(), api.StopCommand{Reason: "shisa service stop"})
			default:
				err = api.Errorf(api.Refused, "systemd does not run here").Try("start shisad yourself")
			}
			return a.result(api.Result{Text: "Done: " + verb + "."}, err)
		}})
	}
	return parent("service", "start, stop, restart the daemon", all...)
}

func (a *app) notify() *cobra.Command {
	var n api.NotifyCommand
	c := &cobra.Command{Use: "notify [CATEGORY [KEYWORD]]", Short: "tell monitors of type message of a failure",
		Long: "notify tells the monitors of type message that take CATEGORY and KEYWORD of a failure that somebody outside has seen;\n" +
			"each of them fails until it is told with --clear that the failure is over, or forgets it by itself.",
		Example: "  shisa notify disk sdb --text \"the storage box lost a path\"\n  shisa notify --monitor alarm\n  shisa notify disk sdb --clear",
		Args:    cobra.MaximumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			for i, part := range []*string{&n.Category, &n.Keyword} {
				if i < len(args) {
					*part = args[i]
				}
			}
			return a.result(a.client().Notify(c.Context(), n))
		}}
	c.Flags().StringVar(&n.Monitor, "monitor", "", "only this monitor, whatever it takes")
	c.Flags().StringVar(&n.Text, "text", "", "what happened, for people")
	c.Flags().BoolVar(&n.Clear, "clear", false, "the failure is over")
	return c
}
