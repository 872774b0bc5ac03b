package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"shisa/ctl/api"
	"shisa/ctl/config"
	"shisa/ctl/decide/simulate"
	"shisa/ctl/param"
	"shisa/ctl/recovery"
)

// An explanation is what explain prints.
type explanation struct {
	Monitor  string          `json:"monitor"`
	Policy   string          `json:"policy"`            // in words
	Summary  string          `json:"summary,omitempty"` // how it stands; empty without the daemon
	Recorded simulate.Record `json:"recorded"`          // what was seen, and what the engine decides on that
	Ahead    simulate.Record `json:"ahead"`             // what follows if it goes on failing
}

func (a *app) explain() *cobra.Command {
	var file, history string
	var record bool
	c := &cobra.Command{Use: "explain MONITOR", Short: "what a monitor decides, why, and what follows if its target goes on failing",
		Long: "explain plays the latest probes of a monitor to the very same engine that decides in shisad, prints each decision with its\n" +
			"reason, and then what would follow if the target went on failing. With --config no daemon is asked.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			name := strings.TrimPrefix(args[0], "monitor/")
			e, text, err := a.explanation(c, name, file, history)
			switch {
			case err != nil:
				return err
			case record:
				fmt.Fprint(a.out, text)
				return nil
			case a.json:
				return a.writeJSON(e)
			}
			a.writeExplanation(e)
			return nil
		}}
	c.Flags().StringVar(&file, "config", "", "explain by this configuration instead of asking the daemon")
	c.Flags().StringVar(&history, "history", "", "play this history (see shisa simulate) instead of what the daemon recorded")
	c.Flags().BoolVar(&record, "record", false, "print what the daemon recorded as a history for shisa simulate, and nothing else")
	return c
}

// explanation gathers what explain prints, and the recorded history as text.
func (a *app) explanation(c *cobra.Command, name, file, history string) (explanation, string, error) {
	e := explanation{Monitor: name, Recorded: simulate.Record{}}
	model, text, from, err := a.standing(c, &e, file)
	if err != nil {
		return e, "", err
	}
	m, err := monitorOf(model, name)
	if err != nil {
		return e, "", err
	}
	h, err := simulate.Parse(text)
	if history != "" {
		h, err = readHistory(history, model)
	}
	if err != nil {
		return e, "", err
	}
	if text != "" || history != "" {
		e.Recorded = append(e.Recorded, about(simulate.Run(model, h), name)...)
	}
	e.Policy = policy(m)
	e.Ahead = simulate.Ahead(model, name, from, time.Now())
	return e, text, nil
}

func monitorOf(model *config.Model, name string) (config.Monitor, error) {
	i := slices.IndexFunc(model.Monitors, func(m config.Monitor) bool { return m.Name == name })
	if i < 0 {
		return config.Monitor{}, api.Errorf(api.NotFound, "there is no monitor %q", name).Try("shisa monitor list")
	}
	return model.Monitors[i], nil
}

// standing returns the configuration, the recorded history of the monitor, and
// how its recovery stands: from the daemon, unless a file is named.
func (a *app) standing(c *cobra.Command, e *explanation, file string) (*config.Model, string, recovery.State, error) {
	var from recovery.State
	if file != "" {
		model, err := a.load([]string{file})
		return model, "", from, err
	}
	running, err := a.client().Config(c.Context())
	if err != nil {
		return nil, "", from, err
	}
	model, problems := config.Parse([]byte(running.Text), running.Source, "", registry())
	if model == nil {
		return nil, "", from, fmt.Errorf("this shisa cannot read the configuration of the daemon: %w", problems.Err())
	}
	if _, err := monitorOf(model, e.Monitor); err != nil {
		return nil, "", from, err
	}
	w, err := a.client().Why(c.Context(), "monitor/"+e.Monitor)
	if err != nil {
		return nil, "", from, err
	}
	e.Summary = w.Summary
	if w.Monitor == nil {
		return model, "", from, nil
	}
	n := w.Monitor.Status.Counters
	from = recovery.State{Failures: n.Failures, Scripts: n.Scripts, Restarts: n.Restarts, Exhausted: n.Exhausted}
	all := looks(e.Monitor, w.Monitor.Probes)
	for _, name := range ancestors(model, e.Monitor) {
		w, err := a.client().Why(c.Context(), "monitor/"+name)
		if err != nil {
			return nil, "", from, err
		}
		if w.Monitor != nil {
			all = append(all, looks(name, w.Monitor.Probes)...)
		}
	}
	slices.SortStableFunc(all, func(a, b simulate.Look) int { return a.At.Compare(b.At) })
	return model, simulate.Recorded(all), from, nil
}

