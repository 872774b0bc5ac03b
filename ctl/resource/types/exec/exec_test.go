package exec

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"shisa/ctl/proc"
	"shisa/ctl/resource"
	"shisa/ctl/resource/resourcetest"
)

func TestType(t *testing.T) {
	dir := t.TempDir()
	env := resource.Env{Name: "app", Group: "web", Server: "srv", Dir: dir, RunDir: filepath.Join(dir, "run")}
	n := 0
	script := func(text string) string {
		n++
		return write(t, dir, fmt.Sprintf("s%d.sh", n), text)
	}
	ok := script("exit 0")
	forEver := script("while :; do sleep 0.05; done")
	stubborn := script("trap '' TERM; while :; do sleep 0.05; done")
	resourcetest.Run(t, Type, []resourcetest.Case{
		{Name: "both succeed", Env: env, Params: map[string]any{"start": ok, "stop": ok}},
		{Name: "no stop script", Env: env, Params: map[string]any{"start": ok}},
		{Name: "service left behind", Env: env, Params: map[string]any{"start": script("sleep 60 & exit 0"), "stop": ok}},
		{Name: "start fails", Env: env, Params: map[string]any{"start": script("echo no port; exit 3"), "stop": ok}, StartErr: "start script: exited with status 3: no port"},
		{Name: "stop fails", Env: env, Params: map[string]any{"start": ok, "stop": script("exit 4")}, StopErr: "stop script: exited with status 4"},
		{Name: "start fails and leaves a process", Env: env, Params: map[string]any{"start": script("sleep 60 & exit 1")}, StartErr: "status 1"},
		{Name: "start is killed", Env: env, Params: map[string]any{"start": script("kill -KILL $$")}, StartErr: "killed by signal 9"},
		{Name: "missing start script", Env: env, Params: map[string]any{"start": "missing"}, StartErr: "no such file"},
		{Name: "start hangs", Env: env, Params: map[string]any{"start": forEver}, StartErr: "timed out", Timeout: 300 * time.Millisecond},
		{Name: "stop hangs", Env: env, Params: map[string]any{"start": ok, "stop": forEver}, StopErr: "timed out", Timeout: 300 * time.Millisecond},
		{Name: "asynchronous", Env: env, Params: map[string]any{"start": forEver, "start_sync": false}},
		{Name: "asynchronous and stubborn", Env: env, Params: map[string]any{"start": stubborn, "start_sync": false}},
		{Name: "asynchronous, ends at once", Env: env, Params: map[string]any{"start": ok, "start_sync": false, "stop": ok}},
		{Name: "asynchronous stop", Env: env, Params: map[string]any{"start": ok, "stop": ok, "stop_sync": false}},
		{Name: "limits", Env: env, Params: map[string]any{"start": script(`[ "$(ulimit -n)" = 77 ] && [ "$(ulimit -s)" = unlimited ]`), "limits": []any{"nofile=77", "stack=unlimited"}}},
		{Name: "success of its own", Env: env, Params: map[string]any{"start": script("exit 17"), "start_success": []any{"0", "10-19"},
			"stop": script("exit 7"), "stop_success": []any{"0", "7"}}},
		{Name: "zero is no success", Env: env, Params: map[string]any{"start": script("echo already; exit 0"), "start_success": []any{"3"}},
			StartErr: "start script: exited with status 0, which is no success here: already"},
		{Name: "success of the other script", Env: env, Params: map[string]any{"start": script("exit 7"), "stop_success": []any{"7"}}, StartErr: "status 7"},
		{Name: "killed is never a success", Env: env, Params: map[string]any{"start": script("kill -KILL $$"), "start_success": []any{"0-255"}}, StartErr: "killed by signal 9"},
		{Name: "no success", Params: map[string]any{"start": ok, "start_success": []any{}}, WantErr: "at least one exit status"},
		{Name: "no status", Params: map[string]any{"start": ok, "stop_success": []any{"256"}}, WantErr: "0 to 255"},
		{Name: "no start script", Params: map[string]any{}, WantErr: "start: required"},
		{Name: "unknown limit", Params: map[string]any{"start": ok, "limits": []any{"files=1"}}, WantErr: `no limit "files"`},
		{Name: "bad limit", Params: map[string]any{"start": ok, "limits": []any{"nofile=many"}}, WantErr: "whole number"},
		{Name: "relative log", Params: map[string]any{"start": ok, "log": "x"}, WantErr: "absolute path"},
	})
}

