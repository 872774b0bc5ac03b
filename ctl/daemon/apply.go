package daemon

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"shisa/ctl/api"
	"shisa/ctl/config"
	"shisa/ctl/decide"
	"shisa/ctl/event"
	"shisa/ctl/recovery"
	"shisa/ctl/store"
)

// Config returns the running configuration.
func (d *Daemon) Config(context.Context) (api.ConfigText, error) {
	m := d.Model()
	text, err := textOf(m)
	return api.ConfigText{Source: m.Source, Text: text}, err
}

// textOf returns the effective configuration, secrets masked.
func textOf(m *config.Model) (string, error) {
	var b strings.Builder
	err := m.WriteTOML(&b)
	return b.String(), err
}

// digest identifies a configuration by what it means: order of keys, comments
// and white space do not count.
func digest(m *config.Model) string {
	text, err := textOf(m)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// PlanConfig checks a configuration and says what applying it would change.
func (d *Daemon) PlanConfig(_ context.Context, s api.ConfigSource) (api.Plan, error) {
	_, plan, answer := d.prepare(s)
	if plan != nil {
		answer.Changes = changes(plan)
		answer.Summary = summary(plan)
	}
	return answer, nil
}

// prepare reads s and compares it with the configuration in force. Without
// mistakes the model and the plan are not nil.
func (d *Daemon) prepare(s api.ConfigSource) (*config.Model, *config.Plan, api.Plan) {
	running := d.Model()
	var next *config.Model
	var problems config.Problems
	source := s.Path
	switch {
	case s.Text != "":
		source = "(text)"
		next, problems = config.Parse([]byte(s.Text), running.Source, running.Dir, d.parts.Types)
	case s.Path == "" && running.Source == config.DefaultSource:
		next = config.Default()
		source = running.Source
	default:
		if source == "" {
			source = running.Source
		}
		next, problems = config.Load(source, d.parts.Types)
	}
	answer := api.Plan{Source: source, Changes: []api.Change{}, Mistakes: []api.Mistake{}}
	for _, p := range problems {
		if !p.Warning {
			answer.Mistakes = append(answer.Mistakes, api.Mistake{File: p.File, Line: p.Line, Key: p.Key, Text: p.Text})
		}
	}
	if next == nil {
		answer.Summary = fmt.Sprintf("%d mistakes: nothing can be applied", len(answer.Mistakes))
		return nil, nil, answer
	}
	if d.parts.StateDir != "" {
		next.Store.Dir = d.parts.StateDir
	}
	if d.brake != "" {
		next = observeOnly(next)
	}
	plan := config.Diff(running, next)
	return next, &plan, answer
}

func changes(p *config.Plan) []api.Change {
	list := []api.Change{}
	for _, s := range p.Steps {
		subject := string(s.Kind) + "/" + s.Name
		if s.Kind == config.SectionKind {
			subject = cmp.Or(s.Name, "general")
		}
		list = append(list, api.Change{Do: string(s.Op), Subject: subject, Detail: detail(s)})
	}
	return list
}

func detail(s config.Step) string {
	parts := []string{}
	for _, f := range s.Fields {
		parts = append(parts, fmt.Sprintf("%s %s → %s", f.Key, cmp.Or(f.Old, "(none)"), cmp.Or(f.New, "(none)")))
	}
	if s.Why != "" {
		parts = append(parts, s.Why)
	}
	return strings.Join(parts, "; ")
}

// summary counts the steps of a plan in words.
func summary(p *config.Plan) string {
	count := map[config.Op]int{}
	for _, s := range p.Steps {
		count[s.Op]++
	}
	var parts []string
	for _, op := range []config.Op{config.OpStart, config.OpStop, config.OpRestart, config.OpChange, config.OpLater} {
		if count[op] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[op], op))
		}
	}
	if len(parts) == 0 {
		return "nothing changes"
	}
	return strings.Join(parts, ", ")
}

// listed returns the mistakes in one text: a reload by signal has nobody to answer to.
func listed(mistakes []api.Mistake) string {
	var b strings.Builder
	for i, m := range mistakes {
		if i > 0 {
			b.WriteString("; ")
		}
		if i == maxListed {
			fmt.Fprintf(&b, "and %d more", len(mistakes)-i)
			break
		}
		fmt.Fprintf(&b, "%s:%d: %s", m.File, m.Line, strings.TrimPrefix(m.Key+": "+m.Text, ": "))
	}
	return b.String()
}

