package compat

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/api/apitest"
	"shisa/ctl/client"
)

func TestClusterCommand(t *testing.T) {
	up, none := apitest.Serve(t, &apitest.Fake{}), filepath.Join(t.TempDir(), "none.sock")
	held := apitest.Status()
	held.Suppression.Suspended = true
	suspendedServer := serve(t, held)
	for _, c := range []struct {
		name   string
		socket string
		words  string
		absent bool // no systemd
		err    error
		code   int
		asked  []string
		out    string // what stands in the output
		says   string // what stands in the errors
	}{
		{name: "start", socket: none, words: "-s", asked: []string{"start shisad.service"}, out: succeeded},
		{name: "start what runs", socket: up, words: "-s", code: codes[badStatus], says: "Performed startup processing to the active cluster daemon."},
		{name: "stop", socket: up, words: "-t -w 30", asked: []string{"stop shisad.service"}, out: succeeded},
		{name: "stop what does not run", socket: none, words: "-t", code: codes[badStatus], says: "Performed stop processing to the stopped cluster daemon."},
		{name: "restart", socket: up, words: "-r", asked: []string{"stop shisad.service", "start shisad.service"}, out: succeeded},
		{name: "restart what does not run", socket: none, words: "-r", asked: []string{"start shisad.service"}, out: succeeded},
		{name: "restart of the web manager", socket: up, words: "-r --web --alert", asked: []string{"restart shisa-web.service"}, out: succeeded},
		{name: "restart of what is a part", socket: up, words: "-r --ib", out: succeeded, says: "part of the daemon"},
		{name: "on all servers", socket: up, words: "-t -a", asked: []string{"stop shisad.service"}, out: "Stop shop1 : Command succeeded."},
		{name: "of this server", socket: up, words: "-t -h shop1.example.com", asked: []string{"stop shisad.service"}, out: succeeded},
		{name: "of another server", socket: up, words: "-t -h shop2", code: codes[badServer], says: "Specify a valid server name"},
		{name: "systemd fails", socket: none, words: "-s", err: errNoUnit, asked: []string{"start shisad.service"}, code: codes[unsuccessful], says: "start shisad.service: Unit shisad.service not loaded.\n"},
		{name: "there is no web manager", socket: up, words: "-r --web", err: errors.New("restart shisa-web.service: not found"), asked: []string{"restart shisa-web.service"}, code: codes[unsuccessful], says: "restart shisa-web.service: not found.\n"},
		{name: "not root", socket: none, words: "-s", err: api.Errorf(api.Forbidden, "access denied"), asked: []string{"start shisad.service"}, code: codes[notRoot], says: "Log in as root.\n"},
		{name: "start in a container", socket: none, words: "-s", absent: true, code: codes[badStatus], says: "start shisad"},
		{name: "stop in a container, not waited for", socket: up, words: "-t -w 0", absent: true, out: succeeded},
		{name: "stop in a container that takes too long", socket: up, words: "-t -w 1", absent: true, code: codes[timeout], says: "A timeout occurred."},
		{name: "suspend", socket: up, words: "--suspend -a", out: "Suspend shop1 : Command succeeded."},
		{name: "suspend by force", socket: up, words: "--suspend --force --apito 10", out: succeeded},
		{name: "suspend twice", socket: suspendedServer, words: "--suspend", code: codes[suspended], says: "suspended"},
		{name: "resume", socket: suspendedServer, words: "--resume", out: succeeded},
		{name: "resume what runs", socket: up, words: "--resume", code: codes[badStatus], says: "not suspended"},
		{name: "two at once", socket: up, words: "-s -t", code: codes[badOption], says: "exclude each other"},
		{name: "none", socket: up, words: "-a", code: codes[badOption], says: "Give one of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := &services{absent: c.absent, err: c.err}
			r := at(t, c.socket, u, append([]string{"clpcl"}, strings.Fields(c.words)...)...)
			if r.code != c.code || !slices.Equal(u.asked, c.asked) || !strings.Contains(r.out, c.out) || !strings.Contains(r.err, c.says) {
				t.Errorf("%+v, asked %v", r, u.asked)
			}
		})
	}
}

// TestHanging: a daemon that hangs does not make commands hang, and can be
// stopped: systemd ends it.
func TestHanging(t *testing.T) {
	socket := apitest.Serve(t, &apitest.Fake{StatusFunc: func(ctx context.Context) (api.Status, error) {
		<-ctx.Done()
		return api.Status{}, ctx.Err()
	}})
	for _, c := range []struct {
		words string
		code  int
		asked []string
	}{
		{"clpcl -t", 0, []string{"stop shisad.service"}},
		{"clpcl -r", 0, []string{"stop shisad.service", "start shisad.service"}},
		{"clpcl -s", codes[badStatus], nil},
		{"clpcl --suspend", codes[timeout], nil},
		{"clpstat", codes[timeout], nil},
		{"clpgrp -s shop", codes[timeout], nil},
	} {
		var out, errOut bytes.Buffer
		u, daemon := &services{}, client.New(socket)
		words := strings.Fields(c.words)
		code := run(call{ctx: t.Context(), client: daemon, units: u, out: &out, err: &errOut, answer: 50 * time.Millisecond}, words[0], words[1:])
		daemon.Close()
		if code != c.code || !slices.Equal(u.asked, c.asked) {
			t.Errorf("%s: code %d, asked %v, %q, %q", c.words, code, u.asked, out.String(), errOut.String())
		}
	}
}

