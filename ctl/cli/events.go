package cli

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"shisa/ctl/api"
	"shisa/ctl/event"
	"shisa/ctl/param"
)

// nearest names the event that was meant, or where they stand.
func nearest(code string) string {
	codes := []string{}
	for _, def := range event.All() {
		codes = append(codes, def.Code)
	}
	if near := param.Nearest(code, codes); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return "; shisa help event-codes lists them"
}

func (a *app) events() *cobra.Command {
	var q api.EventQuery
	var follow bool
	var since string
	var severity string
	c := &cobra.Command{Use: "events", Short: "what happened, and with --follow what happens",
		Long:    "Shows events, oldest first: the latest 100 unless --lines says otherwise. What each means stands in shisa help event-codes.",
		Example: "  shisa events --since 2h --severity warning\n  shisa events --subject monitor/web --follow\n  shisa events --code boot-unclean,recovery-final --since 30d",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := q.Severity.UnmarshalText([]byte(severity)); err != nil {
				return fmt.Errorf("--severity: %w: %w", err, errUsage)
			}
			for _, code := range q.Codes {
				if event.Lookup(code) == nil {
					return fmt.Errorf("--code: there is no event %q%s: %w", code, nearest(code), errUsage)
				}
			}
			var err error
			if q.Since, err = moment(since, time.Now()); err != nil {
				return fmt.Errorf("--since: %w: %w", err, errUsage)
			}
			if follow {
				return a.client().Follow(c.Context(), q, a.followed)
			}
			events, err := a.client().Events(c.Context(), q)
			if err != nil {
				return err
			}
			if a.json {
				return a.writeJSON(events)
			}
			for _, e := range events {
				a.writeEvent(e)
			}
			return nil
		}}
	f := c.Flags()
	f.BoolVarP(&follow, "follow", "f", false, "go on with each event as it happens")
	f.StringVar(&since, "since", "", "only events of this time, such as 2h or 3d, or from a moment: 2026-11-23T09:00")
	f.IntVarP(&q.Limit, "lines", "n", 0, "at most so many, the latest; 0: 100")
	f.StringVar(&severity, "severity", "info", "at least this: info, warning, error, critical")
	f.StringSliceVar(&q.Codes, "code", nil, "only these kinds of event, such as monitor-failed")
	f.StringSliceVar(&q.Subjects, "subject", nil, "only about these, such as monitor/web, or monitor for all of them")
	return c
}

// moment reads a time span before now, or a moment in local time; empty: none.
func moment(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := param.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a time span such as 2h nor a moment such as 2026-11-23T09:00", text)
}

// followed prints one item of a followed stream; with --json one line each.
func (a *app) followed(i api.FollowItem) error {
	if a.json {
		return json.NewEncoder(a.out).Encode(i)
	}
	if i.Lost > 0 {
		fmt.Fprintf(a.err, "shisa: %d events were lost: this terminal is too slow\n", i.Lost)
	}
	if i.Event != nil {
		a.writeEvent(*i.Event)
	}
	return nil
}

var severityColors = map[event.Severity]string{event.Info: dim, event.Warning: warn, event.Error: bad, event.Critical: alarm}

func (a *app) writeEvent(e event.Event) {
	fmt.Fprintf(a.out, "%s  %s  %s\n", e.Time.Local().Format("2006-01-02 15:04:05.000"),
		a.paint.in(severityColors[e.Severity], pad(e.Severity.String(), 8)), inert(e.Text))
}
