package service_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/api"
)

// The original's resource manager died when descriptors ran out. Ours goes on: what
// cannot be looked at says nothing about its target, nothing is recovered for it, and
// it looks and answers again afterwards.
func TestFix094DescriptorsRunOut(t *testing.T) {
	p := newPlace(t)
	p.write("shisa.toml", "[[monitor]]\nname = \"self\"\ntype = \"process\"\nmatch = \"*-foreground*"+p.dir+"*\"\ninterval = \"1s\"\n")
	r := p.start()
	verdict := func(want api.Verdict) func() bool {
		return func() bool {
			s, err := r.client.Status(t.Context())
			return err == nil && s.Monitors[0].Verdict == want
		}
	}
	p.eventually("the monitor finds it", verdict(api.OK))
	var before unix.Rlimit
	if err := unix.Prlimit(r.cmd.Process.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 8, Max: 1024}, &before); err != nil {
		t.Fatal(err)
	}
	var open []net.Conn
	for range 200 {
		if c, err := net.DialTimeout("unix", p.path("api.sock"), time.Second); err == nil {
			open = append(open, c)
		}
	}
	p.eventually("the log tells", func() bool { return strings.Contains(r.log(), "too many open files") })
	time.Sleep(3 * time.Second) // some rounds of the probe
	if err := unix.Prlimit(r.cmd.Process.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1024, Max: 1024}, nil); err != nil {
		t.Fatalf("shisad is gone: %v", err)
	}
	for _, c := range open {
		c.Close() //nolint:errcheck // the other end may have closed it
	}
	p.eventually("it answers again, and the monitor looks again", verdict(api.OK))
	for _, code := range r.events() {
		if strings.HasPrefix(code, "recovery-") || code == "monitor-failed" {
			t.Errorf("told %s", code)
		}
	}
	r.end()
}

// The original left a zombie when a resident monitor was paused at the wrong moment.
func TestFix033PauseLeavesNoZombie(t *testing.T) {
	p := newPlace(t)
	p.write("resident", "#!/bin/sh\nwhile :; do sleep 0.01; done\n")
	if err := os.Chmod(p.path("resident"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.write("shisa.toml", "[[monitor]]\nname = \"r\"\ntype = \"custom\"\nscript = \"resident\"\nsync = false\ninterval = \"1s\"\n")
	r := p.start()
	for i := range 30 {
		for _, verb := range []api.MonitorVerb{api.SuspendMonitor, api.ResumeMonitor} {
			if _, err := r.client.Monitor(t.Context(), api.MonitorCommand{Name: "r", Verb: verb}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(i*7%23) * time.Millisecond) // at any moment
		}
	}
	p.eventually("there is no zombie", func() bool { return len(zombies(t, r.cmd.Process.Pid)) == 0 })
	if _, err := r.client.Monitor(t.Context(), api.MonitorCommand{Name: "r", Verb: api.SuspendMonitor}); err != nil {
		t.Fatal(err)
	}
	p.eventually("there is no child but the keeper", func() bool { return !strings.Contains(strings.Join(children(t, r.cmd.Process.Pid), " "), "resident") })
	if left := zombies(t, r.cmd.Process.Pid); len(left) > 0 {
		t.Errorf("zombies: %q", left)
	}
	r.end()
}

// children returns name and state of the children of a process: "(sleep) Z".
func children(t *testing.T, parent int) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		at := strings.LastIndex(string(text), ")")
		var state string
		var ppid int
		if _, err := fmt.Sscan(string(text[at+1:]), &state, &ppid); err == nil && ppid == parent {
			_, name, _ := strings.Cut(string(text[:at+1]), " ")
			list = append(list, name+" "+state)
		}
	}
	return list
}

func zombies(t *testing.T, parent int) []string {
	t.Helper()
	var list []string
	for _, c := range children(t, parent) {
		if strings.HasSuffix(c, " Z") {
			list = append(list, c)
		}
	}
	return list
}
