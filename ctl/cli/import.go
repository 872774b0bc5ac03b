package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"shisa/ctl/compat/clpconf"
	"shisa/ctl/config"
)

// errOutput is a mistake about -o.
var errOutput = fmt.Errorf("name a folder with --output: %w", errUsage)

func (a *app) configImport() *cobra.Command {
	var out, server string
	var protect, force, elements bool
	c := &cobra.Command{Use: "import DIRECTORY|clp.conf|ZIP --output DIRECTORY", Short: "make a configuration of the original's",
		Long: "Reads a configuration of CLUSTERPRO X SingleServerSafe: the folder that clpcfctrl --pull writes, clp.conf alone, or the zip that\n" +
			"the web manager exports, in any of its character sets. Writes ours with its scripts, and import-report.txt, which says of every\n" +
			"element what became of it. What is written passes `shisa config check`.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if elements {
				return clpconf.WriteElements(a.out, registry())
			}
			if len(args) == 0 {
				return fmt.Errorf("name what to import: %w", errUsage)
			}
			if err := freeFolder(out, force); err != nil {
				return err
			}
			source, err := clpconf.Open(args[0])
			if err != nil {
				return err
			}
			o := clpconf.Options{Types: registry(), Server: server}
			if protect {
				o.Mode = config.Protect
			}
			r, err := clpconf.Import(source, o)
			if err != nil {
				return err
			}
			if err := r.Write(out); err != nil {
				return err
			}
			return a.imported(r, out)
		}}
	c.Flags().StringVarP(&out, "output", "o", "", "folder to write to")
	c.Flags().StringVar(&server, "server", "", "which of several servers this one is")
	c.Flags().BoolVar(&protect, "protect", false, `write mode = "protect" instead of only observing`)
	c.Flags().BoolVar(&force, "force", false, "write into a folder that is not empty")
	c.Flags().BoolVar(&elements, "elements", false, "only print which element becomes which key, and why others have none")
	return c
}

// imported sums up an import.
func (a *app) imported(r *clpconf.Result, out string) error {
	if a.json {
		return a.writeJSON(struct {
			Output string         `json:"output"`
			Items  []clpconf.Item `json:"items"`
		}{out, r.Items})
	}
	for _, i := range r.Items {
		if i.Outcome == clpconf.Attention || i.Outcome == clpconf.Invalid {
			fmt.Fprintf(a.out, "! %s: %s\n", cmp.Or(i.Key, i.Path), inert(i.Text))
		}
	}
	n := r.Count()
	fmt.Fprintf(a.out, "%s: %d elements taken over, %d do not apply, %d are not supported, %d have no valid value; %s says which\n",
		out, n[clpconf.Mapped], n[clpconf.NotApplicable], n[clpconf.Unsupported], n[clpconf.Invalid], clpconf.ReportName)
	return nil
}

// freeFolder refuses to write among other files.
func freeFolder(dir string, force bool) error {
	if dir == "" {
		return errOutput
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && len(entries) > 0 && !force {
		err = fmt.Errorf("%s is not empty; name another folder, or give --force", dir)
	}
	return err
}

func (a *app) configExport() *cobra.Command {
	var out string
	var clp, force bool
	c := &cobra.Command{Use: "export [FILE] --clp --output DIRECTORY", Short: "write a configuration in the original's format",
		Long: "Writes a clp.conf with its scripts. What the original has no words for stands in elements named shisa, which a later import\n" +
			"takes back. Secrets are written as they are.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if !clp {
				return fmt.Errorf("there is one format to export to: give --clp: %w", errUsage)
			}
			if err := freeFolder(out, force); err != nil {
				return err
			}
			m, err := a.load(args)
			if err != nil {
				return err
			}
			host, err := os.Hostname()
			if err != nil {
				return err
			}
			s, err := clpconf.Export(m, registry(), host, clpconf.Beside(m.Dir))
			if err != nil {
				return err
			}
			if err := s.Write(out); err != nil {
				return err
			}
			if a.json {
				return a.writeJSON(map[string]any{"output": out, "files": slices.Sorted(s.Names())})
			}
			fmt.Fprintf(a.out, "%s: %d groups, %d resources, %d monitors, %d scripts\n", out, len(m.Groups), len(m.Resources), len(m.Monitors), len(s.Files)-1)
			return nil
		}}
	c.Flags().BoolVar(&clp, "clp", false, "as clp.conf of CLUSTERPRO X SingleServerSafe")
	c.Flags().StringVarP(&out, "output", "o", "", "folder to write to")
	c.Flags().BoolVar(&force, "force", false, "write into a folder that is not empty")
	return c
}
