package pid

import (
	"context"
	"os/exec"
	"syscall"
	"testing"

	"shisa/ctl/monitor"
	"shisa/ctl/monitor/monitortest"
	"shisa/ctl/proc"
)

func TestType(t *testing.T) {
	alive, dead := start(t), start(t)
	kill(t, dead)
	env := func(id proc.ID, ok bool) monitor.Env {
		return monitor.Env{Name: "m", Target: monitortest.TargetFunc(func() (int, uint64, bool) { return id.PID, id.Start, ok })}
	}
	monitortest.Run(t, Type, []monitortest.Case{
		{Name: "alive", Env: env(alive, true), Detail: "lives"},
		{Name: "zombie", Env: env(dead, true), Want: monitor.Failed, Certain: true, Detail: "has ended"},
		{Name: "gone", Env: env(proc.ID{PID: 1 << 30}, true), Want: monitor.Failed, Certain: true},
		{Name: "number of another process", Env: env(proc.ID{PID: alive.PID, Start: alive.Start + 1}, true), Want: monitor.Failed, Certain: true},
		{Name: "no process", Env: env(proc.ID{}, false), Want: monitor.Failed, Detail: "no process"},
		{Name: "no target", Env: monitor.Env{Name: "m"}, WantErr: "needs a target"},
		{Name: "parameter", Params: map[string]any{"pid": 1}, Env: env(alive, true), WantErr: "no such key"},
	})
}

func TestWatch(t *testing.T) {
	id := start(t)
	p, err := Type.New(nil, monitor.Env{Target: monitortest.TargetFunc(func() (int, uint64, bool) { return id.PID, id.Start, true })})
	if err != nil {
		t.Fatal(err)
	}
	w := p.(monitor.Watcher)
	done := make(chan error, 1)
	changes := 0
	go func() { done <- w.Watch(t.Context(), func() { changes++ }) }()
	kill(t, id)
	if err := <-done; err != nil || changes != 1 {
		t.Errorf("%d changes, error %v", changes, err)
	}
	// A death before the watch is announced as well, and a watch can be ended.
	if err := w.Watch(t.Context(), func() { changes++ }); err != nil || changes != 2 {
		t.Errorf("%d changes, error %v", changes, err)
	}
	id = start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Watch(ctx, func() { t.Error("nothing has changed") }); err != nil {
		t.Error(err)
	}
}

func start(t *testing.T) proc.ID {
	t.Helper()
	c := exec.Command("/bin/sleep", "60")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	id, err := proc.Identify(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// kill kills a process and waits until it is a zombie; the test's end reaps it.
func kill(t *testing.T, id proc.ID) {
	t.Helper()
	w, err := proc.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	gone := make(chan struct{})
	if _, err := w.Watch(id, func() { close(gone) }); err != nil {
		t.Fatal(err)
	}
	if err := proc.Signal(id, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-gone
}