func TestEnvironment(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "start", "env | grep ^CLP_ | sort")
	log := filepath.Join(dir, "log")
	t.Setenv("CLP_LEAK", "the daemon's own")
	r := build(t, resource.Env{Name: "app", Group: "web", Dir: dir}, map[string]any{"start": "start", "log": log})
	system := osRelease()
	for _, tt := range []struct {
		request                   resource.Request
		event, factor, lastAction string
	}{
		{resource.Request{}, "START", "", "NONE"},
		{resource.Request{Event: resource.Recover, Factor: resource.ResourceRestart}, "RECOVER", "RESOURCERESTART", "NONE"},
		{resource.Request{Event: resource.Start, Factor: resource.ServerStop, LastAction: "REBOOT"}, "START", "SERVERSTOP", "REBOOT"},
	} {
		if err := os.RemoveAll(log); err != nil {
			t.Fatal(err)
		}
		if err := r.Start(t.Context(), tt.request); err != nil {
			t.Fatal(err)
		}
		want := []string{"CLP_DISK=SUCCESS", "CLP_EVENT=" + tt.event, "CLP_FACTOR=" + tt.factor, "CLP_GROUPNAME=web", "CLP_LASTACTION=" + tt.lastAction,
			"CLP_OSNAME=" + system.name, "CLP_OSVER=" + system.version, "CLP_PATH=/usr", "CLP_PRIORITY=1",
			"CLP_RESOURCENAME=app", "CLP_SERVER=HOME", "CLP_VERSION_FULL=3.2.1-1", "CLP_VERSION_MAJOR=3"}
		b, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Split(strings.TrimSpace(string(b)), "\n"); !slices.Equal(got, want) {
			t.Errorf("%+v: got\n%s", tt.request, b)
		}
	}
}

// Both scripts run as the user that is named, with that user's home and nothing
// of the daemon's environment.
func TestUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can run something as another user")
	}
	dir, err := os.MkdirTemp("", "exec") // others may enter it, unlike that of the test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SECRET", "of the daemon")
	check := `[ "$(id -un)" = nobody ] && [ "$USER" = nobody ] && [ "$LOGNAME" = nobody ] && [ -n "$HOME" ] && [ "$HOME" != /root ] && [ -z "$SECRET" ]`
	write(t, dir, "start", check)
	write(t, dir, "stop", check)
	r := build(t, resource.Env{Name: "app", Dir: dir}, map[string]any{"start": "start", "stop": "stop", "user": "nobody"})
	if err := r.Start(t.Context(), resource.Request{}); err != nil {
		t.Error(err)
	}
	if err := r.Stop(t.Context(), resource.Request{}); err != nil {
		t.Error(err)
	}
	r = build(t, resource.Env{Name: "app", Dir: dir}, map[string]any{"start": "start", "user": "no-such-user"})
	if err := r.Start(t.Context(), resource.Request{}); err == nil || !strings.Contains(err.Error(), "no such user") {
		t.Errorf("got %v", err)
	}
}

// Fix 101 of the original: CLP_DISK told of virtual machines. It is of disks,
// of which there are none here: it never says anything else.
func TestFix101DiskIsNoVirtualMachine(t *testing.T) {
	for _, request := range []resource.Request{{}, {Event: resource.Recover, Factor: resource.GroupRestart}, {Factor: resource.ServerStop}} {
		s := &script{env: resource.Env{Name: "vm1", Group: "vm"}}
		if env := s.environ(request); !slices.Contains(env, "CLP_DISK=SUCCESS") {
			t.Errorf("%+v: %v", request, env)
		}
	}
}

