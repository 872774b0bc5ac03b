package compat

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"shisa/ctl/api"
)

// overview asks for a snapshot with as much of each monitor as a table shows, and
// checks that the server that -h names is this one.
func (c *call) overview() (api.Status, error) { return c.checked(c.client.Overview) }

// status is overview with all of each monitor.
func (c *call) status() (api.Status, error) { return c.checked(c.client.Status) }

func (c *call) checked(ask func(context.Context) (api.Status, error)) (api.Status, error) {
	s, err := c.soon(ask)
	if err != nil {
		return s, err
	}
	return s, c.here(s.Server)
}

// answerTime is how long the daemon may take to say how it is, with thousands of
// monitors on a machine that hardly gets on. One that takes longer hangs.
const answerTime = 30 * time.Second

// soon asks for a snapshot. The error of a daemon that hangs is
// context.DeadlineExceeded.
func (c *call) soon(ask func(context.Context) (api.Status, error)) (api.Status, error) {
	ctx, cancel := context.WithTimeout(c.ctx, cmp.Or(c.answer, answerTime))
	defer cancel()
	s, err := ask(ctx)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return s, err
}

// here checks that -h, if given, names this server: by its name in the
// configuration, its host name, or one of its addresses.
func (c *call) here(server string) error {
	host := c.given.text("-h")
	if !c.given.has("-h") || sameHost(host, server) || sameHost(host, "localhost") {
		return nil
	}
	if name, err := os.Hostname(); err == nil && sameHost(host, name) {
		return nil
	}
	if at, err := netip.ParseAddr(host); err == nil && (at.IsLoopback() || ours(at)) {
		return nil
	}
	return badServer.say("This is " + server + ".")
}

// sameHost compares names of hosts whatever their case, and a short name with
// the full one: the original did not find a server by its full name (fix 38).
func sameHost(a, b string) bool {
	a, b = strings.ToLower(strings.TrimSuffix(a, ".")), strings.ToLower(strings.TrimSuffix(b, "."))
	shortA, domainA, _ := strings.Cut(a, ".")
	shortB, domainB, _ := strings.Cut(b, ".")
	if _, err := netip.ParseAddr(a); err == nil {
		return a == b
	}
	return a != "" && shortA == shortB && (domainA == "" || domainB == "" || domainA == domainB)
}

// ours reports whether an interface of this machine has the address.
func ours(at netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap() == at.Unmap() {
			return true
		}
	}
	return false
}
