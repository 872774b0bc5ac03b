package cli

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"shisa/ctl/api"
	"shisa/ctl/api/schema"
	"shisa/ctl/config"
	doctor "shisa/ctl/doctor"
	"shisa/ctl/param"
	"shisa/hwcompat"
)

func (a *app) typeDocs() *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "list monitor and resource types", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			all := listed(registry())
			if a.json {
				return a.writeJSON(all)
			}
			var t table
			for _, k := range all {
				t.add(cell{k.Kind, dim}, cell{k.Name, strong}, cell{k.Alias, dim}, cell{k.Title, plain})
			}
			t.write(a.out, a.paint, 0)
			return nil
		}}
	page := &cobra.Command{Use: "doc NAME", Short: "print the reference page of a type", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			reg := registry()
			m, isMonitor := reg.Monitors[args[0]]
			r, isResource := reg.Resources[args[0]]
			if isMonitor {
				m.Markdown(a.out)
			}
			if isResource {
				r.Markdown(a.out)
			}
			if !isMonitor && !isResource {
				return unknownType(reg, args[0])
			}
			return nil
		}}
	params := &cobra.Command{Use: "schema NAME", Short: "print the JSON Schema of a type's parameters", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			reg := registry()
			if m, ok := reg.Monitors[args[0]]; ok {
				return a.writeJSON(m.Params().JSONSchema())
			}
			if r, ok := reg.Resources[args[0]]; ok {
				return a.writeJSON(r.Params().JSONSchema())
			}
			return unknownType(reg, args[0])
		}}
	types := parent("type", "documentation of monitor and resource types", list, page, params)
	types.RunE = list.RunE
	return types
}

// schema prints the schema of what other commands print.
func (a *app) schema() *cobra.Command {
	return &cobra.Command{Use: "schema NAME", Short: "print the JSON Schema of what status, why, events or doctor print with --json",
		Long: "Prints the JSON Schema of what shisa NAME --json prints, with what each field means. NAME is one of " + strings.Join(schema.Names(), ", ") + ".",
		Args: cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs), ValidArgs: schema.Names(),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := schema.Read(args[0])
			if err != nil {
				return err
			}
			_, err = a.out.Write(text)
			return err
		}}
}

// A typeLine is one line of the list of types.
type typeLine struct {
	Kind  string `json:"kind"` // "resource" or "monitor"
	Name  string `json:"name"`
	Alias string `json:"alias,omitempty"` // what the original calls it
	Title string `json:"title"`
}

func listed(reg config.Registry) (all []typeLine) {
	for _, name := range slices.Sorted(maps.Keys(reg.Resources)) {
		r := reg.Resources[name]
		all = append(all, typeLine{"resource", name, r.Alias, r.Title})
	}
	for _, name := range slices.Sorted(maps.Keys(reg.Monitors)) {
		m := reg.Monitors[name]
		all = append(all, typeLine{"monitor", name, m.Alias, m.Title})
	}
	return all
}

func unknownType(reg config.Registry, name string) error {
	all := slices.Concat(slices.Collect(maps.Keys(reg.Monitors)), slices.Collect(maps.Keys(reg.Resources)))
	hint := "; shisa type list shows them"
	if near := param.Nearest(name, all); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return fmt.Errorf("no monitor or resource type %q%s: %w", name, hint, errUsage)
}

func (a *app) doctor() *cobra.Command {
	var file, kernel string
	var next bool
	c := &cobra.Command{Use: "doctor", Short: "what this machine offers, and what stands in the way",
		Long: "Looks at everything that shisa needs of this machine: countdowns, kernel, witnesses, BMC, storage, network, other programs\n" +
			"that hold a watchdog, and the kernel that starts next. Each finding ends, after →, with the command that mends it.\n" +
			"It changes nothing. When the daemon does not run, it looks itself, best as root. With --next-boot the exit code is 1 when the\n" +
			"kernel that starts next would protect this machine less: a check for the end of an update.", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if named := c.Flags().Changed("kernel"); named || next {
				switch {
				case named && next:
					return fmt.Errorf("--kernel and --next-boot exclude each other: %w", errUsage)
				case named && !hwcompat.IsRelease(kernel):
					return fmt.Errorf("--kernel %q: not the release of a kernel; uname -r shows one, such as 6.1.0-21-amd64: %w", kernel, errUsage)
				}
				return a.otherKernel(file, kernel)
			}
			d, err := a.client().Doctor(c.Context())
			if api.CodeOf(err) == api.Unreachable || file != "" {
				d, err = a.examine(c, file)
			}
			if err != nil {
				return err
			}
			if a.json {
				return a.writeJSON(d)
			}
			a.writeDoctor(d)
			return nil
		}}
	c.Flags().StringVar(&file, "config", "", "look with the eyes of this configuration, without asking the daemon")
	c.Flags().StringVar(&kernel, "kernel", "", "answer for this kernel release instead of the running one")
	c.Flags().BoolVar(&next, "next-boot", false, "answer for the kernel that the boot loader starts next")
	return c
}