// TestDown: the two commands that take the machine down only ever ask the
// daemon, and say what would have been done when it only observes.
func TestDown(t *testing.T) {
	var asked []api.ShutdownVerb
	protecting := apitest.Serve(t, &apitest.Fake{ShutdownFunc: func(_ context.Context, c api.ShutdownCommand) (api.Result, error) {
		asked = append(asked, c.How)
		return api.Result{}, nil
	}})
	observing := serve(t, apitest.Empty()) // whose fake refuses, as the daemon does
	for _, name := range []string{"clpdown", "clpstdn"} {
		for _, c := range []struct {
			args []string
			how  api.ShutdownVerb
			text string
		}{{nil, api.PowerOff, "would have been powered off"}, {[]string{"-r"}, api.Reboot, "would have been restarted"}} {
			asked = nil
			if r := at(t, protecting, &services{}, append([]string{name}, c.args...)...); r.code != 0 || !slices.Equal(asked, []api.ShutdownVerb{c.how}) {
				t.Errorf("%s %v: %+v, asked %v", name, c.args, r, asked)
			}
			r := at(t, observing, &services{}, append([]string{name}, c.args...)...)
			if r.code != codes[badStatus] || !strings.Contains(r.out, "Observing only, so nothing was done") || !strings.Contains(r.out, c.text) {
				t.Errorf("%s %v, observing: %+v", name, c.args, r)
			}
		}
	}
}

func TestGroupsAndResources(t *testing.T) {
	stopped := apitest.Status()
	stopped.Groups[0].State, stopped.Groups[0].Resources[0].State = api.Stopped, api.Stopped
	up, down := apitest.Serve(t, &apitest.Fake{}), serve(t, stopped)
	for _, c := range []struct {
		socket, words string
		code          int
		out           string
	}{
		{up, "clpgrp -n shop", 0, "shop1\n"},
		{down, "clpgrp -n shop", 0, ""},
		{up, "clpgrp -s", 0, "Command succeeded.\n"},
		{up, "clpgrp -t shop -f --apito 30", 0, "Command succeeded.\n"},
		{up, "clpgrp -s nosuch", codes[noName], ""},
		{up, "clpgrp -m shop -a server2", codes[notOne], ""},
		{up, "clpgrp -l shop", codes[notOne], ""},
		{up, "clprsc -n web", 0, "shop1\n"},
		{down, "clprsc -n database", 0, ""},
		{up, "clprsc -s nosuch", codes[noName], ""},
		{up, "clprsc -s", codes[badOption], ""},
		{up, "clpmonctrl -s -m nosuch", 6, ""},
		{up, "clpmonctrl -e", codes[badOption], ""},
		{up, "clpmonctrl -e -m web -w 10", 0, "Command succeeded.\n"},
		{up, "clpmonctrl -n", 0, "Command succeeded.\n"},
		{up, "clprexec --script nosuch", codes[noName], ""},
		{up, "clprexec --script fails", codes[unsuccessful], ""},
		{up, "clprexec --notice mrw1 -k cat", codes[badOption], ""},
		{up, "clprexec --notice", codes[badOption], ""},
		{up, "clptrnreq -t NOSUCH -h shop1", codes[badOption], ""},
		{up, "clptoratio -s", 0, "present toratio : 1\n"},
		{up, "clptoratio -r 1", 0, "Command succeeded.\n"},
		{up, "clptoratio -r 2", codes[badOption], ""},
		{up, "clptoratio -r 2 -t 31d", codes[badOption], ""},
		{up, "clptoratio -r 1 -t 1h", codes[badOption], ""},
		{up, "clptoratio -r 10001 -t 1h", codes[badOption], ""},
		{up, "clpregctrl --clear -t rm -r haltcount", 0, " Command succeeded.(code:0)\n"},
		{up, "clpregctrl --clear -t xx -r haltcount", 3, ""},
		{up, "clpregctrl", 3, ""},
		{up, "clpregctrl --get -h shop2", codes[badServer], ""},
		{up, "clptrnreq -t EXEC_SCRIPT -s cleanup", codes[badOption], ""},
		{up, "clptrnreq -t EXEC_SCRIPT -h shop1", codes[badOption], ""},
		{up, "clptrnreq -t GRP_FAILOVER -h shop1", codes[badOption], ""},
		{up, "clprexec --failover", codes[badOption], ""},
		{up, "clprexec --failover shop -r web", codes[badOption], ""},
		{up, "clprexec --failover -r nosuch", codes[noName], ""},
		{up, "clprexec --failover nosuch", codes[noName], ""},
		{up, "clprexec --failover shop", 0, "Command succeeded.\n"},
		{up, "clpmonctrl -r -m web -w 0", 0, "Command succeeded.\n"},
		{up, "clpmonctrl -s -m web -w long", codes[badOption], ""},
		{up, "clplogcmd", codes[badOption], ""},
		{up, "clplogcmd -m x -l loud", codes[badOption], ""},
		{up, "clplogcmd -m x -i 10001", codes[badOption], ""},
		{up, "clplogcmd -m x -l Error --alert --mail --trap --syslog -i 5", 0, "Command succeeded.\n"},
		{up, "clpcpufreq -s", 0, "Processor speed: auto.\n"},
		{up, "clpcpufreq --high --low", codes[badOption], ""},
	} {
		if r := at(t, c.socket, &services{}, strings.Fields(c.words)...); r.code != c.code || r.out != c.out {
			t.Errorf("%s: %+v, want code %d and %q", c.words, r, c.code, c.out)
		}
	}
}

