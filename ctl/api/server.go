package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"shisa/ctl/event"
)

// Limits of the server.
const (
	headerTime   = 5 * time.Second  // to send the headers
	bodyTime     = 10 * time.Second // to send the whole request
	writeTime    = 10 * time.Second // to take one line of a stream
	idleTime     = time.Minute      // between two requests
	lastTime     = 2 * time.Second  // for answers under way when the server stops
	headerLimit  = 16 << 10         // bytes
	streamLimit  = 64               // followers at once
	requestLimit = 64               // other requests at once: one client cannot take all memory
	// lifeEvery is how often a silent stream shows that it is alive.
	lifeEvery = 15 * time.Second
)

// Options of a server.
type Options struct {
	Socket string // path
	Group  string // whose members may read; empty: root only
	// Refused is told of requests that were not allowed: of each user's first, and
	// from then on once a minute. May be nil.
	Refused func(c Caller, request string, err error)
}

// A Server serves a Backend on a unix socket. It starts a goroutine a
// connection; Serve waits for all of them.
type Server struct {
	backend  Backend
	options  Options
	policy   Policy
	streams  chan struct{} // a token for each
	requests chan struct{}
	told     refusals
}

// NewServer returns a server for b. An unknown group is an error.
func NewServer(b Backend, o Options) (*Server, error) {
	p, err := NewPolicy(o.Group)
	if err != nil {
		return nil, err
	}
	return newServer(b, o, p), nil
}

func newServer(b Backend, o Options, p Policy) *Server {
	return &Server{backend: b, options: o, policy: p, streams: make(chan struct{}, streamLimit), requests: make(chan struct{}, requestLimit)}
}

// Listen makes the socket, in place of one that nobody listens on any more.
func (s *Server) Listen() (net.Listener, error) {
	path := s.options.Socket
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close() //nolint:errcheck // only its existence counts
		return nil, fmt.Errorf("listen on %s: another shisad listens there", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	// Who may connect is for Authorise to decide, which can say why not.
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", path, err), l.Close())
	}
	return l, nil
}

// Serve answers on l until ctx is done and the requests under way have ended,
// which their contexts tell them to.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	var wg sync.WaitGroup
	server := &http.Server{
		Handler:           s.handler(&wg),
		ReadHeaderTimeout: headerTime,
		// No ReadTimeout: it would end requests that wait for a long command.
		IdleTimeout:    idleTime,
		MaxHeaderBytes: headerLimit,
		BaseContext:    func(net.Listener) context.Context { return ctx },
		ConnContext:    func(ctx context.Context, c net.Conn) context.Context { return WithCaller(ctx, c.(*visit).who) },
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		// Requests end by their contexts; give their last words time to leave.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTime)
		defer cancel()
		if server.Shutdown(last) != nil {
			server.Close() //nolint:errcheck // what matters is that Serve returns
		}
	})
	err := server.Serve(newGate(l))
	if !stop() {
		<-stopped
		err = nil
	}
	wg.Wait()
	return err
}

// handler routes; wg counts requests under way.
func (s *Server) handler(wg *sync.WaitGroup) http.Handler {
	mux := http.NewServeMux()
	for _, route := range Routes() {
		mux.HandleFunc(route.Method+" "+route.Path, func(w http.ResponseWriter, r *http.Request) {
			s.answer(w, r, route)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wg.Add(1)
		defer wg.Done()
		r = r.WithContext(WithCaller(r.Context(), named(CallerFrom(r.Context()))))
		if _, pattern := mux.Handler(r); pattern == "" {
			s.miss(w, r, mux)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// miss answers a request that no route takes.
func (s *Server) miss(w http.ResponseWriter, r *http.Request, mux *http.ServeMux) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := mux.Handler(other); pattern != "" {
			fail(w, Errorf(BadMethod, "%s takes %s, not %s", r.URL.Path, method, r.Method))
			return
		}
	}
	fail(w, Errorf(NotFound, "there is no %s", r.URL.Path))
}

// answer is the only way to a Backend: it authorises, bounds, calls, replies.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, route Route) {
	if err := s.policy.Authorise(CallerFrom(r.Context()), route.Right); err != nil {
		s.refused(CallerFrom(r.Context()), r.Method+" "+r.URL.Path, err)
		fail(w, err)
		return
	}
	tokens := s.requests
	if route.call == nil {
		tokens = s.streams
	}
	select {
	case tokens <- struct{}{}:
		defer func() { <-tokens }()
	default:
		fail(w, Errorf(Busy, "too many requests at once").Try("try again"))
		return
	}
	req, err := newRequest(w, r, route)
	if err != nil {
		fail(w, err)
		return
	}
	if route.call == nil {
		s.follow(w, r, req)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), route.Limit)
	defer cancel()
	v, err := route.call(ctx, s.backend, req)
	switch {
	case err == nil:
		reply(w, http.StatusOK, v)
	case errors.Is(err, context.DeadlineExceeded) && CodeOf(err) == Internal:
		fail(w, Errorf(OutOfTime, "no answer within %v", route.Limit))
	default:
		fail(w, err)
	}
}

// refused reports a request that was not allowed.
func (s *Server) refused(c Caller, request string, err error) {
	if s.options.Refused == nil {
		return
	}
	if what, is := s.told.report(c.UID, request, time.Now()); is {
		s.options.Refused(c, what, err)
	}
}

// follow streams events, one JSON object a line.
func (s *Server) follow(w http.ResponseWriter, r *http.Request, req *request) {
	q, err := req.eventQuery()
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := http.NewResponseController(w)
	encode := json.NewEncoder(w)
	var mu sync.Mutex // a sign of life may come from another goroutine
	emit := func(item FollowItem) error {
		mu.Lock()
		defer mu.Unlock()
		// A reader that takes nothing is cut off: it holds a stream.
		if err := out.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
			return err
		}
		if err := encode.Encode(item); err != nil {
			return err
		}
		return out.Flush()
	}
	ctx, cancel := context.WithCancel(r.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	if emit(FollowItem{}) != nil { // headers and a first sign of life, at once
		return
	}
	wg.Go(func() { signs(ctx, cancel, emit) })
	err = s.backend.Follow(ctx, q, emit)
	if err != nil && ctx.Err() == nil {
		emit(FollowItem{Error: asError(err)}) //nolint:errcheck // the end of the stream says as much
	}
}

// signs shows life until ctx is done; a reader that is gone ends the stream.
func signs(ctx context.Context, cancel context.CancelFunc, emit func(FollowItem) error) {
	for {
		select {
		case <-time.After(lifeEvery):
			if emit(FollowItem{}) != nil {
				cancel()
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func reply(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"code":"internal","message":"the answer cannot be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime)) //nolint:errcheck // a recorder has none
	w.WriteHeader(status)
	w.Write(append(b, '\n')) //nolint:errcheck // the caller is gone: nobody to tell
}

func fail(w http.ResponseWriter, err error) {
	e := asError(err)
	reply(w, e.Status(), e)
}

// asError returns the *Error in err, or makes an internal one of it.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Errorf(Internal, "%v", err)
}

// Report returns the event for a request that was refused, for Options.Refused.
func Report(c Caller, request string, err error) event.Event {
	return event.OperatorRefused.New("", "who", c.String(), "command", request, "error", err.Error())
}
