// Package client speaks to shisad through its API. The command line, the web
// manager and the original's commands use it and nothing else.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/event"
)

// DefaultConfig is the configuration that the daemon reads unless told otherwise.
const DefaultConfig = "/etc/shisa/shisa.toml"

// DefaultSocket is where the daemon listens unless its configuration says
// otherwise.
const DefaultSocket = "/run/shisa/api.sock"

// dialTime is how long connecting may take: the daemon is on this machine.
const dialTime = 3 * time.Second

// patience is how long an answer may take before the daemon has to show that it answers
// at all, and how long that may take.
const patience = 10 * time.Second

// answerLimit bounds an answer in bytes: 16 384 monitors of 1 KiB, twice over.
const answerLimit = 32 << 20

// A Client is a caller of one daemon; safe for use by many goroutines. Its
// errors are of type *api.Error.
type Client struct {
	socket   string
	http     *http.Client
	patience time.Duration
}

// New returns a client for the socket; empty: DefaultSocket. It does not
// connect yet.
func New(socket string) *Client {
	if socket == "" {
		socket = DefaultSocket
	}
	dialer := &net.Dialer{Timeout: dialTime}
	return &Client{socket: socket, patience: patience, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		},
		MaxIdleConns:    1,
		IdleConnTimeout: 10 * time.Second,
	}}}
}

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status returns a snapshot of everything.
func (c *Client) Status(ctx context.Context) (api.Status, error) {
	return get[api.Status](ctx, c, "/v1/status", nil)
}

// Overview is a Status with only what a table shows of each monitor: all else of
// them is zero. It costs a fraction where there are thousands.
func (c *Client) Overview(ctx context.Context) (api.Status, error) {
	return get[api.Status](ctx, c, "/v1/overview", nil)
}

// StatusText returns a snapshot of everything as the daemon wrote it: JSON.
func (c *Client) StatusText(ctx context.Context) ([]byte, error) {
	answer, err := c.do(ctx, http.MethodGet, "/v1/status", nil, nil)
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	text, err := io.ReadAll(io.LimitReader(answer, answerLimit))
	if err != nil {
		return nil, c.unreachable(err)
	}
	return text, nil
}

// Events returns stored events, oldest first.
func (c *Client) Events(ctx context.Context, q api.EventQuery) ([]event.Event, error) {
	return get[[]event.Event](ctx, c, "/v1/events", api.FormatEventQuery(q))
}

// Why explains a subject; empty: why the machine went down last.
func (c *Client) Why(ctx context.Context, subject string) (api.Why, error) {
	v := url.Values{}
	if subject != "" {
		v.Set("subject", subject)
	}
	return get[api.Why](ctx, c, "/v1/why", v)
}

// Doctor looks at what the machine offers.
func (c *Client) Doctor(ctx context.Context) (api.Doctor, error) {
	return get[api.Doctor](ctx, c, "/v1/doctor", nil)
}

// Config returns the running configuration.
func (c *Client) Config(ctx context.Context) (api.ConfigText, error) {
	return get[api.ConfigText](ctx, c, "/v1/config", nil)
}

// Monitor acts on one monitor.
func (c *Client) Monitor(ctx context.Context, m api.MonitorCommand) (api.Result, error) {
	return post[api.Result](ctx, c, "/v1/monitors/"+url.PathEscape(m.Name)+"/"+string(m.Verb), m)
}

// Group starts or stops one group; "*" means all.
func (c *Client) Group(ctx context.Context, u api.UnitCommand) (api.Result, error) {
	return post[api.Result](ctx, c, "/v1/groups/"+url.PathEscape(u.Name)+"/"+string(u.Verb), u)
}

// Resource starts or stops one resource.
func (c *Client) Resource(ctx context.Context, u api.UnitCommand) (api.Result, error) {
	return post[api.Result](ctx, c, "/v1/resources/"+url.PathEscape(u.Name)+"/"+string(u.Verb), u)
}

// Suspend stops all probing and recovery.
func (c *Client) Suspend(ctx context.Context, s api.SuspendCommand) (api.Result, error) {
	return post[api.Result](ctx, c, "/v1/suspend", s)
}

// Resume ends Suspend.
func (c *Client) Resume(ctx context.Context, s api.SuspendCommand) (api.Result, error) {
	return post[api.Result](ctx, c, "/v1/resume", s)
}

// Shutdown takes the machine down in an orderly way.
func (c *Client) Shutdown(ctx context.Context, s api.ShutdownCommand) (api.Result, error) {
	return post[api.Result](ctx, c, "/v1/shutdown", s)
}

// ResetLimiter sets the count of machine-level actions to zero.
func (c *Client) ResetLimiter(ctx context.Context) (api.Result, error) {
	return post[api.Result](ctx, c, "/v1/limiter/reset", nil)
}

