package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"shisa/ctl/api"
)

var monitorDocs = map[api.MonitorVerb]string{
	api.SuspendMonitor: "stop probing with a monitor until it is resumed",
	api.ResumeMonitor:  "probe again",
	api.TestMonitor:    "probe now and show the answer",
	api.ResetMonitor:   "clear the recovery counters, so that recovery begins anew",
	api.FailMonitor:    "let a monitor fail whatever it sees, to see what recovery does; in mode protect it is done",
	api.UnfailMonitor:  "stop simulating a failure",
}

func (a *app) monitor() *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "list monitors with their last verdict", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if a.json {
				s, err := a.client().Status(c.Context())
				if err != nil {
					return err
				}
				return a.writeJSON(s.Monitors)
			}
			s, err := a.client().Overview(c.Context())
			if err != nil {
				return err
			}
			writeMonitors(a.out, a.paint, s)
			return nil
		}}
	all := []*cobra.Command{list}
	for _, verb := range api.MonitorVerbs() {
		all = append(all, a.monitorVerb(verb))
	}
	return parent("monitor", "list, suspend, resume, test monitors, and try out what recovery does", all...)
}

// monitorVerb is a command about one monitor; some may be given for all.
func (a *app) monitorVerb(verb api.MonitorVerb) *cobra.Command {
	cmd := api.MonitorCommand{Verb: verb}
	every := false
	c := &cobra.Command{Use: string(verb) + " NAME", Short: monitorDocs[verb], Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) == 1 && !every:
				cmd.Name = args[0]
			case len(args) == 0 && every:
				cmd.Name = "*"
			default:
				return fmt.Errorf("name one monitor: %w", errUsage)
			}
			return a.result(a.client().Monitor(c.Context(), cmd))
		}}
	c.Flags().StringVar(&cmd.Reason, "reason", "", "why, for the record")
	if verb == api.ResetMonitor || verb == api.FailMonitor || verb == api.UnfailMonitor {
		c.Flags().BoolVar(&every, "all", false, "all monitors")
	}
	return c
}

func (a *app) group() *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "list groups with their resources", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.client().Overview(c.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.writeJSON(s.Groups)
			}
			writeGroups(a.out, a.paint, s)
			return nil
		}}
	return parent("group", "list, start, stop groups", list,
		a.unit(api.StartUnit, "group", "start a group, after those that it waits for; --all instead of NAME: all"),
		a.unit(api.StopUnit, "group", "stop a group, after those that it waits for; --all instead of NAME: all"))
}

func (a *app) resource() *cobra.Command {
	return parent("resource", "start, stop single resources",
		a.unit(api.StartUnit, "resource", "start a resource and what it needs"),
		a.unit(api.StopUnit, "resource", "stop a resource and what needs it"))
}

// unit is start or stop of a group or resource.
func (a *app) unit(verb api.UnitVerb, kind, short string) *cobra.Command {
	cmd := api.UnitCommand{Verb: verb}
	all := false
	c := &cobra.Command{Use: string(verb) + " NAME", Short: short, Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) == 1 && !all:
				cmd.Name = args[0]
			case len(args) == 0 && all:
				cmd.Name = "*"
			default:
				return fmt.Errorf("name one %s: %w", kind, errUsage)
			}
			do := a.client().Group
			if kind == "resource" {
				do = a.client().Resource
			}
			return a.result(do(c.Context(), cmd))
		}}
	c.Flags().StringVar(&cmd.Reason, "reason", "", "why, for the record")
	c.Flags().BoolVar(&cmd.NoWait, "no-wait", false, "return when it is asked for rather than when it is done")
	if kind == "group" {
		c.Flags().BoolVar(&all, "all", false, "all groups")
	}
	return c
}

func (a *app) suspend() *cobra.Command {
	var cmd api.SuspendCommand
	c := &cobra.Command{Use: "suspend", Short: "suspend all probes and recovery; the countdown stays armed",
		Long: "Stops all probing and recovery until shisa resume, over restarts of the daemon, too. Groups and resources run on.\n" +
			"The countdown stays armed: a machine that stalls is still reset.", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.result(a.client().Suspend(c.Context(), cmd)) }}
	c.Flags().StringVar(&cmd.Reason, "reason", "", "why, for the record")
	return c
}

func (a *app) resume() *cobra.Command {
	var cmd api.SuspendCommand
	c := &cobra.Command{Use: "resume", Short: "end shisa suspend", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.result(a.client().Resume(c.Context(), cmd)) }}
	c.Flags().StringVar(&cmd.Reason, "reason", "", "why, for the record")
	return c
}

func (a *app) shutdown() *cobra.Command {
	cmd := api.ShutdownCommand{How: api.PowerOff}
	var reboot, guard bool
	c := &cobra.Command{Use: "shutdown", Short: "stop all groups and take the machine down, guarded against stalls",
		Long: "Stops all groups and powers the machine off, or with --reboot boots it again. A way down that hangs is ended by the\n" +
			"countdown, as [shutdown] in the configuration says. In mode observe it is refused.", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case reboot && guard:
				return fmt.Errorf("--reboot and --guard-only exclude each other: %w", errUsage)
			case reboot:
				cmd.How = api.Reboot
			case guard:
				cmd.How = api.GuardOnly
			}
			return a.result(a.client().Shutdown(c.Context(), cmd))
		}}
	c.Flags().BoolVarP(&reboot, "reboot", "r", false, "boot again")
	c.Flags().BoolVar(&guard, "guard-only", false, "only guard the shutdown that the operating system has begun")
	c.Flags().StringVar(&cmd.Reason, "reason", "", "why, for the record")
	return c
}

func (a *app) limiter() *cobra.Command {
	show := &cobra.Command{Use: "show", Short: "show how many machine-level actions count, and how many may", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.client().Overview(c.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.writeJSON(s.Limiter)
			}
			fmt.Fprintln(a.out, limiterLine(s.Limiter))
			return nil
		}}
	reset := &cobra.Command{Use: "reset", Short: "forget them, so that shisa may act on the machine again", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.result(a.client().ResetLimiter(c.Context())) }}
	return parent("limiter", "the limit of machine-level actions", show, reset)
}

// errMistakes is the end of a command whose mistakes were printed.
var errMistakes = errors.Join(errSaid, errors.New("mistakes"))
