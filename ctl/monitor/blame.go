package monitor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
)

// lacks are what a connection fails for when it is this machine, or shisa, that
// cannot make one (connect(2), socket(2)): the target was not even asked.
var lacks = []error{
	syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, // no descriptors, no memory
	syscall.EADDRNOTAVAIL,                         // no port of our own is free, or no address
	syscall.EAFNOSUPPORT, syscall.EPROTONOSUPPORT, // this kernel does not speak it
}

// Blame tells what is wrong with the target from what kept us from looking, given
// how a conversation with it has failed. A deadline that has passed, a name that
// cannot be resolved, and what this machine lacks are the latter.
func Blame(ctx context.Context, err error) (Finding, error) {
	var dns *net.DNSError
	switch {
	case ctx.Err() != nil:
		return Finding{}, fmt.Errorf("%w: %w", ctx.Err(), err)
	case errors.As(err, &dns) && !dns.IsNotFound,
		slices.ContainsFunc(lacks, func(lack error) bool { return errors.Is(err, lack) }):
		return Finding{}, err
	}
	return Finding{Verdict: Failed, Detail: err.Error()}, nil
}
