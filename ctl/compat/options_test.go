package compat

import (
	"slices"
	"strings"
	"testing"

	"shisa/ctl/api/apitest"
)

// TestUsageIsWhole: the usage of each command has each of its options, and no
// other: it is what says which of them go together.
func TestUsageIsWhole(t *testing.T) {
	for _, c := range commands() {
		var shown []string
		for _, words := range c.forms() {
			for _, w := range words {
				if strings.HasPrefix(w, "-") {
					shown = append(shown, w)
				}
			}
		}
		var known []string
		for _, o := range c.options {
			known = append(known, o.key())
		}
		slices.Sort(shown)
		slices.Sort(known)
		if shown = slices.Compact(shown); !slices.Equal(shown, known) {
			t.Errorf("%s: the usage has %v, known are %v", c.name, shown, known)
		}
		for _, o := range c.cluster {
			if slices.Contains(known, o.key()) {
				t.Errorf("%s: %s is for clusters alone, and for one server", c.name, o.key())
			}
		}
	}
}

// TestOptionsApart: options of different forms are refused together; nothing is
// asked of the daemon, of which there is none.
func TestOptionsApart(t *testing.T) {
	for _, words := range []string{
		"clpstat -g -m", "clpstat -m --long", "clpstat -s --detail", "clpstat --local --mon web", "clpstat --mon web --rsc web",
		"clpcl -s -t", "clpcl --suspend --web", "clpcl --resume --force", "clpcl -t --force", "clpcl --suspend --resume",
		"clpgrp -s shop -t shop", "clpgrp -n shop -f", "clprsc -s web -t web", "clprsc -v web -f",
		"clpmonctrl -s -r", "clpmonctrl -c -v", "clpcfctrl --push --pull -x d", "clpcfctrl -l -w --push -x d", "clpcfctrl --pull -x d --force",
		"clprexec --script s -r web", "clprexec --script s --failover g", "clprexec --failover g -k c", "clprexec --notice m --clear m",
		"clptrnreq -t EXEC_SCRIPT -h h -s s -r web", "clptoratio -s -i", "clptoratio -i -t 1h", "clptoratio -r 2 -s",
		"clpregctrl --get -t rc", "clpregctrl --get --clear", "clpcpufreq --high --low",
	} {
		args := strings.Fields(words)
		r := at(t, "/nonexistent", &services{}, args...)
		want := codes[badOption]
		if args[0] == "clpregctrl" {
			want = 3
		}
		if r.code != want || !strings.Contains(r.err, "exclude each other") || !strings.Contains(r.err, "Usage: "+args[0]) {
			t.Errorf("%s: %+v", words, r)
		}
	}
}

// TestEmptyValues: a variable that a script never set is no name, least of all
// that of everything.
func TestEmptyValues(t *testing.T) {
	socket := apitest.Serve(t, &apitest.Fake{})
	for _, words := range [][]string{
		{"clpgrp", "-s", ""}, {"clpgrp", "-t", ""}, {"clpgrp", "-n", ""}, {"clprsc", "-t", ""}, {"clpmonctrl", "-s", "-m", ""}, {"clpstat", "--mon="},
		{"clprexec", "--failover", ""}, {"clplogcmd", "-m", ""}, {"clpstat", "-h", ""}, {"clpstat", ""}, {"clptoratio", "-r", "2", "-t", ""},
	} {
		if r := at(t, socket, &services{}, words...); r.code != codes[badOption] || !strings.HasPrefix(r.err, "Invalid option.") || r.out != "" {
			t.Errorf("%q: %+v", words, r)
		}
	}
}

// TestOtherServers: what needs a second server is refused whatever else is
// asked, and never done on this one.
func TestOtherServers(t *testing.T) {
	for _, words := range []string{"clpgrp -m", "clpgrp -m shop -a server2", "clpgrp -l shop", "clpgrp -s shop -a server2",
		"clpstat -p", "clpstat -f", "clpstat --np np1 --detail", "clpstat --fnc", "clpstat --svg", "clpstat --xcl"} {
		r := at(t, "/nonexistent", &services{}, strings.Fields(words)...)
		if r.code != codes[notOne] || !strings.HasPrefix(r.err, "Not possible on a single server.") {
			t.Errorf("%s: %+v", words, r)
		}
	}
}
