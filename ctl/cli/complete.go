package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"shisa/ctl/api"
	"shisa/ctl/event"
)

// completionTime is how long a shell waits for the names of a daemon that hangs.
const completionTime = 5 * time.Second

// completions says what the argument of a command may be. Where nothing is said there
// are files, if the command takes any argument.
func (a *app) completions() map[string]func(api.Status) []string {
	return map[string]func(api.Status) []string{
		"why": func(s api.Status) []string {
			return append(append(monitorNames(s), groupNames(s)...), resourceNames(s)...)
		},
		"explain":         monitorNames,
		"monitor suspend": monitorNames,
		"monitor resume":  monitorNames,
		"monitor test":    monitorNames,
		"monitor reset":   monitorNames,
		"monitor fail":    monitorNames,
		"monitor unfail":  monitorNames,
		"group start":     groupNames,
		"group stop":      groupNames,
		"resource start":  resourceNames,
		"resource stop":   resourceNames,
	}
}

// Names, each with a word on how it is: a shell shows what is behind the tab.

func monitorNames(s api.Status) (names []string) {
	for _, m := range s.Monitors {
		names = append(names, m.Name+"\tmonitor, "+string(m.Verdict))
	}
	return names
}

func groupNames(s api.Status) (names []string) {
	for _, g := range s.Groups {
		names = append(names, g.Name+"\tgroup, "+string(g.State))
	}
	return names
}

func resourceNames(s api.Status) (names []string) {
	for _, g := range s.Groups {
		for _, r := range g.Resources {
			names = append(names, r.Name+"\tresource, "+string(r.State))
		}
	}
	return names
}

// complete gives every command below root its completions.
func (a *app) complete(root *cobra.Command) {
	names := a.completions()
	for _, c := range root.Commands() {
		a.complete(c)
		path := strings.TrimPrefix(c.CommandPath(), "shisa ")
		switch of, ok := names[path]; {
		case ok:
			c.ValidArgsFunction = a.named(of)
		case !strings.Contains(c.Use, " "):
			c.ValidArgsFunction = cobra.NoFileCompletions
		}
		if path == "events" {
			completeEvents(c)
		}
	}
}

// named completes the first argument by what the daemon has.
func (a *app) named(of func(api.Status) []string) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), completionTime)
		defer cancel()
		s, err := a.client().Overview(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp // a shell has no place for errors
		}
		return of(s), cobra.ShellCompDirectiveNoFileComp
	}
}

func completeEvents(c *cobra.Command) {
	var codes []cobra.Completion
	for _, d := range event.All() {
		codes = append(codes, cobra.CompletionWithDesc(d.Code, d.Title))
	}
	severities := []cobra.Completion{"info", "warning", "error", "critical"}
	for flag, values := range map[string][]cobra.Completion{"severity": severities, "code": codes} {
		if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // the flag is declared beside it
		}
	}
}
