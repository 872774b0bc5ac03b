package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"shisa/ctl/api"
)

func (a *app) status() *cobra.Command {
	var watch bool
	var every time.Duration
	c := &cobra.Command{Use: "status", Short: "what protects this machine, and how everything is",
		Long: "Shows which countdown is armed and when it was last pinged, how fresh each proof of progress is, every group, resource and\n" +
			"monitor, and what an operator should look at, with what to do after →. Exit code 0 whatever it shows: programs read --json.", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if watch {
				return a.watch(c.Context(), every)
			}
			text, err := a.statusText(c.Context())
			if err == nil && a.json {
				text, err = indented(text)
			}
			if err != nil {
				return err
			}
			_, err = a.out.Write(text)
			return err
		}}
	c.Flags().BoolVarP(&watch, "watch", "w", false, "show it again and again until interrupted")
	c.Flags().DurationVar(&every, "every", 2*time.Second, "how often with --watch")
	return c
}

// statusText returns the status for people, or with --json in one line for
// programs.
func (a *app) statusText(ctx context.Context) ([]byte, error) {
	if a.json {
		return a.client().StatusText(ctx)
	}
	s, err := a.client().Overview(ctx)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	writeStatus(&b, a.paint, s)
	return b.Bytes(), nil
}

// indented lays out JSON that came from the daemon.
func indented(text []byte) ([]byte, error) {
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return nil, fmt.Errorf("answer of shisad: %w", err)
	}
	return b.Bytes(), nil
}

// watch shows the status until ctx is done. With --json each is one line.
func (a *app) watch(ctx context.Context, every time.Duration) error {
	for {
		text, err := a.statusText(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			text = fmt.Appendln(nil, "shisa:", explain(err))
		}
		if a.paint.color || a.paint.width > 0 {
			fmt.Fprint(a.out, "\x1b[H\x1b[2J") // home and clear, ECMA-48
		}
		if _, err := a.out.Write(text); err != nil {
			return err
		}
		t := time.NewTimer(max(every, 100*time.Millisecond))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil
		}
	}
}

// writeStatus draws the status for people.
func writeStatus(w io.Writer, p painter, s api.Status) {
	head := inert(fmt.Sprintf("%s · shisa %s · mode %s · up %s", s.Server, s.Version, s.Mode, span(s.UptimeMS.D())))
	fmt.Fprintf(w, "%s %s\n", p.in(levelColor(s.Level), "●"), p.in(strong, p.fit(head, 2)))
	t := table{wrap: true}
	row := func(name, color, text string) { t.add(cell{name, dim}, cell{text, color}) }
	row("protection", protectionColor(s.Protection.State), s.Protection.Summary)
	for _, e := range []*api.Engine{s.Protection.Primary, s.Protection.Backstop} {
		if e != nil && e.Driver != "none" {
			row(e.Role, plain, engineLine(e))
		}
	}
	row("beats", beatColor(s.Stall), beatLine(s.Stall))
	row("shutdown", plain, shutdownLine(s.Shutdown))
	row("limiter", plain, limiterLine(s.Limiter))
	row("last boot", plain, s.LastBoot.Summary)
	for _, r := range s.Suppression.Reasons {
		row("note", warn, r)
	}
	t.write(w, p, 2)
	writeGroups(w, p, s)
	writeMonitors(w, p, s)
	writeProblems(w, p, s.Problems)
}

func protectionColor(s api.ProtectionState) string {
	switch s {
	case api.Protected:
		return good
	case api.Lesser, api.Disarmed:
		return warn
	case api.Unprotected:
		return alarm
	case api.Observing:
	}
	return plain
}

func engineLine(e *api.Engine) string {
	if !e.Armed {
		return strings.TrimSpace(fmt.Sprintf("%s %s not armed: %s", e.Driver, e.Device, e.Error))
	}
	text := fmt.Sprintf("%s %s (%s) · %s after %s without ping · pinged %s ago", e.Driver, e.Device, e.Identity, e.Action, span(e.TimeoutMS.D()), span(e.LastPingMS.D()))
	if e.Error != "" {
		text += " · " + e.Error
	}
	return text
}

