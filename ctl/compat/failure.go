package compat

import (
	"context"
	"errors"

	"shisa/ctl/api"
)

// A fault is a way for a command not to succeed.
type fault int

// Faults.
const (
	internal     fault = iota // whatever has no fault of its own
	notRoot                   //
	badOption                 // usage follows
	badConfig                 // the configuration is wrong
	noName                    // no such group, resource or monitor
	nothing                   // no monitor at all
	notRunning                // the daemon is starting or stopping
	suspended                 // not while everything is suspended
	timeout                   //
	noConnect                 // the daemon does not answer
	badStatus                 // not in this state
	badServer                 // there is no such server
	notOne                    // makes no sense on one server
	unsuccessful              // it was carried out, and failed
)

// codes are the exit codes. They are those of the original's clpmonctrl, the
// only command with a known table for most of them; of the other commands it is
// known that an error is not zero.
var codes = map[fault]int{
	internal: 255, notRoot: 1, badOption: 2, badConfig: 4, noName: 5, nothing: 5, notRunning: 10, suspended: 11, timeout: 90,
	noConnect: 200, badStatus: 201, badServer: 202, notOne: 9, unsuccessful: 8,
}

// texts begin the messages of faults, each with its own words: the original
// once called every failed stop of a resource an internal error (fix 119).
var texts = map[fault]string{
	internal:   "Internal error.",
	notRoot:    "Log in as root.",
	badOption:  "Invalid option.",
	badConfig:  "Invalid configuration file. Create valid cluster configuration.",
	notRunning: "Cluster service is starting or stopping.",
	suspended:  "Cluster is suspended.",
	timeout:    "A timeout occurred. The request may still be carried out.",
	noConnect:  "Could not connect to the server. Check if the cluster service is active.",
	badStatus:  "Invalid status.",
	badServer:  "Specify a valid server name in the cluster.",
	notOne:     "Not possible on a single server.",
}

// A failure is a fault with what there is to say about it.
type failure struct {
	fault fault
	text  string // after the words of the fault; may be empty
	cause error
}

func (f *failure) Error() string { return f.text }

func (f *failure) Unwrap() error { return f.cause }

// say makes a failure of a fault that has no other cause.
func (f fault) say(text string) error { return &failure{f, text, nil} }

// explain turns any error into a failure.
func explain(err error) *failure {
	var f *failure
	var e *api.Error
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{timeout, "", err}
	case errors.Is(err, context.Canceled):
		return &failure{unsuccessful, "Interrupted. The request may still be carried out.", err}
	case !errors.As(err, &e):
		return &failure{internal, err.Error(), err}
	}
	f = &failure{internal, e.Error(), e}
	switch e.Code {
	case api.Forbidden:
		f.fault, f.text = notRoot, ""
	case api.BadRequest, api.TooLarge:
		f.fault = badOption
	case api.NotFound:
		f.fault = noName
	case api.Unreachable:
		f.fault, f.text = noConnect, ""
	case api.NotReady:
		f.fault, f.text = notRunning, ""
	case api.OutOfTime:
		f.fault, f.text = timeout, ""
	case api.Conflict, api.Refused, api.Busy:
		f.fault = badStatus
	case api.BadMethod, api.Internal:
	}
	return f
}