// ancestors returns the parents of a monitor, and theirs.
func ancestors(model *config.Model, name string) []string {
	all := []string{name}
	for i := 0; i < len(all); i++ { // which grows meanwhile
		m, _ := model.Monitor(all[i])
		for _, parent := range m.Parents {
			if !slices.Contains(all, parent) {
				all = append(all, parent)
			}
		}
	}
	return all[1:]
}

// looks turns recorded probes into those of a history.
func looks(monitor string, probes []api.Probe) []simulate.Look {
	words := map[api.Verdict]string{api.OK: "ok", api.Warning: "warning", api.Failed: "failed", api.TimedOut: "timeout", api.CouldNotLook: "blind"}
	var all []simulate.Look
	for _, p := range probes {
		if word := words[p.Verdict]; word != "" {
			all = append(all, simulate.Look{Monitor: monitor, At: p.At, Outcome: word, Detail: p.Detail})
		}
	}
	return all
}

// about leaves out what concerns other monitors, and the start.
func about(r simulate.Record, monitor string) simulate.Record {
	return slices.DeleteFunc(r, func(e simulate.Entry) bool {
		other := strings.HasPrefix(e.Subject, "monitor/") && e.Subject != "monitor/"+monitor
		start := e.AtMS == 0 && e.Subject != "monitor/"+monitor
		return other || start || e.Kind == simulate.State
	})
}

// policy says in words what a monitor does about failures.
func policy(m config.Monitor) string {
	r, p := m.Recovery, m.Recovery.Policy
	steps := []string{fmt.Sprintf("probes every %s, tolerates %d failures", param.FormatDuration(m.Timing.Interval), p.Retry)}
	if p.MaxScript > 0 {
		steps = append(steps, fmt.Sprintf("runs %s up to %d times", r.Script, p.MaxScript))
	}
	if p.MaxRestart > 0 {
		steps = append(steps, fmt.Sprintf("restarts %s up to %d times, %s to %s apart", r.Target, p.MaxRestart,
			param.FormatDuration(r.Backoff), param.FormatDuration(r.BackoffMax)))
	}
	if p.FinalAction == recovery.NoAction || p.FinalAction == "" {
		steps = append(steps, "takes no final action")
	} else {
		steps = append(steps, "ends with "+string(p.FinalAction))
	}
	text := "It " + strings.Join(steps, ", then ") + "."
	if len(m.Parents) > 0 {
		text += " While " + strings.Join(m.Parents, " or ") + " fails, it waits."
	}
	if r.Grace > 0 {
		text += " Failures within " + param.FormatDuration(r.Grace) + " of a start do not count."
	}
	return text
}

func (a *app) writeExplanation(e explanation) {
	head := func(text string) { fmt.Fprintln(a.out, "\n"+a.paint.in(strong, text)) }
	if e.Summary != "" {
		fmt.Fprintln(a.out, strings.Join(a.paint.wrap(inert(e.Summary), 0), "\n"))
	}
	fmt.Fprintln(a.out, strings.Join(a.paint.wrap(inert(e.Policy), 0), "\n"))
	part := func(title string, r simulate.Record) {
		if len(r) == 0 {
			return
		}
		head(title)
		for _, one := range r {
			a.writeEntry(one)
		}
	}
	part("what it saw, and what follows from that", e.Recorded)
	part("what follows if its target goes on failing", e.Ahead)
}
