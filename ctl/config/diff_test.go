package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// Each file of testdata/diff is a change of a configuration, with the plan.
func TestDiff(t *testing.T) {
	cases, err := filepath.Glob("testdata/diff/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			old, new := parseAnyway(string(a.Files[0].Data)), parseAnyway(string(a.Files[1].Data))
			plan := Diff(old, new)
			var got strings.Builder
			if err := plan.WriteText(&got); err != nil {
				t.Fatal(err)
			}
			if *update {
				a.Files[2].Data = []byte(got.String())
				if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(string(a.Files[2].Data), got.String()); d != "" {
				t.Errorf("plan (-want +got):\n%s", d)
			}
			if back := Diff(new, old); len(back.Steps) != len(plan.Steps) || back.Rearm != plan.Rearm {
				t.Errorf("%d steps forth, %d back", len(plan.Steps), len(back.Steps))
			}
			if !Diff(new, new).Empty() || !Diff(old, old).Empty() {
				t.Error("a model differs from itself")
			}
		})
	}
}

// There is nothing to do just when both models are shown as the same text, but
// for the order of monitors, which means nothing.
func TestDiffKnowsWhatIsTheSame(t *testing.T) {
	paths, _ := filepath.Glob("testdata/diff/*.txtar")
	var models []*Model
	var texts []string
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range a.Files[:2] {
			m := parseAnyway(string(f.Data))
			slices.SortFunc(m.Monitors, func(a, b Monitor) int { return strings.Compare(a.Name, b.Name) })
			var b strings.Builder
			if err := m.WriteTOML(&b); err != nil {
				t.Fatal(err)
			}
			models, texts = append(models, m), append(texts, b.String())
		}
	}
	same := 0
	for i := range models {
		for j := range models {
			plan := Diff(models[i], models[j])
			if plan.Empty() != (texts[i] == texts[j]) {
				t.Errorf("plan %+v from\n%s to\n%s", plan, texts[i], texts[j])
			}
			if plan.Empty() {
				same++
			}
		}
	}
	if same == len(models)*len(models) {
		t.Error("all are the same")
	}
}

func TestPlanJSON(t *testing.T) {
	plan := Diff(Default(), parse(t, "stall.timeout = \"2m\"\n[[monitor]]\nname = \"a\"\ntype = \"tcp\"\nport = 1\n"))
	got, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"steps":[{"op":"change","kind":"section","name":"stall","fields":[{"key":"timeout","old":"\"1m30s\"","new":"\"2m\""}]},` +
		`{"op":"start","kind":"monitor","name":"a","type":"tcp"}],"rearm":true}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if s, ok := plan.Step(MonitorKind, "a"); !ok || s.Op != OpStart {
		t.Errorf("step %+v", s)
	}
	if _, ok := plan.Step(MonitorKind, "b"); ok {
		t.Error("a step about what is not there")
	}
	if empty, _ := json.Marshal(Diff(Default(), Default())); string(empty) != `{"steps":[],"rearm":false}` {
		t.Errorf("nothing to do is %s", empty)
	}
}
