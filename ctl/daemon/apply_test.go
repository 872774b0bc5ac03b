package daemon

import (
	"context"
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

// TestNothingBeginsAtTheEnd: what would start something is refused while the
// service stops for good, and is told so.
func TestNothingBeginsAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, oneService, func(w *world) { w.target("web").slow = 30 * time.Second })
		time.Sleep(time.Minute)
		w.daemon.StopService(t.Context(), "test", "test", false)
		time.Sleep(time.Second)
		_, group := w.daemon.Group(t.Context(), api.UnitCommand{Name: "g", Verb: api.StartUnit})
		_, resource := w.daemon.Resource(t.Context(), api.UnitCommand{Name: "web", Verb: api.StartUnit})
		_, apply := w.daemon.ApplyConfig(t.Context(), api.ConfigSource{Text: strings.Replace(oneService, "10s", "20s", 1)})
		for what, err := range map[string]error{"group": group, "resource": resource, "configuration": apply} {
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
		if err := w.store.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
