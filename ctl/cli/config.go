package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"shisa/ctl/api"
	"shisa/ctl/config"
)

// defaultFile is what the config commands look at when no file is named.
const defaultFile = "/etc/shisa/shisa.toml"

func (a *app) config() *cobra.Command {
	return parent("config", "check, show, compare and apply configurations",
		a.configCheck(), a.configShow(), a.configDiff(), a.configApply(), a.configDefault(), a.configImport(), a.configExport(), a.configSchema(), a.configReference())
}

// load reads a configuration and prints what is wrong with it. Without a file
// named, and none at the usual place, it is the embedded default.
func (a *app) load(args []string) (*config.Model, error) {
	path := defaultFile
	if len(args) > 0 {
		path = args[0]
	}
	m, problems := config.Load(path, registry())
	if m == nil && len(args) == 0 && errors.Is(problems.Err(), fs.ErrNotExist) {
		return config.Default(), nil
	}
	for _, p := range problems {
		fmt.Fprintln(a.err, p)
	}
	if m == nil {
		return nil, errMistakes
	}
	return m, nil
}

func (a *app) configCheck() *cobra.Command {
	return &cobra.Command{Use: "check [FILE]", Short: "report every mistake of a configuration at once",
		Long: "Reports every mistake with file, line and key, and names what may have been meant. Without FILE it looks at\n" + defaultFile +
			". Exit code 1 when there is a mistake. Nothing is changed, and no daemon is needed.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			path := defaultFile
			if len(args) > 0 {
				path = args[0]
			}
			m, problems := config.Load(path, registry())
			if a.json {
				if err := a.writeJSON(append(config.Problems{}, problems...)); err != nil {
					return err
				}
			} else {
				for _, p := range problems {
					fmt.Fprintln(a.err, p)
				}
			}
			switch {
			case m == nil || problems.Err() != nil:
				return errMistakes
			case !a.json:
				fmt.Fprintf(a.out, "%s: good: mode %s, %d groups, %d resources, %d monitors\n", path, m.Mode, len(m.Groups), len(m.Resources), len(m.Monitors))
			}
			return nil
		}}
}

func (a *app) configShow() *cobra.Command {
	var running bool
	c := &cobra.Command{Use: "show [FILE]", Short: "show a configuration with every default filled in",
		Long: "Shows FILE, or without it " + defaultFile + ", with every default filled in and secrets blanked out.\nWith --running, the configuration in force as it was read.", Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if running {
				t, err := a.client().Config(c.Context())
				if err != nil {
					return err
				}
				if a.json {
					return a.writeJSON(t)
				}
				fmt.Fprintf(a.out, "# in force, from %s\n%s", t.Source, t.Text)
				return nil
			}
			m, err := a.load(args)
			if err != nil {
				return err
			}
			if a.json {
				var text strings.Builder
				if err := m.WriteTOML(&text); err != nil {
					return err
				}
				return a.writeJSON(api.ConfigText{Source: m.Source, Text: text.String()})
			}
			return m.WriteTOML(a.out)
		}}
	c.Flags().BoolVar(&running, "running", false, "the one in force, from the daemon")
	return c
}

func (a *app) configDiff() *cobra.Command {
	return &cobra.Command{Use: "diff [FILE [OTHER]]", Short: "say what applying a configuration would change",
		Long: "With two files: what leads from the first to the second, without a daemon.\n" +
			"With one: what leads from the configuration in force to it. Without: the same for the file that the daemon was started with.",
		Args: cobra.MaximumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				p, err := a.client().PlanConfig(c.Context(), source(args))
				return a.plan(p, err)
			}
			old, err := a.load(args[:1])
			if err != nil {
				return err
			}
			next, err := a.load(args[1:])
			if err != nil {
				return err
			}
			plan := config.Diff(old, next)
			if a.json {
				return a.writeJSON(api.Plan{Source: args[1], Changes: api.Changes(&plan), Mistakes: []api.Mistake{}, Summary: api.Summary(&plan)})
			}
			return plan.WriteText(a.out)
		}}
}

func (a *app) configApply() *cobra.Command {
	return &cobra.Command{Use: "apply [FILE]", Short: "put a configuration into force, whole or not at all",
		Long: "Checks the file FILE, or without it the one that the daemon was started with, and puts it into force while everything runs:\n" +
			"what did not change goes on, and no countdown is interrupted. With a mistake in it nothing is changed at all.\n" +
			"After the next start of the daemon its own file holds again.", Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := a.client().ApplyConfig(c.Context(), source(args))
			return a.plan(p, err)
		}}
}

// source names a file for the daemon, which may have another working directory.
func source(args []string) api.ConfigSource {
	if len(args) == 0 {
		return api.ConfigSource{}
	}
	path, err := filepath.Abs(args[0])
	if err != nil {
		path = args[0]
	}
	return api.ConfigSource{Path: path}
}

var signs = map[string]string{"start": "+", "stop": "-", "restart": "↻", "change": "~", "later": "…"}

// plan prints what changes, or the mistakes that forbid it.
func (a *app) plan(p api.Plan, err error) error {
	if err != nil {
		return err
	}
	if a.json {
		err = a.writeJSON(p)
	} else {
		for _, m := range p.Mistakes {
			fmt.Fprintln(a.err, config.Problem{File: m.File, Line: m.Line, Key: m.Key, Text: m.Text})
		}
		for _, c := range p.Changes {
			fmt.Fprintf(a.out, "%s %s", signs[c.Do], c.Subject)
			if c.Detail != "" {
				fmt.Fprintf(a.out, ": %s", c.Detail)
			}
			fmt.Fprintln(a.out)
		}
		done := "would be applied"
		if p.Applied {
			done = "applied"
		}
		if len(p.Mistakes) == 0 {
			fmt.Fprintf(a.out, "%s: %s\n", done, p.Summary)
		}
	}
	if len(p.Mistakes) > 0 {
		return errMistakes
	}
	return err
}

func (a *app) configDefault() *cobra.Command {
	return &cobra.Command{Use: "default", Short: "print the embedded configuration: every key, its default and its meaning", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return config.WriteDefault(a.out, registry()) }}
}

func (a *app) configSchema() *cobra.Command {
	return &cobra.Command{Use: "schema", Short: "print the JSON Schema of the configuration, for editors", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.writeJSON(config.Schema(registry())) }}
}

func (a *app) configReference() *cobra.Command {
	return &cobra.Command{Use: "reference", Short: "print the reference of the configuration in Markdown", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return config.Reference(a.out, registry()) }}
}
