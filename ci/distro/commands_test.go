package distro

import (
	"strings"
	"testing"

	"shisa/ctl/api"
)

// withGroup has something that is to be stopped and started.
const withGroup = `version = 1
[[group]]
name = "failover1"
[[resource]]
name = "exec1"
type = "exec"
group = "failover1"
start = "/bin/true"
stop = "/bin/true"
`

// TestCommands: the original's commands start, stop and restart the service
// through a real systemd, and tell of it as the original did.
func TestCommands(t *testing.T) {
	for _, suite := range suites(t) {
		t.Run(suite.Name, func(t *testing.T) {
			s := newServer(t, suite, Options{})
			s.install(withGroup)
			started := func(v api.Status) bool { return len(v.Groups) == 1 && v.Groups[0].State == api.Started }
			s.await("the group", started)
			pid := func() string { return s.show("shisad.service", "MainPID") }
			expect := func(command, code, want string) {
				t.Helper()
				out := s.sh("%s", "PATH=$PATH:/usr/sbin; { "+command+"; } 2>&1; echo exit $?")
				if !strings.Contains(out, want) || !strings.HasSuffix(strings.TrimSpace(out), "exit "+code) {
					t.Errorf("%s: %q, want %q and exit %s", command, out, want, code)
				}
			}
			first := pid()
			expect("clpcl -s", "201", "Performed startup processing to the active cluster daemon.")
			expect("clpcl -r -w 120", "0", "Command succeeded.")
			s.await("the group after a restart", started)
			second := pid()
			if second == first || second == "0" {
				t.Errorf("after clpcl -r the daemon is process %s, before it was %s", second, first)
			}
			expect("clpcl -t -a -w 120", "0", " : Command succeeded.")
			if state := s.show("shisad.service", "ActiveState"); state != "inactive" {
				t.Errorf("after clpcl -t the unit is %s", state)
			}
			expect("clpstat", "200", "Could not connect to the server.")
			expect("clpcl -t", "201", "Performed stop processing to the stopped cluster daemon.")
			expect("clpcl -s --apito 300", "0", "Command succeeded.")
			s.await("the group after a start", started)
			expect("clpgrp -t failover1", "0", "Command succeeded.")
			expect("clpstat --local", "0", "current        : None")
			expect("clpcl --suspend && clpcl --resume", "0", "Command succeeded.")
		})
	}
}