// TestScriptOutput: -o keeps what the script printed, in a file or in a folder;
// where it cannot be kept, nothing is run.
func TestScriptOutput(t *testing.T) {
	dir, socket := t.TempDir(), apitest.Serve(t, &apitest.Fake{})
	for given, path := range map[string]string{filepath.Join(dir, "log"): filepath.Join(dir, "log"), dir: filepath.Join(dir, "clprexec.log")} {
		if r := at(t, socket, &services{}, "clprexec", "--script", "cleanup", "-o", given); r.code != 0 {
			t.Errorf("%+v", r)
		}
		if got := read(t, path); got != "cleaned\n" {
			t.Errorf("%s: %q", path, got)
		}
	}
	r := at(t, filepath.Join(dir, "none.sock"), &services{}, "clprexec", "--script", "cleanup", "-o", filepath.Join(dir, "none", "log"))
	if r.code != codes[badOption] || !strings.Contains(r.err, "-o: ") {
		t.Errorf("%+v", r)
	}
}

// TestMonitorCodes: clpmonctrl has exit codes of its own, which scripts tell
// apart.
func TestMonitorCodes(t *testing.T) {
	none, held := apitest.Status(), apitest.Status()
	none.Monitors, held.Suppression.Suspended = []api.Monitor{}, true
	slow := apitest.Serve(t, &apitest.Fake{MonitorFunc: func(ctx context.Context, _ api.MonitorCommand) (api.Result, error) {
		<-ctx.Done()
		return api.Result{}, ctx.Err()
	}})
	for _, c := range []struct {
		name, socket, words string
		code                int
		says                string
	}{
		{"none is registered", serve(t, none), "-s", 5, "No monitor resource is registered."},
		{"not this one", serve(t, none), "-s -m web", 6, "Specify a valid monitor resource name in the cluster."},
		{"the daemon does not run", filepath.Join(t.TempDir(), "none.sock"), "-s", 10, "Could not connect to the server."},
		{"suspended", serve(t, held), "-s -m web", 11, "Cluster is suspended."},
		{"not in time", slow, "-s -m web -w 1", 90, "A timeout occurred."},
		{"the guard of user space", serve(t, apitest.Status()), "-s -m userw", 201, "userw guards user space"},
	} {
		r := at(t, c.socket, &services{}, append([]string{"clpmonctrl"}, strings.Fields(c.words)...)...)
		if r.code != c.code || !strings.Contains(r.err, c.says) || r.out != "" {
			t.Errorf("%s: %+v, want code %d and %q", c.name, r, c.code, c.says)
		}
	}
}

// TestRegistryCodes: so has clpregctrl.
func TestRegistryCodes(t *testing.T) {
	for answer, code := range map[api.ErrorCode]int{api.Forbidden: 1, api.BadRequest: 3, api.Internal: 10, api.NotReady: 20, api.Refused: 20, api.OutOfTime: 22} {
		socket := apitest.Serve(t, &apitest.Fake{StatusFunc: func(context.Context) (api.Status, error) { return api.Status{}, api.Errorf(answer, "so it is") }})
		if r := at(t, socket, &services{}, "clpregctrl", "--get"); r.code != code {
			t.Errorf("%s: %+v, want %d", answer, r, code)
		}
	}
	if r := at(t, filepath.Join(t.TempDir(), "none.sock"), &services{}, "clpregctrl", "--get"); r.code != 21 {
		t.Errorf("%+v", r)
	}
}
