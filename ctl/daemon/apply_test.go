package daemon

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/config"
	"shisa/ctl/event"
)

// TestApplyWithoutItsCaller: a caller who is gone before the configuration is in
// force loses nothing and hinders nobody: it follows, is announced and kept.
func TestApplyWithoutItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kept []string
		w := begin(t, oneService, nil)
		w.daemon.parts.Applied = func(m *config.Model) { kept = append(kept, m.Server.Name) }
		defer w.end()
		gone, leave := context.WithCancel(t.Context())
		leave()
		for _, name := range strings.Split("abcdefghijklmnop", "") {
			text := strings.Replace(oneService, "[[group]]", "[server]\nname = \""+name+"\"\n[[group]]", 1)
			if _, err := w.daemon.ApplyConfig(gone, api.ConfigSource{Text: text}); err != nil && api.CodeOf(err) != api.OutOfTime {
				t.Fatalf("%s: %v", name, err)
			}
			time.Sleep(time.Second)
			if got := w.daemon.Model().Server.Name; got != name {
				t.Fatalf("in force is %q, want %q", got, name)
			}
		}
		if len(kept) != 16 {
			t.Errorf("kept %q, want each", kept)
		}
		events, err := w.daemon.Events(t.Context(), api.EventQuery{Codes: []string{event.ConfigApplied.Code}})
		if err != nil || len(events) != 16 {
			t.Errorf("%d announced (%v), want 16", len(events), err)
		}
	})
}

// TestApplyRefusesWhatIsNotThere: a configuration that names a script which does
// not exist is a mistake like any other: nothing of it is applied.
func TestApplyRefusesWhatIsNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, oneService, nil)
		defer w.end()
		file := filepath.Join(t.TempDir(), config.FileName)
		text := strings.Replace(oneService, "restarts = 2", "scripts = 1\nscript = \"nosuch.sh\"\nrestarts = 7", 1)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for what, ask := range map[string]func(context.Context, api.ConfigSource) (api.Plan, error){"plan": w.daemon.PlanConfig, "apply": w.daemon.ApplyConfig} {
			plan, err := ask(t.Context(), api.ConfigSource{Path: file})
			if err != nil || plan.Applied || len(plan.Mistakes) != 1 || len(plan.Changes) != 0 || !strings.Contains(plan.Mistakes[0].Text, "nosuch.sh") {
				t.Errorf("%s: %+v, %v", what, plan, err)
			}
		}
		if got := w.daemon.Model().Monitors[0].Recovery.Policy.MaxRestart; got != 2 {
			t.Errorf("%d restarts are in force, want 2", got)
		}
	})
}

// TestReloadReadsTheServicesFile: a reload goes back to the file that the service
// begins with, whatever was applied in between; who applies another one is told.
func TestReloadReadsTheServicesFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, oneService, nil)
		defer w.end()
		dir := t.TempDir()
		own, other := filepath.Join(dir, config.FileName), filepath.Join(dir, "other.toml")
		for file, name := range map[string]string{own: "own", other: "other"} {
			if err := os.WriteFile(file, []byte(strings.Replace(oneService, "[[group]]", "[server]\nname = \""+name+"\"\n[[group]]", 1)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		w.daemon.parts.Config = own
		plan, err := w.daemon.ApplyConfig(t.Context(), api.ConfigSource{Path: other})
		if err != nil || !plan.Applied || !strings.Contains(plan.Summary, "until the next start") {
			t.Errorf("%+v, %v", plan, err)
		}
		plan, err = w.daemon.ApplyConfig(t.Context(), api.ConfigSource{})
		if err != nil || !plan.Applied || strings.Contains(plan.Summary, "until the next start") {
			t.Errorf("%+v, %v", plan, err)
		}
		if got := w.daemon.Model().Server.Name; got != "own" {
			t.Errorf("in force is %q", got)
		}
	})
}

// TestPlanOfAnother: a plan that was made for another configuration than the one
// that is in force by now is not carried out.
func TestPlanOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, oneService, nil)
		defer w.end()
		p, _ := w.daemon.prepare(api.ConfigSource{Text: strings.Replace(oneService, "10s", "20s", 1)})
		c, err := w.daemon.build(p.next, &p.plan)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.daemon.ApplyConfig(t.Context(), api.ConfigSource{Text: strings.Replace(oneService, "5s", "6s", 1)}); err != nil {
			t.Fatal(err)
		}
		if err := w.daemon.reserve(c, p.running); api.CodeOf(err) != api.Conflict {
			t.Errorf("%v", err)
		}
	})
}

// TestNothingBeginsAtTheEnd: what would start something is refused while the
// service stops for good, and is told so.
func TestNothingBeginsAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, oneService, func(w *world) { w.target("web").slow = 30 * time.Second })
		time.Sleep(time.Minute)
		w.daemon.StopService(t.Context(), "test", "test", "")
		time.Sleep(time.Second)
		_, group := w.daemon.Group(t.Context(), api.UnitCommand{Name: "g", Verb: api.StartUnit})
		_, resource := w.daemon.Resource(t.Context(), api.UnitCommand{Name: "web", Verb: api.StartUnit})
		_, apply := w.daemon.ApplyConfig(t.Context(), api.ConfigSource{Text: strings.Replace(oneService, "10s", "20s", 1)})
		_, shutdown := w.daemon.Shutdown(t.Context(), api.ShutdownCommand{How: api.Reboot})
		for what, err := range map[string]error{"group": group, "resource": resource, "configuration": apply, "shutdown": shutdown} {
			if api.CodeOf(err) != api.Conflict {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := <-w.done; err != nil {
			t.Error(err)
		}
		if s := w.look("web"); s.running || s.starts != 1 {
			t.Errorf("%+v", s)
		}
		if l := w.store.State().Current.Leaving; l == nil || l.How != "stop" {
			t.Errorf("recorded as %+v, want a stop", l)
		}
		if err := w.store.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
