package systemd

import (
	"context"
	"errors"
	"testing"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/monitor/monitortest"
	"shisa/ctl/resource/resourcetest"
)

func TestType(t *testing.T) {
	s := resourcetest.StartSystemd(t)
	for name, u := range map[string]resourcetest.Unit{
		"active.service":           {Active: "active", Sub: "running"},
		"reloading.service":        {Active: "reloading", Sub: "reload"},
		"starting.service":         {Active: "activating", Sub: "start-pre"},
		"looping.service":          {Active: "activating", Sub: "auto-restart"},
		"stopping.service":         {Active: "deactivating", Sub: "stop-sigterm"},
		"stopped.service":          {Active: "inactive", Sub: "dead"},
		"failed.service":           {Active: "failed", Sub: "failed"},
		"odd-name@x\\x2d1.service": {Active: "active", Sub: "running"},
	} {
		s.Set(name, u)
	}
	unit := func(name string) map[string]any { return map[string]any{"unit": name} }
	monitortest.Run(t, Type, []monitortest.Case{
		{Name: "active", Params: unit("active.service"), Detail: "active (running)"},
		{Name: "reloading", Params: unit("reloading.service")},
		{Name: "starting", Params: unit("starting.service"), Want: monitor.Warning},
		{Name: "crash loop", Params: unit("looping.service"), Want: monitor.Failed, Detail: "auto-restart"},
		{Name: "stopping", Params: unit("stopping.service"), Want: monitor.Failed},
		{Name: "stopped", Params: unit("stopped.service"), Want: monitor.Failed, Detail: "inactive (dead)"},
		{Name: "failed", Params: unit("failed.service"), Want: monitor.Failed},
		{Name: "odd name", Params: unit("odd-name@x\\x2d1.service")},
		{Name: "other good states", Params: map[string]any{"unit": "stopped.service", "states": []any{"inactive"}}},
		{Name: "unknown unit", Params: unit("nobody.service"), NoLook: true, Detail: "knows no unit"},
		{Name: "no unit", Params: map[string]any{}, WantErr: "unit: required"},
		{Name: "half a name", Params: unit("httpd"), WantErr: "whole name"},
		{Name: "pattern", Params: unit("*.service"), WantErr: "whole name"},
		{Name: "unknown state", Params: map[string]any{"unit": "a.service", "states": []any{"running"}}, WantErr: "none of"},
		{Name: "no state", Params: map[string]any{"unit": "a.service", "states": []any{}}, WantErr: "at least one"},
	})
}

// A systemd that does not answer has not answered in time: that says nothing
// about the unit.
func TestHang(t *testing.T) {
	s := resourcetest.StartSystemd(t)
	s.Hang()
	p, err := Type.New(map[string]any{"unit": "a.service"}, monitor.Env{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if f, err := p.Probe(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %+v, %v", f, err)
	}
	if err := p.(monitor.Closer).Close(); err != nil {
		t.Error(err)
	}
}

func TestNoBus(t *testing.T) {
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+t.TempDir()+"/nothing")
	monitortest.Run(t, Type, []monitortest.Case{
		{Name: "no bus", Params: map[string]any{"unit": "a.service"}, NoLook: true, Detail: "connect to the system bus"},
	})
}

func TestWatch(t *testing.T) {
	s := resourcetest.StartSystemd(t)
	s.Set("a.service", resourcetest.Unit{Active: "active", Sub: "running"})
	s.Set("b.service", resourcetest.Unit{Active: "active", Sub: "running"})
	p, err := Type.New(map[string]any{"unit": "a.service"}, monitor.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	changes, done := make(chan struct{}, 10), make(chan error, 1)
	go func() { done <- p.(monitor.Watcher).Watch(ctx, func() { changes <- struct{}{} }) }()
	next := func(what string) {
		t.Helper()
		select {
		case <-changes:
		case <-ctx.Done():
			t.Fatalf("%s was not announced", what)
		}
	}
	next("the begin of the watch")
	s.Set("b.service", resourcetest.Unit{Active: "failed", Sub: "failed"}) // none of ours
	s.Set("a.service", resourcetest.Unit{Active: "failed", Sub: "failed"})
	next("the failure")
	if f, err := p.Probe(ctx); err != nil || f.Verdict != monitor.Failed {
		t.Errorf("got %+v, %v", f, err)
	}
	cancel()
	if err := <-done; err != nil || len(changes) > 0 {
		t.Errorf("ended with %v, %d changes too many", err, len(changes))
	}
	if err := p.(monitor.Closer).Close(); err != nil {
		t.Error(err)
	}
	if shared.conn != nil || shared.users != 0 {
		t.Errorf("the connection is still open for %d users", shared.users)
	}
}
