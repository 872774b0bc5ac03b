package compat

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"shisa/ctl/api"
	"shisa/ctl/api/apitest"
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
		{name: "systemd fails", socket: none, words: "-s", err: errNoUnit, asked: []string{"start shisad.service"}, code: codes[internal], says: "not loaded"},
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

// TestScriptOutput: -o keeps what the script printed.
func TestScriptOutput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if r := at(t, apitest.Serve(t, &apitest.Fake{}), &services{}, "clprexec", "--script", "cleanup", "-o", path); r.code != 0 {
		t.Errorf("%+v", r)
	}
	if got := read(t, path); got != "cleaned\n" {
		t.Errorf("%q", got)
	}
}
