package run

import (
	"fmt"
	"syscall"
	"time"
)

// A State says how a command ended.
type State int

// States. The zero State makes no statement about what the command would have
// done, so that a forgotten result can never count as success or failure.
const (
	CouldNotStart State = iota // it never ran; Result.Err says why
	Exited                     // by itself, with Result.Code
	Signalled                  // by a signal that we did not send, Result.Signal
	TimedOut                   // ended by us at its deadline
	Cancelled                  // ended by us because the caller gave up
)

var stateNames = [...]string{"could not start", "exited", "signalled", "timed out", "cancelled"}

// String returns the state in lower-case words.
func (s State) String() string {
	if s < 0 || int(s) >= len(stateNames) {
		return fmt.Sprintf("state(%d)", int(s))
	}
	return stateNames[s]
}

// A Result is what is known about a command that has ended.
type Result struct {
	State   State
	Code    int            // exit status, 0 to 255; of Exited only
	Signal  syscall.Signal // of Signalled only
	Err     error          // of CouldNotStart only
	Output  []byte         // what the command wrote to both streams, cut at Command.OutputLimit; nil when it was streamed
	Dropped int64          // bytes of output beyond the limit
	Took    time.Duration  // from the start until the command had ended
	Stuck   bool           // processes were left that even SIGKILL had not ended when we stopped waiting
}

// OK reports whether the command exited with status 0.
func (r Result) OK() bool { return r.State == Exited && r.Code == 0 }

// Known reports whether the command itself determined how it ended. A result
// that is not known says nothing about what the command looked after.
func (r Result) Known() bool { return r.State == Exited }

// String describes the end in words for an operator.
func (r Result) String() string {
	text := r.State.String()
	switch r.State {
	case CouldNotStart:
		text = fmt.Sprintf("could not start: %v", r.Err)
	case Exited:
		text = fmt.Sprintf("exited with status %d", r.Code)
	case Signalled:
		text = fmt.Sprintf("killed by signal %d (%v)", int(r.Signal), r.Signal)
	case TimedOut:
		text = fmt.Sprintf("timed out after %v and was killed", r.Took.Round(time.Millisecond))
	case Cancelled:
	}
	if r.Stuck {
		text += "; some of its processes cannot be killed"
	}
	return text
}

// AsError returns nil when the command exited with status 0, and otherwise an
// error with the same words as String.
func (r Result) AsError() error {
	switch {
	case r.OK():
		return nil
	case r.State == CouldNotStart:
		return fmt.Errorf("could not start: %w", r.Err)
	}
	return fmt.Errorf("%v", r)
}
