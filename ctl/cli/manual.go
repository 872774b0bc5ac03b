package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"shisa/ctl/doc"
)

// help explains commands and, where there is no such command, prints a chapter
// of the manual.
func (a *app) help(root *cobra.Command) *cobra.Command {
	return &cobra.Command{Use: "help [COMMAND | CHAPTER]", Short: "explain a command, or print a chapter of the manual",
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			switch {
			case err == nil && len(rest) == 0 && c != root:
				return c.Help()
			case len(args) == 0:
				if err := root.Help(); err != nil {
					return err
				}
				fmt.Fprintln(a.out, "\nChapters of the manual, for shisa help CHAPTER:")
				for _, t := range doc.Topics() {
					fmt.Fprintf(a.out, "  %s  %s\n", pad(t.Name, 13), t.Title)
				}
				return nil
			case len(args) > 1:
				return fmt.Errorf("there is no command %q: %w", args, errUsage)
			}
			text, err := doc.Read(args[0])
			if err != nil {
				return fmt.Errorf("no command %q, and %w: %w", args[0], err, errUsage)
			}
			_, err = fmt.Fprint(a.out, text)
			return err
		}}
}

// template writes scripts to begin with.
func (a *app) template() *cobra.Command {
	var dir string
	c := &cobra.Command{Use: "template [exec | custom | recovery]", Short: "print scripts to begin with, or write them into a folder",
		Long: "exec: start and stop scripts of a resource; custom: the script of a monitor; recovery: a script for recovery. Without a word: all.",
		Args: cobra.MaximumNArgs(1), ValidArgs: []string{"exec", "custom", "recovery"},
		RunE: func(_ *cobra.Command, args []string) error {
			use := ""
			if len(args) > 0 {
				use = args[0]
			}
			all, err := doc.Templates(use)
			if err != nil {
				return fmt.Errorf("%w: %w", err, errUsage)
			}
			var errs []error
			for _, t := range all {
				if dir == "" {
					fmt.Fprintf(a.out, "%s\n", t.Text)
					continue
				}
				path := filepath.Join(dir, t.Name)
				if err := writeNew(path, t.Text); err != nil {
					errs = append(errs, err)
					continue
				}
				fmt.Fprintln(a.out, "Written:", path)
			}
			return errors.Join(errs...)
		}}
	c.Flags().StringVar(&dir, "dir", "", "write them into this folder; what is there already is left alone")
	return c
}

// writeNew writes an executable file that must not exist yet.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