// maxListed bounds the mistakes in one event.
const maxListed = 10

// ApplyConfig puts a configuration into force, whole or not at all.
func (d *Daemon) ApplyConfig(ctx context.Context, s api.ConfigSource) (api.Plan, error) {
	next, plan, answer := d.prepare(s)
	if plan == nil {
		d.emit(event.ConfigRejected.New("", "error", listed(answer.Mistakes)))
		return answer, nil
	}
	answer.Changes, answer.Summary = changes(plan), summary(plan)
	c, err := d.build(next, plan)
	if err != nil {
		d.emit(event.ConfigRejected.New("", "error", err.Error()))
		return answer, api.Errorf(api.Refused, "%v", err).Try("mend the configuration; the running one stays")
	}
	c.summary = answer.Summary
	if err := d.reserve(c); err != nil {
		return answer, err
	}
	d.record(ctx, "config apply "+answer.Source, "")
	// From here on it follows, whether or not the caller waits for it.
	d.input(context.WithoutCancel(ctx), decide.Reload{Model: next, Restart: stopping(plan)})
	select {
	case <-c.done:
	case <-ctx.Done():
		return answer, api.Errorf(api.OutOfTime, "resources are still stopping; the configuration follows").Try("shisa status --watch")
	}
	answer.Applied = true
	return answer, nil
}

// reserve makes c the configuration that comes next.
func (d *Daemon) reserve(c *change) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.machine.Service() != decide.Running:
		return api.Errorf(api.Conflict, "the service is stopping")
	case d.next != nil:
		return api.Errorf(api.Conflict, "another configuration is being applied").Try("wait for it: shisa status")
	}
	d.next = c
	return nil
}

// stopping lists the resources that plan stops or restarts.
func stopping(p *config.Plan) []string {
	var names []string
	for _, s := range p.Steps {
		if s.Kind == config.ResourceKind && (s.Op == config.OpStop || s.Op == config.OpRestart) {
			names = append(names, s.Name)
		}
	}
	return names
}

// Shutdown stops every group and takes the machine down.
func (d *Daemon) Shutdown(ctx context.Context, c api.ShutdownCommand) (api.Result, error) {
	if c.How == api.GuardOnly {
		if d.parts.GoingDown == nil || !d.parts.GoingDown(ctx) {
			return api.Result{}, api.Errorf(api.Refused, "the operating system is not going down").Try("shisa shutdown takes it down, guarded")
		}
		d.systemGoesDown(ctx, "systemd", c.Reason)
		if m := d.Model(); m.Mode != config.Protect || m.Shutdown.Watch != "always" {
			return api.Result{Text: "The shutdown is not guarded: that takes mode protect and shutdown.watch always."}, nil
		}
		d.parts.Guard.Shutdown(ctx, cmp.Or(c.Reason, "the operating system is going down"))
		return api.Result{Text: "The shutdown is guarded."}, nil
	}
	action := recovery.Reboot
	if c.How == api.PowerOff {
		action = recovery.Shutdown
	}
	if m := d.Model(); m.Mode != config.Protect {
		err := api.Errorf(api.Refused, "observing only: shisa does not take this machine down")
		return api.Result{}, err.Try(`use systemctl, or set mode = "protect"`)
	}
	who := api.CallerFrom(ctx).String()
	leaving := store.Leaving{How: string(c.How), By: who, Reason: c.Reason, Phase: "requested"}
	if err := d.parts.Store.Leaving(ctx, leaving); err != nil {
		return api.Result{}, api.Errorf(api.Refused, "record the request: %v", err).Try("mend the state directory, or use systemctl")
	}
	d.emit(event.ShutdownRequested.New("", "action", string(c.How), "who", who, "reason", c.Reason))
	d.input(ctx, decide.StopService{Then: action, By: who, Reason: c.Reason})
	return api.Result{Text: "Groups are stopped, then the machine goes down (" + string(c.How) + ")."}, nil
}
