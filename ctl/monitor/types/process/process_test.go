package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/monitor/monitortest"
	"shisa/ctl/proc"
)

func TestType(t *testing.T) {
	// A name that nothing else on the machine has.
	name := fmt.Sprintf("shisa-test-%d", os.Getpid())
	start(t, name+" (one) [x].*")
	start(t, name+" two\nlines")
	long := name + strings.Repeat("-long", 1000)
	start(t, long)
	zombie := start(t, name+"-zombie")
	if err := proc.Signal(zombie, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for s, err := proc.Read(zombie.PID); err == nil && !s.Ended(); s, err = proc.Read(zombie.PID) {
		time.Sleep(time.Millisecond)
	}
	is := func(match string, more ...any) map[string]any {
		m := map[string]any{"match": match}
		for i := 0; i < len(more); i += 2 {
			m[more[i].(string)] = more[i+1]
		}
		return m
	}
	monitortest.Run(t, Type, []monitortest.Case{
		{Name: "whole line", Params: is(name + " (one) [x].* 60"), Detail: "1 process is"},
		{Name: "part of the line", Params: is(name + " (one)"), Want: monitor.Failed, Detail: "at least 1"},
		{Name: "beginning", Params: is(name + "*"), Detail: "3 processes are"},
		{Name: "middle", Params: is("*" + name + " two*"), Detail: "1 process is"},
		{Name: "line feed", Params: is(name + " two*lines*"), Detail: "1 process is"},
		{Name: "name over 1024 bytes", Params: is(long + " 60"), Detail: "1 process is"},
		{Name: "expression", Params: is(name+" (two|three)", "regexp", true), Detail: "1 process is"},
		{Name: "nobody", Params: is(name + "-nobody"), Want: monitor.Failed, Detail: "0 processes are"},
		{Name: "a zombie is nobody", Params: is("*" + name + "-zombie*"), Want: monitor.Failed},
		{Name: "too few", Params: is(name+"*", "min", 4), Want: monitor.Failed, Detail: "at least 4"},
		{Name: "enough", Params: is(name+"*", "min", 3, "max", 3), Detail: "3 processes are"},
		{Name: "too many", Params: is(name+"*", "max", 2), Want: monitor.Failed, Detail: "at most 2"},
		{Name: "none wanted", Params: is(name+"-nobody", "min", 0, "max", 1), Detail: "0 processes are"},
		{Name: "no pattern", Params: map[string]any{}, WantErr: "match: required"},
		{Name: "bad expression", Params: is("(", "regexp", true), WantErr: "missing closing )"},
		{Name: "bad bounds", Params: is("x", "min", 3, "max", 2), WantErr: "less than min"},
		{Name: "no bounds", Params: is("x", "min", 0), WantErr: "any number would do"},
	})
}

// TestOutOfFiles: who can open no file of a process has not seen that it is gone.
func TestOutOfFiles(t *testing.T) {
	name := fmt.Sprintf("shisa-unseen-%d", os.Getpid())
	start(t, name)
	for left := range 4 {
		p, err := Type.New(map[string]any{"match": name + "*"}, monitor.Env{})
		if err != nil {
			t.Fatal(err)
		}
		monitortest.Starved(t, left, func() {
			if f, err := p.Probe(t.Context()); err == nil && f.Verdict != monitor.OK {
				t.Errorf("with %d files left: %+v", left, f)
			}
		})
	}
}

func TestKernelThread(t *testing.T) {
	p, err := Type.New(map[string]any{"match": "[kthreadd]"}, monitor.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := proc.Read(2); err != nil || s.Comm != "kthreadd" {
		t.Skip("kernel threads cannot be seen from here")
	}
	if f, err := p.Probe(t.Context()); err != nil || f.Verdict != monitor.OK {
		t.Errorf("got %+v, %v", f, err)
	}
}

// The prober may remember what it found, but must see what changed.
func TestProbeAgain(t *testing.T) {
	name := fmt.Sprintf("shisa-again-%d", os.Getpid())
	p, err := Type.New(map[string]any{"match": name + "*"}, monitor.Env{})
	if err != nil {
		t.Fatal(err)
	}
	look := func(want monitor.Verdict) {
		t.Helper()
		f, err := p.Probe(t.Context())
		if err != nil || f.Verdict != want {
			t.Fatalf("got %+v, %v; want %v", f, err, want)
		}
	}
	look(monitor.Failed)
	first := start(t, name)
	look(monitor.OK)
	second := start(t, name)
	look(monitor.OK)
	watch(t, p, func() {
		if err := proc.Signal(first, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	})
	look(monitor.OK) // the second one is found
	watch(t, p, func() {
		if err := proc.Signal(second, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	})
	look(monitor.Failed)
}

// watch checks that cause makes the prober ask for a probe.
func watch(t *testing.T, p monitor.Prober, cause func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	changed := make(chan struct{}, 1)
	done := make(chan error, 1)
	go func() { done <- p.(monitor.Watcher).Watch(ctx, func() { changed <- struct{}{} }) }()
	cause()
	select {
	case <-changed:
	case <-ctx.Done():
		t.Fatal("the change was not announced")
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T, name string) proc.ID {
	t.Helper()
	c := exec.Command("/bin/sleep")
	c.Args = []string{name, "60"}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	for {
		line, err := proc.Command(c.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, name) {
			break // the new program is in place
		}
	}
	id, err := proc.Identify(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
