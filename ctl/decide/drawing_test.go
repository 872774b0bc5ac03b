package decide

import "testing"

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