// otherKernel answers for a kernel that does not run; an empty one is that which
// the boot loader starts next.
func (a *app) otherKernel(file, kernel string) error {
	var args []string
	if file != "" {
		args = []string{file}
	}
	m, err := a.load(args)
	if err != nil {
		return err
	}
	d, err := doctor.ForKernel(m, doctor.Options{Types: registry()}, kernel)
	if err != nil {
		return err
	}
	if a.json {
		err = a.writeJSON(d)
	} else {
		a.writeDoctor(d)
	}
	return cmp.Or(err, lessNext(d))
}

// lessNext is the error that makes --next-boot a check for scripts: the kernel that
// starts next would protect this machine less than the running one does.
func lessNext(d api.Doctor) error {
	for _, c := range d.Checks {
		if c.ID == "next-boot-unprotected" || c.ID == "next-boot-below-floor" {
			return errors.New("the next start takes away what protects this machine; what mends it stands above")
		}
	}
	return nil
}

// examine looks without a daemon.
func (a *app) examine(c *cobra.Command, file string) (api.Doctor, error) {
	var args []string
	if file != "" {
		args = []string{file}
	}
	m, err := a.load(args)
	if err != nil {
		return api.Doctor{}, err
	}
	return doctor.Examine(c.Context(), m, doctor.Options{Types: registry(), Witnesses: os.Geteuid() == 0})
}

func (a *app) writeDoctor(d api.Doctor) {
	about := []string{d.Server}
	if d.OS != "" {
		about = append(about, d.OS)
	}
	if d.Kernel != "" {
		about = append(about, "Linux "+d.Kernel)
	}
	fmt.Fprintf(a.out, "%s %s\n", a.paint.in(levelColor(d.Level), "●"), a.paint.in(strong, strings.Join(about, " · ")))
	area := ""
	for _, c := range d.Checks {
		if c.Area != area {
			area = c.Area
			fmt.Fprintln(a.out, a.paint.in(strong, area))
		}
		for i, line := range a.paint.wrap(c.Name+": "+c.Text, 11) {
			word := ""
			if i == 0 {
				word = string(c.Level)
			}
			fmt.Fprintf(a.out, "  %s %s\n", a.paint.in(levelColor(c.Level), pad(word, 8)), line)
		}
		for _, reason := range c.Why {
			fmt.Fprintf(a.out, "           %s\n", a.paint.in(dim, a.paint.fit("not "+gist(reason), 11)))
		}
		if c.Mend != "" {
			fmt.Fprintf(a.out, "           → %s\n", c.Mend)
		}
	}
}

// man writes the manual pages; packages are built with it.
func (a *app) man(root *cobra.Command) *cobra.Command {
	return &cobra.Command{Use: "man DIRECTORY", Short: "write the manual pages", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			root.DisableAutoGenTag = true
			return doc.GenManTree(root, &doc.GenManHeader{Title: "SHISA", Section: "1", Source: "shisa " + a.version, Manual: "shisa"}, args[0])
		}}
}

// gistLimit is from how many characters on a chain of reasons is cut in its middle.
const gistLimit = 100

// gist keeps who failed and the innermost cause of a long chain of reasons, which is
// whole in what --json prints.
func gist(reason string) string {
	first, last := strings.Index(reason, ": "), strings.LastIndex(reason, ": ")
	if utf8.RuneCountInString(reason) <= gistLimit || first == last {
		return reason
	}
	return reason[:first] + ": … " + reason[last+2:]
}
