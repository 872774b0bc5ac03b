package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"shisa/ctl/api"
	"shisa/ctl/api/apitest"
	"shisa/ctl/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server for b and returns its socket and what stops it.
func serve(t *testing.T, b api.Backend) (socket string, stop func()) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "run", "api.sock")
	s, err := api.NewServer(b, api.Options{Socket: socket})
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	stopped := false
	stop = func() {
		if cancel(); !stopped {
			stopped = true
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return socket, stop
}

func onSocket(t *testing.T, socket string) *http.Client {
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// as sends a request through the handler as c would, without a socket.
func as(c api.Caller, p api.Policy, b api.Backend, method, target, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req := httptest.NewRequest(method, target, r)
	api.HandlerFor(b, p).ServeHTTP(w, req.WithContext(api.WithCaller(req.Context(), c)))
	return w
}

func code(t *testing.T, w *httptest.ResponseRecorder) api.ErrorCode {
	t.Helper()
	var e api.Error
	if w.Code == http.StatusOK {
		return ""
	}
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Message == "" || e.Status() != w.Code {
		t.Errorf("answer %d %q: %v", w.Code, w.Body, err)
	}
	return e.Code
}

// Every route, for every kind of caller: root may all, the group may read,
// nobody else may anything.
func TestAuthorise(t *testing.T) {
	group := api.PolicyFor("wheel", 5000)
	for _, route := range api.Routes() {
		path := strings.ReplaceAll(route.Path, "{name}", "web")
		for _, c := range []struct {
			name   string
			caller api.Caller
			policy api.Policy
			may    bool
		}{
			{"root", api.Known(0, 0), api.Policy{}, true},
			{"root beside a group", api.Known(0, 0), group, true},
			{"member", api.Known(1234567, 5000), group, route.Right == api.Read},
			{"member without a group", api.Known(1234567, 5000), api.Policy{}, false},
			{"stranger", api.Known(1234567, 1234567), group, false},
			{"nobody", api.Caller{}, group, false},
			{"claims to be root", api.Caller{UID: 0, Name: "root"}, group, false},
		} {
			body := ""
			if route.Method == "POST" && route.Body != nil {
				body = "{}"
			}
			w := as(c.caller, c.policy, &apitest.Fake{}, route.Method, path, body)
			if got := code(t, w) != api.Forbidden; got != c.may {
				t.Errorf("%s %s as %s: allowed %v, want %v (%d %s)", route.Method, path, c.name, got, c.may, w.Code, w.Body)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	root := api.Known(0, 0)
	tests := []struct {
		name, method, path, body string
		want                     api.ErrorCode
	}{
		{"fine", "GET", "/v1/status", "", ""},
		{"name with slash", "POST", "/v1/monitors/a%2Fb/test", "", api.NotFound},
		{"unknown path", "GET", "/v1/nothing", "", api.NotFound},
		{"old path", "GET", "/status", "", api.NotFound},
		{"wrong method", "POST", "/v1/status", "{}", api.BadMethod},
		{"wrong method", "GET", "/v1/shutdown", "", api.BadMethod},
		{"strange method", "BREW", "/v1/status", "", api.BadMethod},
		{"unknown parameter", "GET", "/v1/events?sinse=1", "", api.BadRequest},
		{"parameter twice", "GET", "/v1/events?limit=1&limit=2", "", api.BadRequest},
		{"bad limit", "GET", "/v1/events?limit=0", "", api.BadRequest},
		{"huge limit", "GET", "/v1/events?limit=99999999", "", api.BadRequest},
		{"bad severity", "GET", "/v1/events?severity=awful", "", api.BadRequest},
		{"bad time", "GET", "/v1/events?since=yesterday", "", api.BadRequest},
		{"negative", "GET", "/v1/events?after=-1", "", api.BadRequest},
		{"long parameter", "GET", "/v1/why?subject=" + strings.Repeat("x", 300), "", api.BadRequest},
		{"bad escape", "GET", "/v1/why?subject=%zz", "", api.BadRequest},
		{"too many subjects", "GET", "/v1/events?subject=" + strings.Repeat("a,", 100), "", api.BadRequest},
		{"unknown field", "POST", "/v1/monitors/web/test", `{"raeson":"x"}`, api.BadRequest},
		{"name from the body", "POST", "/v1/monitors/web/test", `{"Name":"db"}`, api.BadRequest},
		{"no json", "POST", "/v1/suspend", `reason=x`, api.BadRequest},
		{"two values", "POST", "/v1/suspend", `{} {}`, api.BadRequest},
		{"body where none is taken", "POST", "/v1/limiter/reset", `{}`, api.BadRequest},
		{"too large", "POST", "/v1/config/plan", `{"text":"` + strings.Repeat("x", api.BodyLimit) + `"}`, api.TooLarge},
		{"unknown monitor", "POST", "/v1/monitors/wob/test", "", api.NotFound},
		{"unknown subject", "GET", "/v1/why?subject=wob", "", api.NotFound},
		{"refused by the backend", "POST", "/v1/shutdown", `{"how":"reboot","reason":"x"}`, api.Refused},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := as(root, api.Policy{}, &apitest.Fake{}, test.method, test.path, test.body)
			if got := code(t, w); got != test.want {
				t.Errorf("%s %.80s: got %q, want %q", test.method, test.path, got, test.want)
			}
		})
	}
}

func TestBackendErrors(t *testing.T) {
	for err, want := range map[error]int{
		errors.New("x"): 500,
		fmt.Errorf("wrapped: %w", api.Errorf(api.Conflict, "busy")): 409,
		context.DeadlineExceeded:                                    504,
	} {
		b := &apitest.Fake{StatusFunc: func(context.Context) (api.Status, error) { return api.Status{}, err }}
		if w := as(api.Known(0, 0), api.Policy{}, b, "GET", "/v1/status", ""); w.Code != want {
			t.Errorf("%v: got %d, want %d", err, w.Code, want)
		}
	}
}

// Over a real socket the kernel says who calls.
func TestServeKnowsTheCaller(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may talk to the server without a group")
	}
	callers := make(chan api.Caller, 1)
	socket, _ := serve(t, &apitest.Fake{StatusFunc: func(ctx context.Context) (api.Status, error) {
		callers <- api.CallerFrom(ctx)
		return apitest.Status(), nil
	}})
	r, err := onSocket(t, socket).Get("http://x/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		t.Fatalf("status %s", r.Status)
	}
	if c := <-callers; c.PID != os.Getpid() || c.UID != 0 || c.Name != "root" {
		t.Errorf("caller %+v", c)
	}
}

func TestFollowStreamsAndEnds(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may talk to the server without a group")
	}
	bus := event.NewBus(nil)
	history := func(context.Context, api.EventQuery) ([]event.Event, error) { return apitest.Events()[:2], nil }
	socket, stop := serve(t, &apitest.Fake{FollowFunc: func(ctx context.Context, q api.EventQuery, emit func(api.FollowItem) error) error {
		return api.FollowBus(ctx, q, bus, history, emit)
	}})
	r, err := onSocket(t, socket).Get("http://x/v1/events/follow")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	lines := bufio.NewScanner(r.Body)
	next := func() (item api.FollowItem) {
		if !lines.Scan() {
			t.Fatal("the stream ended:", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &item); err != nil {
			t.Fatal(err)
		}
		return item
	}
	if item := next(); item.Event != nil {
		t.Error("the first line is a sign of life")
	}
	if a, b := next(), next(); a.Event.Seq != 1 || b.Event.Seq != 2 {
		t.Error("history is missing")
	}
	for _, e := range apitest.Events()[1:4] { // 2 is known already
		bus.Publish(e)
	}
	if a, b := next(), next(); a.Event.Seq != 3 || b.Event.Seq != 4 {
		t.Error("an event came twice, or not at all")
	}
	stop() // ends the stream although the reader stays
	if lines.Scan() {
		t.Errorf("more after the end: %s", lines.Bytes())
	}
}

func TestFollowTellsOfGapsAndFilters(t *testing.T) {
	bus := event.NewBus(nil)
	ready := func(context.Context, api.EventQuery) ([]event.Event, error) {
		for n := range event.QueueLimit + 5 { // while the follower reads history
			e := event.ServiceStarted.New("")
			e.Seq = uint64(n + 1)
			bus.Publish(e)
		}
		return nil, nil
	}
	var items []api.FollowItem
	enough := errors.New("enough")
	err := api.FollowBus(t.Context(), api.EventQuery{Severity: event.Error}, bus, ready, func(i api.FollowItem) error {
		items = append(items, i)
		return enough
	})
	if !errors.Is(err, enough) || len(items) != 1 || items[0].Lost != 5 || items[0].Event != nil {
		t.Errorf("%v: %+v; want a gap of 5 and no event, all are below error", err, items)
	}
}

func TestListen(t *testing.T) {
	socket, stop := serve(t, &apitest.Fake{})
	s, err := api.NewServer(&apitest.Fake{}, api.Options{Socket: socket})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Listen(); err == nil || !strings.Contains(err.Error(), "another shisad") {
		t.Errorf("listened twice: %v", err)
	}
	stop()
	if err := os.WriteFile(socket, nil, 0o600); err != nil { // what a crash leaves
		t.Fatal(err)
	}
	l, err := s.Listen()
	if err != nil {
		t.Fatalf("a stale socket is in the way: %v", err)
	}
	l.Close()
	if _, err := api.NewServer(nil, api.Options{Group: "no-such-group"}); err == nil || !strings.Contains(err.Error(), "groupadd") {
		t.Errorf("unknown group: %v", err)
	}
}

func TestEventQueryRoundTrip(t *testing.T) {
	q := api.EventQuery{After: 7, Since: apitest.Now, Limit: 5, Codes: []string{"a", "b"}, Severity: event.Error, Subjects: []string{"monitor/web"}}
	got, err := api.ParseEventQuery(api.FormatEventQuery(q))
	if err != nil || fmt.Sprint(got) != fmt.Sprint(q) {
		t.Errorf("got %+v, %v; want %+v", got, err, q)
	}
}

func TestMillis(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0", 90 * time.Second: "90000", 1500 * time.Microsecond: "1.5", -time.Millisecond: "-1"} {
		b, err := json.Marshal(api.Millis(d))
		var back api.Millis
		if err != nil || string(b) != want || json.Unmarshal(b, &back) != nil || back.D() != d {
			t.Errorf("%v: %s, %v, back %v", d, b, err, back)
		}
	}
	for _, bad := range []string{`"3s"`, `1e300`, `null1`, `true`} {
		if json.Unmarshal([]byte(bad), new(api.Millis)) == nil {
			t.Errorf("%s accepted", bad)
		}
	}
}

// Whatever comes in, the answer is JSON with a known status, and a caller
// without rights gets nothing done.
func FuzzServer(f *testing.F) {
	f.Add("GET", "/v1/events?limit=3&severity=error", "")
	f.Add("POST", "/v1/monitors/web/suspend", `{"reason":"x"}`)
	f.Add("POST", "/v1/config/apply", `{"path":"/etc/passwd"}`)
	f.Add("POST", "/v1/groups/*/start", `{"no_wait":true}`)
	f.Fuzz(func(t *testing.T, method, target, body string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || !strings.HasPrefix(target, "/") || strings.ContainsAny(method, " \t\r\n") || method == "" {
			t.Skip()
		}
		for _, c := range []api.Caller{api.Known(0, 0), api.Known(1234567, 1234567)} {
			r := &http.Request{Method: method, URL: u, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
				Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Host: "x"}
			w := httptest.NewRecorder()
			api.HandlerFor(&apitest.Fake{}, api.Policy{}).ServeHTTP(w, r.WithContext(api.WithCaller(t.Context(), c)))
			if c.UID != 0 && w.Code == http.StatusOK {
				t.Fatalf("%s %s: done for a stranger: %s", method, target, w.Body)
			}
			for d := json.NewDecoder(w.Body); w.Code/100 != 3; {
				var v any
				if err := d.Decode(&v); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("%s %s: %d is no JSON: %v", method, target, w.Code, err)
				}
			}
		}
	})
}
