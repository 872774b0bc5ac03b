package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"shisa/ctl/config"
	"shisa/ctl/decide/simulate"
)

// historyLimit bounds a history that is read, in bytes.
const historyLimit = 64 << 20

func (a *app) simulate() *cobra.Command {
	return &cobra.Command{Use: "simulate CONFIG HISTORY", Short: "play a history to the engine that decides, and print each decision with its reason",
		Long: `simulate plays a written history to the very same engine that shisad runs, with the configuration CONFIG, and prints
what it decides and why. Nothing is done to this machine, and no daemon is needed. HISTORY is a file, or - for what comes
in; one thing that happens a line, with the time since the start or, after +, since the line before:

  clock 2026-11-23 11:00:00           the calendar at the start; windows need it
  0s    boot clean                    or: unclean, rescue, adopt, unable "a container", actions 2
  10s   probe web ok                  or: failed, timeout, warning, certain, blind
  +10s  probe web failed "connection refused" x6 every 10s
  2m    fail start db "exit status 1" from now on; also stop R, script PATH, act ACTION, blockers
  2m    take stop db 7s               how long it takes from now on
  3m    mend start db                 or: mend all
  4m    stop group shop               or: start; group NAME, group all, resource NAME
  5m    suspend web                   also resume, dummy, undummy, reset; NAME or all; reset limiter
  6m    stretch 3 10m                 timeouts, for a time; unstretch
  7m    store down                    or: up
  7m    reload observe                or: protect, suppress, unsuppress
  8m    service stop                  or: shutdown, reboot, going-down
  20m   end                           let time pass

In what is printed, > is what happened, = a decision, ! what is done, < how it ended, · an event, @ what there is at the end.`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			model, err := a.load(args[:1])
			if err != nil {
				return err
			}
			h, err := readHistory(args[1], model)
			if err != nil {
				return err
			}
			return a.writeRecord(simulate.Run(model, h))
		}}
}

// readHistory reads a history of what model names from a file, or from standard
// input for "-".
func readHistory(path string, model *config.Model) (simulate.History, error) {
	in := os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return simulate.History{}, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, historyLimit+1))
	if err != nil {
		return simulate.History{}, fmt.Errorf("read %s: %w", path, err)
	}
	if len(text) > historyLimit {
		return simulate.History{}, fmt.Errorf("%s is larger than %d bytes", path, historyLimit)
	}
	h, err := simulate.Parse(string(text))
	if err == nil {
		err = h.Check(model)
	}
	if err != nil {
		return h, fmt.Errorf("%s:\n%w", path, err)
	}
	return h, nil
}

func (a *app) writeRecord(r simulate.Record) error {
	if a.json {
		return a.writeJSON(append(simulate.Record{}, r...))
	}
	for _, e := range r {
		a.writeEntry(e)
	}
	return nil
}

// writeEntry prints a line of a record, its times one below the other.
func (a *app) writeEntry(e simulate.Entry) {
	line := e.String()
	text := strings.TrimLeft(line, " ")
	fmt.Fprintln(a.out, line[:len(line)-len(text)]+inert(text))
}
