package api

import (
	"context"
	"fmt"
)

// A Caller is who sent a request, as the kernel told it (SO_PEERCRED, unix(7)).
type Caller struct {
	PID  int
	UID  int
	GID  int
	Name string // of the user; "uid 1000" when it has none

	known bool // the kernel vouches for it; only then does it count
}

// String returns "root (pid 4711)".
func (c Caller) String() string { return fmt.Sprintf("%s (pid %d)", c.Name, c.PID) }

type callerKey struct{}

// WithCaller returns a context that carries c.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerFrom returns who sent the request that ctx belongs to; the zero Caller
// when it was nobody outside.
func CallerFrom(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
