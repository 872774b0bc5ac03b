package decide

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "draw GROUPS.md anew")

// TestDrawing: the drawing is that of the code.
func TestDrawing(t *testing.T) {
	const page = "GROUPS.md"
	if *update {
		if err := os.WriteFile(page, []byte(Drawing()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	drawn, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(drawn), Drawing()); d != "" {
		t.Errorf("go test ./ctl/decide -run Drawing -update (-drawn +code):\n%s", d)
	}
}

// TestTransitions: every state is drawn, can be reached, left, and started or
// stopped from again: no group is ever lost.
func TestTransitions(t *testing.T) {
	drawn, reached := map[GroupState]bool{}, map[GroupState]bool{GroupOffline: true}
	for _, s := range groupStates {
		drawn[s.state] = true
		for _, next := range transitions[s.state] {
			reached[next] = true
		}
	}
	for state, next := range transitions {
		if !drawn[state] || !reached[state] {
			t.Errorf("%s: drawn %v, reached %v", state, drawn[state], reached[state])
		}
		if _, ok := next[stopAsked]; !ok && state != GroupStopping && state != GroupOffline {
			t.Errorf("a group that is %s cannot be stopped", state)
		}
	}
	for _, lost := range []GroupState{GroupOffline, GroupStartFailed, GroupStopFailed} {
		if transitions[lost][startAsked] != GroupStarting {
			t.Errorf("a group that is %s cannot be started", lost)
		}
	}
}
