package api

import (
	"context"
	"fmt"
	"net"
	"os/user"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
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

// A Policy says who may do what. The zero Policy lets only root in.
type Policy struct {
	group string // whose members may read; empty: nobody else
	gid   int
}

// NewPolicy returns the policy for a group whose members may read; empty: only
// root may.
func NewPolicy(group string) (Policy, error) {
	if group == "" {
		return Policy{}, nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return Policy{}, fmt.Errorf("api.group: %w: make it with groupadd, name shisa, which the packages bring, or leave the key empty", err)
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return Policy{}, fmt.Errorf("api.group %s: gid %q", group, g.Gid)
	}
	return Policy{group: group, gid: gid}, nil
}

// Authorise is the one place where it is decided whether a caller may do
// something: root may everything, members of the group may read, nobody else
// may anything.
func (p Policy) Authorise(c Caller, right Right) *Error {
	switch {
	case c.known && c.UID == 0:
		return nil
	case c.known && right == Read && p.group != "" && p.member(c):
		return nil
	case p.group != "" && p.member(c):
		return Errorf(Forbidden, "members of group %s may look, but not change anything", p.group).Try("use sudo")
	case p.group != "":
		return Errorf(Forbidden, "only root and members of group %s may talk to shisad", p.group).Try("use sudo, or join the group")
	}
	return Errorf(Forbidden, "only root may talk to shisad").Try(`use sudo, or name a group in api.group whose members may look`)
}

// member reports whether c is in the group, by its credentials or by the group
// database.
func (p Policy) member(c Caller) bool {
	if c.GID == p.gid {
		return true
	}
	u, err := user.LookupId(strconv.Itoa(c.UID))
	if err != nil {
		return false
	}
	ids, err := u.GroupIds()
	return err == nil && slices.Contains(ids, strconv.Itoa(p.gid))
}

// peer returns who is at the other end of c, as the kernel recorded it when it
// connected (SO_PEERCRED, unix(7)). A peer that
// cannot be told is nobody.
func peer(c net.Conn) Caller {
	nobody := Caller{UID: -1, GID: -1, Name: "unknown"}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nobody
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return nobody
	}
	caller := nobody
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			return
		}
		caller = Caller{PID: int(cred.Pid), UID: int(cred.Uid), GID: int(cred.Gid), known: true}
	})
	if err != nil || !caller.known {
		return nobody
	}
	caller.Name = "uid " + strconv.Itoa(caller.UID)
	if caller.UID == 0 {
		caller.Name = "root"
	}
	return caller
}

// named looks up what other users are called. It may take as long as the disk that
// the user database is on.
func named(c Caller) Caller {
	if !c.known || c.UID == 0 {
		return c
	}
	if u, err := user.LookupId(strconv.Itoa(c.UID)); err == nil {
		c.Name = u.Username
	}
	return c
}