func beatColor(s api.Stall) string {
	for _, b := range s.Beats {
		if !b.Fresh {
			return alarm
		}
	}
	return plain
}

func beatLine(s api.Stall) string {
	if !s.Enabled {
		return "not judged: stall.enabled is false"
	}
	var parts []string
	for _, b := range s.Beats {
		parts = append(parts, fmt.Sprintf("%s %s (most %s)", b.Name, span(b.AgeMS.D()), span(b.MaxDelayMS.D())))
	}
	return fmt.Sprintf("limit %s · %s", span(s.TimeoutMS.D()), strings.Join(parts, " · "))
}

func shutdownLine(s api.Shutdown) string {
	if s.Armed {
		return fmt.Sprintf("guarded now: %s after %s", s.Action, span(s.TimeoutMS.D()))
	}
	if s.Watch == "never" {
		return "not guarded"
	}
	return fmt.Sprintf("guarded %s: %s after %s", strings.ReplaceAll(s.Watch, "_", " "), s.Action, span(s.TimeoutMS.D()))
}

func limiterLine(l api.Limiter) string {
	if !l.Enabled {
		return "off"
	}
	return fmt.Sprintf("%d of %d machine-level actions", l.Count, l.Max)
}

func writeGroups(w io.Writer, p painter, s api.Status) {
	if len(s.Groups) == 0 {
		return
	}
	fmt.Fprintln(w, p.in(strong, "groups"))
	var t table
	for _, g := range s.Groups {
		t.add(cell{g.Name, plain}, cell{"", plain}, cell{string(g.State), stateColor(g.State)}, cell{ago(s.At, g.Since), dim}, cell{g.Detail, plain})
		for _, r := range g.Resources {
			detail := r.Detail
			if r.PID > 0 {
				detail = strings.TrimSpace(fmt.Sprintf("pid %d %s", r.PID, detail))
			}
			t.add(cell{"  " + r.Name, plain}, cell{r.Type, dim}, cell{string(r.State), stateColor(r.State)}, cell{ago(s.At, r.Since), dim}, cell{detail, plain})
		}
	}
	t.write(w, p, 2)
}

func writeMonitors(w io.Writer, p painter, s api.Status) {
	if len(s.Monitors) == 0 {
		return
	}
	fmt.Fprintln(w, p.in(strong, "monitors"))
	var t table
	for _, m := range s.Monitors {
		verdict, color := string(m.Verdict), verdictColor(m.Verdict)
		switch m.State {
		case api.MonitorSuspended, api.MonitorInactive:
			verdict, color = string(m.State), dim
		case api.MonitorWaiting, api.MonitorProbing, api.MonitorBroken:
		}
		t.add(cell{m.Name, plain}, cell{m.Type, dim}, cell{verdict, color}, cell{ago(s.At, m.Since), dim}, cell{counters(m) + m.Detail, plain})
	}
	t.write(w, p, 2)
}

// counters says how far recovery has gone; empty while all is well.
func counters(m api.Monitor) string {
	c := m.Counters
	var parts []string
	if c.Failures > 0 {
		parts = append(parts, fmt.Sprintf("failure %d of %d", c.Failures, c.Retry))
	}
	if c.Restarts > 0 {
		parts = append(parts, fmt.Sprintf("restart %d of %d", c.Restarts, c.MaxRestart))
	}
	if c.Exhausted {
		parts = append(parts, "gave up")
	}
	if len(parts) == 0 {
		return ""
	}
	return "[" + strings.Join(parts, ", ") + "] "
}

func writeProblems(w io.Writer, p painter, problems []api.Problem) {
	if len(problems) == 0 {
		return
	}
	fmt.Fprintln(w, p.in(strong, "problems"))
	t := table{wrap: true}
	for _, one := range problems {
		text := one.Text
		if one.Mend != "" {
			text += " → " + one.Mend
		}
		t.add(cell{string(one.Level), levelColor(one.Level)}, cell{text, plain})
	}
	t.write(w, p, 2)
}
