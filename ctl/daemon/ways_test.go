package daemon

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shisa/ctl/api"
)

// TestFix022AppliedWhateverRuns: a change is accepted in every state of the
// service, and is in force afterwards. (The original refused, while suspended,
// changes that needed monitors to be paused.)
func TestFix022AppliedWhateverRuns(t *testing.T) {
	states := map[string]func(*testing.T, *world){
		"running": func(*testing.T, *world) {},
		"suspended": func(t *testing.T, w *world) {
			if _, err := w.daemon.Suspend(t.Context(), api.SuspendCommand{Reason: "test"}); err != nil {
				t.Fatal(err)
			}
		},
		"group stopped": func(t *testing.T, w *world) {
			if _, err := w.daemon.Group(t.Context(), api.UnitCommand{Name: "g", Verb: api.StopUnit}); err != nil {
				t.Fatal(err)
			}
		},
		"failing": func(_ *testing.T, w *world) {
			w.set("web", func(s *scripted) { s.startErr = context.DeadlineExceeded })
		},
	}
	changes := map[string]string{
		"timing":        strings.Replace(oneService, `interval = "10s"`, `interval = "20s"`, 1),
		"recovery":      strings.Replace(oneService, "restarts = 2", "restarts = 3", 1),
		"monitor gone":  oneService[:strings.Index(oneService, "[[monitor]]")],
		"all gone":      "mode = \"protect\"\n",
		"resource more": strings.Replace(oneService, "[[monitor]]", "[[resource]]\nname = \"more\"\ntype = \"scripted\"\ngroup = \"g\"\nof = \"more\"\n[[monitor]]", 1),
	}
	for state, enter := range states {
		for change, text := range changes {
			t.Run(state+"/"+change, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := begin(t, oneService, nil)
					defer w.end()
					time.Sleep(time.Minute)
					enter(t, w)
					plan, err := w.daemon.ApplyConfig(t.Context(), api.ConfigSource{Text: text})
					if err != nil || !plan.Applied || len(plan.Mistakes) > 0 {
						t.Fatalf("%+v, %v", plan, err)
					}
					if plan, err := w.daemon.PlanConfig(t.Context(), api.ConfigSource{Text: text}); err != nil || len(plan.Changes) > 0 {
						t.Errorf("still to be changed: %+v, %v", plan.Changes, err)
					}
				})
			})
		}
	}
}

// TestFix003SameRulesEverywhere: what a configuration must not say is refused by
// every way in, with the same words.
func TestFix003SameRulesEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, oneService, nil)
		defer w.end()
		for _, wrong := range []string{
			strings.Replace(oneService, `target = "web"`, `target = "nosuch"`, 1),
			strings.Replace(oneService, `group = "g"`, `group = "nosuch"`, 1),
			strings.Replace(oneService, `timeout = "5s"`, `timeout = "0s"`, 1),
			strings.Replace(oneService, `name = "g"`, "name = \"g\"\nexclusive = 1", 1),
			strings.Replace(oneService, `name = "g"`, "name = \"g\"\nstart_after = [\"g\"]", 1),
		} {
			plan, err := w.daemon.PlanConfig(t.Context(), api.ConfigSource{Text: wrong})
			if err != nil || len(plan.Mistakes) == 0 {
				t.Fatalf("%+v, %v", plan, err)
			}
			applied, err := w.daemon.ApplyConfig(t.Context(), api.ConfigSource{Text: wrong})
			if err != nil || applied.Applied || len(applied.Mistakes) != len(plan.Mistakes) || applied.Mistakes[0] != plan.Mistakes[0] {
				t.Errorf("apply: %+v, %v; the plan: %+v", applied, err, plan)
			}
		}
	})
}
