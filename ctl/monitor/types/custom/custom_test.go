package custom

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/monitor/monitortest"
	"shisa/ctl/proc"
)

func TestType(t *testing.T) {
	dir := t.TempDir()
	env := monitor.Env{Name: "app", Dir: dir}
	n := 0
	script := func(text string, more ...any) map[string]any {
		n++
		name := fmt.Sprintf("script%d.sh", n)
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		m := map[string]any{"script": name}
		for i := 0; i < len(more); i += 2 {
			m[more[i].(string)] = more[i+1]
		}
		return m
	}
	if err := os.WriteFile(filepath.Join(dir, "plain"), []byte("exit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	const ignore = "trap '' TERM; while :; do sleep 0.05; done"
	monitortest.Run(t, Type, []monitortest.Case{
		{Name: "normal", Env: env, Params: script("exit 0"), Detail: "status 0"},
		{Name: "failed", Env: env, Params: script("echo first; echo the reason; exit 1"), Want: monitor.Failed, Detail: "status 1: the reason"},
		{Name: "other normal value", Env: env, Params: script("exit 3", "normal", []any{"3"}, "failed", []any{"0", "1"}), Detail: "status 3"},
		{Name: "warning", Env: env, Params: script("exit 2", "warning", []any{"2"}, "failed", []any{"1"}), Want: monitor.Warning},
		{Name: "arguments", Env: env, Params: script(`[ "$1" = "a b" ]`, "args", []any{"a b"})},
		{Name: "environment", Env: env, Params: script(`[ "$CLP_MONITORNAME" = app ] && [ "$HOME" ] && [ "$PATH" ]`)},
		{Name: "unlisted status", Env: env, Params: script("exit 7", "failed", []any{"1"}), NoLook: true, Detail: "status 7, which says nothing"},
		{Name: "command not found", Env: env, Params: script("no-such-command"), NoLook: true, Detail: "status 127"},
		{Name: "its command was killed", Env: env, Params: script("sh -c 'kill -KILL $$'"), NoLook: true, Detail: "status 137"},
		{Name: "killed", Env: env, Params: script("kill -KILL $$"), NoLook: true, Detail: "killed by signal 9"},
		{Name: "no script", Env: env, Params: map[string]any{"script": "missing.sh"}, NoLook: true, Detail: "no such file"},
		{Name: "no interpreter line", Env: env, Params: map[string]any{"script": "plain"}, NoLook: true, Detail: "#!/bin/sh"},
		{Name: "hangs", Env: env, Params: script("sleep 60"), TimedOut: true, Timeout: time.Second},
		{Name: "hangs and ignores SIGTERM", Env: env, Params: script(ignore), TimedOut: true, Timeout: time.Second},
		{Name: "leaves a process behind", Env: env, Params: script("sleep 60 & exit 0")},
		{Name: "much output", Env: env, Params: script("yes | head -c 1000000; exit 1"), Want: monitor.Failed},
		{Name: "output that is no text", Env: env, Params: script(`printf '\377\000\033[2J'; exit 1`), Want: monitor.Failed},
		{Name: "kept running", Env: env, Params: script("sleep 60", "sync", false), Detail: "was started"},
		{Name: "no script named", Params: map[string]any{}, WantErr: "script: required"},
		{Name: "bad status", Params: script("", "failed", []any{"256"}), WantErr: "0 to 255"},
		{Name: "contradiction", Params: script("", "failed", []any{"0-3"}), WantErr: "another list"},
		{Name: "relative log", Params: script("", "log", "x.log"), WantErr: "absolute path"},
	})
}

func TestLog(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "s")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho here\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "deep", "log")
	p, err := Type.New(map[string]any{"script": script, "log": log, "log_rotate": "1KiB"}, monitor.Env{Name: "app"})
	if err != nil {
		t.Fatal(err)
	}
	if f, err := p.Probe(t.Context()); err != nil || f.Verdict != monitor.OK {
		t.Fatalf("got %+v, %v", f, err)
	}
	wait(t, func() bool { b, err := os.ReadFile(log); return err == nil && strings.HasSuffix(string(b), "] here\n") })
}

// A script that is kept running is judged by its end, and started again.
func TestKeeper(t *testing.T) {
	dir := t.TempDir()
	pidFile := filepath.Join(dir, "pid")
	script := filepath.Join(dir, "s")
	text := fmt.Sprintf("#!/bin/sh\ntrap 'exit 3' USR1; echo $$ >%[1]s.new; mv %[1]s.new %[1]s; while :; do sleep 0.05; done\n", pidFile)
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := Type.New(map[string]any{"script": script, "sync": false}, monitor.Env{Name: "app"})
	if err != nil {
		t.Fatal(err)
	}
	k := p.(*keeper)
	look := func(want monitor.Verdict, detail string) {
		t.Helper()
		f, err := k.Probe(t.Context())
		if err != nil || f.Verdict != want || !strings.Contains(f.Detail, detail) {
			t.Fatalf("got %+v, %v; want %v with %q", f, err, want, detail)
		}
	}
	look(monitor.OK, "was started")
	look(monitor.OK, "runs as process")
	first := k.running.ID()
	wait(t, func() bool {
		b, err := os.ReadFile(pidFile)
		return err == nil && strings.TrimSpace(string(b)) == strconv.Itoa(first.PID)
	})
	changed := make(chan struct{})
	done := make(chan error, 1)
	go func() { done <- k.Watch(t.Context(), func() { close(changed) }) }()
	if err := proc.Signal(first, syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	<-changed
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	look(monitor.Failed, "status 3")
	if k.running.ID() != first {
		t.Error("it was started again at once")
	}
	if err := k.Watch(t.Context(), func() { t.Error("announced twice") }); err != nil {
		t.Error(err)
	}
	k.begun = k.begun.Add(-restartGap)
	look(monitor.Failed, "status 3") // and is started
	look(monitor.OK, "runs as process")
	second := k.running.ID()
	if second == first {
		t.Error("it was not started again")
	}
	if err := k.Close(); err != nil || second.Alive() {
		t.Errorf("closed with %v, alive %t", err, second.Alive())
	}
}

// The script outlives the context of the probe that has started it.
func TestKeeperOutlivesProbe(t *testing.T) {
	p, err := Type.New(map[string]any{"script": "/bin/sleep", "args": []any{"60"}, "sync": false}, monitor.Env{})
	if err != nil {
		t.Fatal(err)
	}
	k := p.(*keeper)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	if _, err := k.Probe(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	if f, err := k.Probe(t.Context()); err != nil || !strings.Contains(f.Detail, "runs as") {
		t.Errorf("got %+v, %v", f, err)
	}
	if err := k.Close(); err != nil {
		t.Error(err)
	}
}

func wait(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited too long")
		}
	}
}