// PlanConfig checks a configuration and says what it would change.
func (c *Client) PlanConfig(ctx context.Context, s api.ConfigSource) (api.Plan, error) {
	return post[api.Plan](ctx, c, "/v1/config/plan", s)
}

// ApplyConfig applies a configuration.
func (c *Client) ApplyConfig(ctx context.Context, s api.ConfigSource) (api.Plan, error) {
	return post[api.Plan](ctx, c, "/v1/config/apply", s)
}

// Follow gives stored events that q selects and then each as it happens to
// emit, until ctx is done, emit returns an error, or the daemon ends.
func (c *Client) Follow(ctx context.Context, q api.EventQuery, emit func(api.FollowItem) error) error {
	body, err := c.do(ctx, http.MethodGet, "/v1/events/follow", api.FormatEventQuery(q), nil)
	if err != nil {
		return err
	}
	defer body.Close()
	for d := json.NewDecoder(body); ; {
		var item api.FollowItem
		err := d.Decode(&item)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return api.Errorf(api.Unreachable, "shisad has stopped")
		case err != nil:
			return c.unreachable(err)
		case item.Error != nil:
			return item.Error
		case item.Event == nil && item.Lost == 0:
			continue // a sign of life
		}
		if err := emit(item); err != nil {
			return err
		}
	}
}

func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	return call[T](ctx, c, http.MethodGet, path, query, nil)
}

func post[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	var b []byte
	if body != nil {
		var err error
		if b, err = json.Marshal(body); err != nil {
			var zero T
			return zero, api.Errorf(api.BadRequest, "%v", err)
		}
	}
	return call[T](ctx, c, http.MethodPost, path, nil, b)
}

func call[T any](ctx context.Context, c *Client, method, path string, query url.Values, body []byte) (T, error) {
	var v T
	answer, err := c.do(ctx, method, path, query, body)
	if err != nil {
		return v, err
	}
	defer answer.Close()
	if err := json.NewDecoder(io.LimitReader(answer, answerLimit)).Decode(&v); err != nil {
		return v, c.unreachable(fmt.Errorf("answer to %s: %w", path, err))
	}
	return v, nil
}

// do sends a request and returns the body of a good answer.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, body []byte) (io.ReadCloser, error) {
	target := url.URL{Scheme: "http", Host: "shisad", Opaque: "//shisad" + path, RawQuery: query.Encode()}
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(ctx, method, "http://shisad/", r)
	if err != nil {
		cancel(nil)
		return nil, api.Errorf(api.BadRequest, "%v", err)
	}
	req.URL = &target // as it is: names are escaped already
	answered := make(chan struct{})
	go c.doubt(ctx, answered, cancel)
	answer, err := c.http.Do(req)
	close(answered)
	if err != nil {
		if errors.Is(context.Cause(ctx), errHangs) {
			err = context.DeadlineExceeded
		}
		cancel(nil)
		return nil, c.unreachable(err)
	}
	if answer.StatusCode == http.StatusOK {
		return answerBody{answer.Body, cancel}, nil
	}
	defer cancel(nil)
	defer answer.Body.Close()
	e := new(api.Error)
	if err := json.NewDecoder(io.LimitReader(answer.Body, answerLimit)).Decode(e); err != nil || e.Code == "" {
		return nil, api.Errorf(api.Internal, "shisad answered %s", answer.Status)
	}
	return nil, e
}

// An answerBody ends the context of its request when it is closed.
type answerBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

// Close implements io.Closer.
func (b answerBody) Close() error {
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}

var errHangs = errors.New("the daemon hangs")

// doubt gives up a request when the daemon does not answer another one, either: it may
// be stopped, or hang. Some commands take as long as what they wait for.
func (c *Client) doubt(ctx context.Context, answered <-chan struct{}, giveUp context.CancelCauseFunc) {
	for {
		select {
		case <-answered:
			return
		case <-ctx.Done():
			return
		case <-time.After(c.patience):
		}
		if err := c.alive(ctx); err != nil && ctx.Err() == nil {
			giveUp(errHangs)
			return
		}
	}
}

// alive asks for something that is not there; any answer will do.
func (c *Client) alive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://shisad/v1/alive", nil)
	if err != nil {
		return err
	}
	answer, err := c.http.Do(req)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// unreachable says what to do about a daemon that does not answer.
func (c *Client) unreachable(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return api.Errorf(api.Unreachable, "shisad is not running: nobody listens on %s", c.socket).
			Try("systemctl start shisad, or name its socket with --socket")
	case errors.Is(err, fs.ErrPermission):
		return api.Errorf(api.Forbidden, "%s: permission denied", c.socket).Try("use sudo")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.EAGAIN):
		return api.Errorf(api.Unreachable, "shisad does not answer on %s", c.socket).Try("systemctl status shisad; journalctl -u shisad")
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the made-up URL
	}
	return api.Errorf(api.Unreachable, "%s: %v", c.socket, err).Try("systemctl status shisad; journalctl -u shisad")
}
