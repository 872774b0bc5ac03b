package client

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shisa/ctl/api"
	"shisa/ctl/api/apitest"
	"shisa/ctl/event"
)

// dial returns a client of a server for b.
func dial(t *testing.T, b api.Backend) *Client {
	t.Helper()
	c := New(apitest.Serve(t, b))
	t.Cleanup(c.Close)
	return c
}

func same[T any](t *testing.T, what string, want T) func(T, error) {
	return func(got T, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}

func TestAnswersArriveAsSent(t *testing.T) {
	c, ctx := dial(t, &apitest.Fake{}), t.Context()
	same(t, "status", apitest.Status())(c.Status(ctx))
	text, err := json.Marshal(apitest.Status())
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.StatusText(ctx)
	same(t, "status text", string(text)+"\n")(string(got), err)
	lean, err := c.Overview(ctx)
	same(t, "overview", apitest.Status().Groups)(lean.Groups, err)
	same(t, "monitors of the overview", len(apitest.Status().Monitors))(len(lean.Monitors), err)
	same(t, "events", apitest.Events()[2:3])(c.Events(ctx, api.EventQuery{Codes: []string{"monitor-failed"}}))
	same(t, "why", apitest.WhyBoot())(c.Why(ctx, ""))
	same(t, "why web", apitest.WhyMonitor())(c.Why(ctx, "monitor/web"))
	same(t, "doctor", apitest.Doctor())(c.Doctor(ctx))
	same(t, "plan", apitest.Plan())(c.PlanConfig(ctx, api.ConfigSource{Text: "x"}))
	same(t, "suspend", api.Result{Text: "Everything is suspended."})(c.Suspend(ctx, api.SuspendCommand{Reason: "x"}))
	same(t, "resume", api.Result{Text: "Everything is resumed."})(c.Resume(ctx, api.SuspendCommand{}))
	same(t, "limiter", api.Result{Text: "The count of machine-level actions is zero."})(c.ResetLimiter(ctx))
	if p, err := c.ApplyConfig(ctx, api.ConfigSource{Path: "/x"}); err != nil || !p.Applied {
		t.Errorf("apply: %+v, %v", p, err)
	}
	if r, err := c.Config(ctx); err != nil || r.Source == "" {
		t.Errorf("config: %+v, %v", r, err)
	}
}

func TestCommandsArriveAsSent(t *testing.T) {
	var got []any
	note := func(c any) (api.Result, error) { got = append(got, c); return api.Result{Text: "done"}, nil }
	c := dial(t, &apitest.Fake{
		MonitorFunc:  func(_ context.Context, c api.MonitorCommand) (api.Result, error) { return note(c) },
		GroupFunc:    func(_ context.Context, c api.UnitCommand) (api.Result, error) { return note(c) },
		ResourceFunc: func(_ context.Context, c api.UnitCommand) (api.Result, error) { return note(c) },
		ShutdownFunc: func(_ context.Context, c api.ShutdownCommand) (api.Result, error) { return note(c) },
	})
	m := api.MonitorCommand{Name: "a/b %2F ü", Verb: api.SuspendMonitor, Reason: "upgrade"}
	g := api.UnitCommand{Name: "*", Verb: api.StartUnit, NoWait: true}
	r := api.UnitCommand{Name: "web", Verb: api.StopUnit, Reason: "x"}
	s := api.ShutdownCommand{How: api.Reboot, Reason: "kernel"}
	_, e1 := c.Monitor(t.Context(), m)
	_, e2 := c.Group(t.Context(), g)
	_, e3 := c.Resource(t.Context(), r)
	_, e4 := c.Shutdown(t.Context(), s)
	if err := errors.Join(e1, e2, e3, e4); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{m, g, r, s}, got); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	c := dial(t, &apitest.Fake{})
	_, err := c.Monitor(t.Context(), api.MonitorCommand{Name: "wob", Verb: api.TestMonitor})
	if api.CodeOf(err) != api.NotFound || !strings.Contains(err.Error(), "shisa monitor list") {
		t.Errorf("got %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead")
	l, err := net.Listen("unix", dead)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	deaf := filepath.Join(dir, "deaf")
	l, err = net.Listen("unix", deaf)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // takes one connection and hangs up
		if c, err := l.Accept(); err == nil {
			c.Close()
		}
	}()
	for name, want := range map[string]string{
		filepath.Join(dir, "none"): "systemctl start shisad",
		dead:                       "systemctl start shisad",
		deaf:                       "journalctl -u shisad",
	} {
		_, err := New(name).Status(t.Context())
		if api.CodeOf(err) != api.Unreachable || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", filepath.Base(name), err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(dead).Status(ctx); err == nil {
		t.Error("no error after cancel")
	}
	if _, err := os.Stat(dead); err != nil {
		t.Error(err)
	}
}

// TestHangs: a daemon that takes connections and never answers, as one that was stopped
// does, is given up; one that takes long over a command is waited for.
func TestHangs(t *testing.T) {
	stopped := filepath.Join(t.TempDir(), "stopped")
	l, err := net.Listen("unix", stopped)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := New(stopped)
	c.patience = 20 * time.Millisecond
	if _, err := c.Status(t.Context()); api.CodeOf(err) != api.Unreachable || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("got %v", err)
	}

	busy := filepath.Join(t.TempDir(), "busy")
	if l, err = net.Listen("unix", busy); err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{}, 100)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/alive" {
			asked <- struct{}{}
			http.NotFound(w, r)
			return
		}
		for range 3 { // it has shown three times that it lives
			<-asked
		}
		_, _ = w.Write([]byte("{}"))
	})}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	c = New(busy)
	c.patience = 20 * time.Millisecond
	if _, err := c.Status(t.Context()); err != nil {
		t.Errorf("one that takes long: %v", err)
	}
}

func TestFollow(t *testing.T) {
	late := event.KeeperBack.New("")
	late.Seq = 99
	c := dial(t, &apitest.Fake{FollowFunc: func(_ context.Context, q api.EventQuery, emit func(api.FollowItem) error) error {
		if q.Limit != 2 {
			return api.Errorf(api.BadRequest, "query lost: %+v", q)
		}
		for _, item := range []api.FollowItem{{}, {Event: &late}, {Lost: 3}} {
			if err := emit(item); err != nil {
				return err
			}
		}
		return api.Errorf(api.NotReady, "shisad is stopping")
	}})
	var got []api.FollowItem
	err := c.Follow(t.Context(), api.EventQuery{Limit: 2}, func(i api.FollowItem) error { got = append(got, i); return nil })
	if api.CodeOf(err) != api.NotReady || len(got) != 2 || got[0].Event.Seq != 99 || got[1].Lost != 3 {
		t.Errorf("got %+v, %v", got, err)
	}
	enough := errors.New("enough")
	if err := c.Follow(t.Context(), api.EventQuery{Limit: 2}, func(api.FollowItem) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
}
