package recovery

import (
	"slices"
	"testing"
)

func TestStep(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    Policy
		in   []Input
		want []Action
	}{
		{"a failure is tolerated", Policy{Retry: 1, MaxRestart: 1}, []Input{Failed, Succeeded, Failed},
			[]Action{NoAction, NoAction, NoAction}},
		{"script, restart, final once", Policy{MaxScript: 1, MaxRestart: 1, FinalAction: Reboot},
			[]Input{Failed, Failed, Failed, Failed, Failed}, []Action{Script, Restart, Reboot, NoAction, NoAction}},
		{"retries count anew between actions", Policy{Retry: 1, MaxRestart: 2}, []Input{Failed, Failed, Failed, Failed},
			[]Action{NoAction, Restart, NoAction, Restart}},
		{"a success forgets everything", Policy{MaxRestart: 1, FinalAction: Reset}, []Input{Failed, Succeeded, Failed},
			[]Action{Restart, NoAction, Restart}},
		{"could not look changes nothing", Policy{Retry: 1, MaxRestart: 1}, []Input{Failed, CouldNotLook, Failed},
			[]Action{NoAction, NoAction, Restart}},
		{"what is certain needs no retry", Policy{Retry: 3, MaxRestart: 1}, []Input{SurelyFailed}, []Action{Restart}},
		{"a timeout counts as a failure", Policy{Retry: 1, MaxRestart: 1}, []Input{TimedOut, TimedOut}, []Action{NoAction, Restart}},
		{"no retry on timeout", Policy{Retry: 3, MaxRestart: 1, NoRetryOnTimeout: true}, []Input{TimedOut}, []Action{Restart}},
		{"no recovery on timeout", Policy{MaxRestart: 1, NoRecoveryOnTimeout: true}, []Input{TimedOut, TimedOut, Failed},
			[]Action{NoAction, NoAction, Restart}},
		{"the zero policy does nothing", Policy{}, []Input{Failed, SurelyFailed, TimedOut}, []Action{NoAction, NoAction, NoAction}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s State
			for i, in := range tt.in {
				var d Decision
				if s, d = tt.p.Step(s, in); d.Action != tt.want[i] || d.Reason == "" {
					t.Fatalf("step %d: got %v, want %v", i, d, tt.want[i])
				}
			}
		})
	}
}

// FuzzStep checks what must hold for every policy and every history.
func FuzzStep(f *testing.F) {
	f.Add(uint8(1), uint8(2), uint8(1), uint8(6), []byte{1, 1, 1, 2, 1, 0, 1})
	f.Fuzz(func(t *testing.T, retry, scripts, restarts, final uint8, history []byte) {
		finals := FinalActions()
		p := Policy{Retry: int(retry), MaxScript: int(scripts), MaxRestart: int(restarts), FinalAction: finals[int(final)%len(finals)]}
		var s State
		done := map[Action]int{}
		for _, b := range history {
			in := Input(b % 5)
			var d Decision
			s, d = p.Step(s, in)
			if in == Succeeded {
				clear(done)
			}
			if d.Action != NoAction && (in == Succeeded || in == CouldNotLook) {
				t.Fatalf("acted on %v: %v", in, d)
			}
			if d.Action != NoAction {
				done[d.Action]++
			}
			if done[Script] > p.MaxScript || done[Restart] > p.MaxRestart {
				t.Fatalf("too often: %v for %+v", done, p)
			}
			if n := done[p.FinalAction]; slices.Contains(finals, p.FinalAction) && n > 1 {
				t.Fatalf("final action %d times", n)
			}
		}
	})
}
