package api

import (
	"net/http"
	"sync"
)

// HandlerFor returns what a server answers with, without a socket.
func HandlerFor(b Backend, p Policy) http.Handler {
	return newServer(b, Options{}, p).handler(new(sync.WaitGroup))
}

// HandlerWith does the same for a server with options.
func HandlerWith(o Options, b Backend) http.Handler {
	return newServer(b, o, Policy{}).handler(new(sync.WaitGroup))
}

// PolicyFor returns the policy for a group that need not exist.
func PolicyFor(group string, gid int) Policy { return Policy{group: group, gid: gid} }

// Known returns a caller as the kernel would tell it.
func Known(uid, gid int) Caller { return Caller{UID: uid, GID: gid, PID: 1, Name: "test", known: true} }
