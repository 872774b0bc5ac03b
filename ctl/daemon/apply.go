package daemon

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"strings"
	"sync"

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

// digest identifies a configuration by what it means: order of keys, comments and
// white space do not count. It writes all of it once, when somebody asks first: that
// takes as long as all the rest of a reload.
func digest(m *config.Model) func() string {
	return sync.OnceValue(func() string {
		text, err := textOf(m)
		if err != nil {
			return ""
		}
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:8])
	})
}

// A proposal is a configuration compared with the one in force.
type proposal struct {
	running *config.Model // that it was compared with
	wanted  *config.Model // as it was written
	next    *config.Model // the same, with the operator's brake
	plan    config.Plan   // from running to next
}

// propose compares wanted with the configuration in force.
func (d *Daemon) propose(wanted *config.Model) *proposal {
	d.mu.Lock()
	p := &proposal{running: d.model, wanted: wanted, next: braked(wanted, d.brake)}
	d.mu.Unlock()
	p.plan = config.Diff(p.running, p.next)
	return p
}

// PlanConfig checks a configuration and says what applying it would change.
func (d *Daemon) PlanConfig(_ context.Context, s api.ConfigSource) (api.Plan, error) {
	_, answer := d.prepare(s)
	return answer, nil
}

// prepare reads s and compares it with the configuration in force. The proposal is
// nil when there are mistakes, among them scripts that are named and not there.
func (d *Daemon) prepare(s api.ConfigSource) (*proposal, api.Plan) {
	wanted, problems, source := d.read(s)
	answer := api.Plan{Source: source, Changes: []api.Change{}, Mistakes: []api.Mistake{}}
	for _, p := range problems {
		if !p.Warning {
			answer.Mistakes = append(answer.Mistakes, api.Mistake{File: p.File, Line: p.Line, Key: p.Key, Text: p.Text})
		}
	}
	if n := len(answer.Mistakes); n > 0 || wanted == nil {
		answer.Summary = fmt.Sprintf("nothing can be applied: %d mistakes", n)
		return nil, answer
	}
	if d.parts.StateDir != "" {
		wanted.Store.Dir = d.parts.StateDir
	}
	p := d.propose(wanted)
	answer.Changes, answer.Summary = api.Changes(&p.plan), api.Summary(&p.plan)
	return p, answer
}

// readingGCPercent is the garbage collector's target (runtime/debug.SetGCPercent) while
// a configuration is read: of 1 000 monitors that is some 50 MiB for a moment.
const readingGCPercent = 400

// read reads the configuration that s names: a text, a file, or nothing, which
// means the file that the service begins with.
func (d *Daemon) read(s api.ConfigSource) (m *config.Model, problems config.Problems, source string) {
	// One at a time, and what it throws away is collected afterwards, not in several
	// rounds meanwhile: that took half of the time.
	d.reading.Lock()
	defer d.reading.Unlock()
	defer debug.SetGCPercent(debug.SetGCPercent(readingGCPercent))
	running := d.Model()
	switch path := cmp.Or(s.Path, d.parts.Config, running.Source); {
	case s.Text != "":
		m, problems = config.Parse([]byte(s.Text), running.Source, running.Dir, d.parts.Types)
		return m, problems, "(text)"
	case s.Path == "" && (path == config.DefaultSource || running.Source == config.DefaultSource && !exists(path)):
		return config.Default(), nil, config.DefaultSource
	default:
		m, problems = config.Load(path, d.parts.Types)
		return m, problems, path
	}
}

// exists reports whether there is, or may be, a file of that name.
func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// rejected announces why a configuration is not applied.
func (d *Daemon) rejected(why string) {
	d.emit(event.ConfigRejected.New("", "instead", "the running one stays", "error", why))
}

// listed returns the mistakes in one text: a reload by signal has nobody to answer to.
func listed(mistakes []api.Mistake) string {
	var all config.Problems
	for _, m := range mistakes {
		all = append(all, config.Problem{File: m.File, Line: m.Line, Key: m.Key, Text: m.Text})
	}
	return all.Brief()
}

// ApplyConfig puts a configuration into force, whole or not at all.
func (d *Daemon) ApplyConfig(ctx context.Context, s api.ConfigSource) (api.Plan, error) {
	p, answer := d.prepare(s)
	if p == nil {
		d.rejected(listed(answer.Mistakes))
		return answer, nil
	}
	if file := d.parts.Config; file != "" && s.Text == "" && p.wanted.Source != config.DefaultSource && p.wanted.Source != file {
		answer.Summary += "; until the next start of the service, which reads " + file
	}
	c, err := d.build(p.next, &p.plan)
	if err != nil {
		d.rejected(err.Error())
		return answer, api.Errorf(api.Refused, "%v", err).Try("mend the configuration; the running one stays")
	}
	c.wanted, c.summary = p.wanted, answer.Summary
	if err := d.reserve(c, p.running); err != nil {
		return answer, err
	}
	d.record(ctx, "config apply "+answer.Source, "")
	// From here on it follows, whether or not the caller waits for it.
	d.input(context.WithoutCancel(ctx), decide.Reload{Model: p.next, Restart: stopping(&p.plan)})
	select {
	case <-c.done:
	case <-ctx.Done():
		return answer, api.Errorf(api.OutOfTime, "resources are still stopping; the configuration follows").Try("shisa status --watch")
	}
	answer.Applied = true
	return answer, nil
}

// reserve makes c, which was planned for the change from running, the
// configuration that comes next.
func (d *Daemon) reserve(c *change, running *config.Model) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.machine.Service() != decide.Running:
		return api.Errorf(api.Conflict, "the service is stopping")
	case d.next != nil || d.model != running:
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
		down := ""
		if d.parts.GoingDown != nil {
			down = d.parts.GoingDown(ctx)
		}
		if down == "" {
			return api.Result{}, api.Errorf(api.Refused, "the operating system is not going down").Try("shisa shutdown takes it down, guarded")
		}
		d.systemGoesDown(ctx, down, "systemd", c.Reason)
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
	if d.ending() {
		return api.Result{}, api.Errorf(api.Conflict, "the service is stopping already").Try("shisa status; use systemctl once it has ended")
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