// Enhancement 75 of the original: what a script starts has the stack of the
// operating system's setting, as everything else that we do not limit.
func TestEnhancement075LimitsOfTheSystem(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	write(t, dir, "start", "cat /proc/self/limits")
	r := build(t, resource.Env{Name: "app", Dir: dir}, map[string]any{"start": "start", "log": log})
	if err := r.Start(t.Context(), resource.Request{}); err != nil {
		t.Fatal(err)
	}
	limit := func(path, name string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if strings.HasPrefix(line, name) {
				return line
			}
		}
		return ""
	}
	for _, name := range []string{"Max stack size", "Max address space", "Max core file size", "Max locked memory"} {
		if got, want := limit(log, name), limit("/proc/self/limits", name); got != want || want == "" {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A log that is rotated stamps each line with the time and the process, for
// both scripts.
func TestRotatedLog(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "logs", "app.log")
	write(t, dir, "start", "echo starting; echo in two parts >&2")
	write(t, dir, "stop", "printf stopping")
	r := build(t, resource.Env{Name: "app", Dir: dir}, map[string]any{"start": "start", "stop": "stop", "log": log, "log_rotate": "1KiB"})
	if err := r.Start(t.Context(), resource.Request{}); err != nil {
		t.Fatal(err)
	}
	if err := r.Stop(t.Context(), resource.Request{}); err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{3}\[\d+\] (.*)$`)
	want := []string{"starting", "in two parts", "stopping"}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) { // what reads the pipe comes a moment later
		b, _ := os.ReadFile(log)
		var got []string
		for text := range strings.Lines(string(b)) {
			if m := line.FindStringSubmatch(strings.TrimSuffix(text, "\n")); m != nil {
				got = append(got, m[1])
			}
		}
		if slices.Equal(got, want) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}

func TestParseRelease(t *testing.T) {
	got := parseRelease("PRETTY_NAME=\"x\"\nNAME=\"Red Hat Enterprise Linux\"\nVERSION_ID='9.4'\n")
	if got != (release{"Red Hat Enterprise Linux", "9.4"}) {
		t.Errorf("got %+v", got)
	}
	if got := parseRelease(""); got != (release{"Linux", ""}) {
		t.Errorf("got %+v", got)
	}
}

// Fix 131 of the original: a start script that exceeded its time was noticed
// later than the timeout said.
func TestFix131StartTimeoutHonoured(t *testing.T) {
	dir := t.TempDir()
	mark := filepath.Join(dir, "mark")
	write(t, dir, "start", fmt.Sprintf("trap 'date +%%s%%N >%s; exit' TERM; while :; do sleep 0.01; done", mark))
	r := build(t, resource.Env{Name: "app", Dir: dir}, map[string]any{"start": "start"})
	const timeout = time.Second
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	err := r.Start(ctx, resource.Request{})
	if err == nil || !strings.Contains(err.Error(), "timed out") {
		t.Fatalf("got %v", err)
	}
	b, err := os.ReadFile(mark)
	if err != nil {
		t.Fatal(err)
	}
	ns, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	// Never early; how late depends on this machine, but the original was
	// late by seconds.
	if d := time.Unix(0, ns).Sub(begin); d < timeout || d > timeout+2*time.Second {
		t.Errorf("the script was told to end after %v, want %v", d, timeout)
	}
}

// An application that was started asynchronously outlives the daemon; the next
// daemon takes it over, starts no second one, and can still stop it.
func TestAdopt(t *testing.T) {
	dir := t.TempDir()
	env := resource.Env{Name: "app", Dir: dir, RunDir: filepath.Join(dir, "run")}
	write(t, dir, "start", "sleep 60 & while :; do sleep 0.05; done")
	params := map[string]any{"start": "start", "start_sync": false}
	first := build(t, env, params)
	if err := first.Start(t.Context(), resource.Request{}); err != nil {
		t.Fatal(err)
	}
	id := process(t, first)

	second := build(t, env, params) // of another daemon
	if err := second.Start(t.Context(), resource.Request{Event: resource.Recover}); err != nil {
		t.Fatal(err)
	}
	if got := process(t, second); got != id {
		t.Fatalf("started %v beside %v", got, id)
	}
	if err := second.Stop(t.Context(), resource.Request{}); err != nil {
		t.Fatal(err)
	}
	if id.Alive() {
		t.Error("the process lives on")
	}
	if _, err := os.Stat(filepath.Join(env.RunDir, "exec.app")); !os.IsNotExist(err) {
		t.Errorf("its identity is still kept: %v", err)
	}
}

// A stale file names a number that belongs to somebody else by now, or rubbish.
func TestAdoptNobodyElse(t *testing.T) {
	self, err := proc.Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprintf("%d@%d", self.PID, self.Start+1), "1@1", "-1@0", "0@0", "rubbish", "", "99999999@1"} {
		dir := t.TempDir()
		write(t, dir, "start", "while :; do sleep 0.05; done")
		if err := os.WriteFile(filepath.Join(dir, "exec.app"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := build(t, resource.Env{Name: "app", Dir: dir, RunDir: dir}, map[string]any{"start": "start", "start_sync": false})
		if err := r.Stop(t.Context(), resource.Request{}); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if err := r.Start(t.Context(), resource.Request{}); err != nil {
			t.Fatal(err)
		}
		if id := process(t, r); id.PID == self.PID {
			t.Errorf("%q: took over %v", text, id)
		}
		if err := r.Stop(t.Context(), resource.Request{}); err != nil {
			t.Error(err)
		}
	}
}

// The process is known, dead or alive, until the resource is stopped: the pid
// monitor is to see that it died.
func TestProcessAfterDeath(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "start", "while :; do sleep 0.05; done")
	r := build(t, resource.Env{Name: "app", Dir: dir}, map[string]any{"start": "start", "start_sync": false})
	if err := r.Start(t.Context(), resource.Request{}); err != nil {
		t.Fatal(err)
	}
	id := process(t, r)
	if err := proc.Signal(id, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for id.Alive() {
		time.Sleep(time.Millisecond)
	}
	if process(t, r) != id {
		t.Error("forgot its process")
	}
	if err := r.Start(t.Context(), resource.Request{}); err != nil {
		t.Fatal(err)
	}
	if again := process(t, r); again == id || !again.Alive() {
		t.Errorf("a dead process was taken for a living one: %v", again)
	}
	if err := r.Stop(t.Context(), resource.Request{}); err != nil {
		t.Fatal(err)
	}
}

func build(t *testing.T, env resource.Env, params map[string]any) resource.Resource {
	t.Helper()
	r, err := Type.New(params, env)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func process(t *testing.T, r resource.Resource) proc.ID {
	t.Helper()
	pid, start, ok := r.(resource.Processer).Process()
	if !ok {
		t.Fatal("it has no process")
	}
	return proc.ID{PID: pid, Start: start}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
