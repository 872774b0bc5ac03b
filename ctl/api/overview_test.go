package api_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shisa/ctl/api"
	"shisa/ctl/api/apitest"
)

// TestOverview: an overview decodes into a Status that is the whole one but for
// what no table shows of monitors.
func TestOverview(t *testing.T) {
	for name, full := range map[string]api.Status{"good": apitest.Status(), "troubled": apitest.Troubled(), "empty": apitest.Empty()} {
		text, err := json.Marshal(full.Overview())
		if err != nil {
			t.Fatal(err)
		}
		var got api.Status
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		want := full
		want.Monitors = []api.Monitor{}
		for _, m := range full.Monitors {
			line := api.Monitor{Name: m.Name, Type: m.Type, Alias: m.Alias, Comment: m.Comment, State: m.State, Verdict: m.Verdict, Since: m.Since, Detail: m.Detail}
			if n := m.Counters; n.Failures > 0 || n.Scripts > 0 || n.Restarts > 0 || n.Exhausted {
				line.Counters = n
			}
			want.Monitors = append(want.Monitors, line)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestOverviewIsLean: what a table does not show is not sent, where there are
// thousands of monitors.
func TestOverviewIsLean(t *testing.T) {
	s := apitest.Status()
	for len(s.Monitors) < 1000 {
		s.Monitors = append(s.Monitors, s.Monitors[0])
	}
	full, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	lean, err := json.Marshal(s.Overview())
	if err != nil {
		t.Fatal(err)
	}
	if 3*len(lean) > len(full) {
		t.Errorf("the overview has %d bytes, the whole status %d", len(lean), len(full))
	}
}
