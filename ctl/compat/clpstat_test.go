package compat

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/api/apitest"
)

// longNames is a server as published output of the original shows one, with
// names up to and beyond what fits.
func longNames() api.Status {
	s := apitest.Status()
	s.Server = "server1"
	s.Groups = []api.Group{
		{Name: "container-recovery", State: api.Started, Resources: []api.Resource{{Name: "exec", State: api.Started}}},
		{Name: "failover", State: api.Stopped, Comment: "Group for\nMariaDB", Resources: []api.Resource{
			{Name: "exec-mariadb", State: api.Stopped}, {Name: "a-resource-with-a-very-long-name", State: api.StopFailed}}},
		{Name: "sixteen-letters-", State: api.Starting, Resources: []api.Resource{}},
		{Name: "fifteen-letters", State: api.StartFailed, Resources: []api.Resource{{Name: "web", State: api.StartFailed, Comment: "Webサーバ"}}},
	}
	m := func(name string, state api.MonitorState, v api.Verdict, n api.Counters) api.Monitor {
		return api.Monitor{Name: name, Type: "process", Alias: "psw", State: state, Verdict: v, Counters: n}
	}
	s.Monitors = []api.Monitor{
		m("normal", api.MonitorProbing, api.OK, api.Counters{}),
		m("tolerated", api.MonitorProbing, api.Failed, api.Counters{Failures: 2, Retry: 2}),
		m("failed", api.MonitorProbing, api.Failed, api.Counters{Failures: 3, Retry: 2}),
		m("restarted", api.MonitorProbing, api.TimedOut, api.Counters{Failures: 1, Retry: 2, Restarts: 1}),
		m("warns", api.MonitorProbing, api.Warning, api.Counters{}),
		m("blind", api.MonitorProbing, api.CouldNotLook, api.Counters{}),
		m("suspended", api.MonitorSuspended, api.OK, api.Counters{}),
		m("inactive", api.MonitorInactive, api.NotYet, api.Counters{}),
		m("first", api.MonitorWaiting, api.NotYet, api.Counters{}),
		m("broken", api.MonitorBroken, api.NotYet, api.Counters{}),
		m("a-monitor-with-a-very-long-name", api.MonitorProbing, api.OK, api.Counters{}),
	}
	return s
}

func serve(t *testing.T, s api.Status) string {
	return apitest.Serve(t, &apitest.Fake{StatusFunc: func(context.Context) (api.Status, error) { return s, nil }})
}

// The layouts, each as it is printed. Trailing blanks are part of them.
func TestStat(t *testing.T) {
	good, long, empty, troubled := serve(t, apitest.Status()), serve(t, longNames()), serve(t, apitest.Empty()), serve(t, apitest.Troubled())
	for name, c := range map[string]struct {
		socket string
		words  []string
	}{
		"stat":          {good, []string{"clpstat"}},
		"stat_local":    {good, []string{"clpstat", "--local"}},
		"stat_long":     {long, []string{"clpstat", "--long"}},
		"stat_states":   {long, []string{"clpstat", "-s", "-h", "server1"}},
		"stat_empty":    {empty, []string{"clpstat"}},
		"stat_troubled": {troubled, []string{"clpstat", "-s"}},
		"stat_groups":   {long, []string{"clpstat", "-g"}},
		"stat_monitors": {long, []string{"clpstat", "-m"}},
		"stat_hb":       {good, []string{"clpstat", "-n"}},
		"monctrl_v":     {troubled, []string{"clpmonctrl", "-v"}},
		"regctrl_get":   {troubled, []string{"clpregctrl", "--get"}},
		"rsc_v":         {troubled, []string{"clprsc", "-v", "web"}},
	} {
		r := at(t, c.socket, &services{}, c.words...)
		if r.code != 0 || r.err != "" {
			t.Errorf("%v: %+v", c.words, r)
		}
		golden(t, name+".txt", r.out)
	}
}

// TestStatAsParsed cuts the list of states as scripts in the field do.
func TestStatAsParsed(t *testing.T) {
	out := at(t, serve(t, longNames()), &services{}, "clpstat", "--long").out
	field := func(line string, n int) string { return strings.Fields(line)[n-1] }
	for line := range strings.Lines(out) {
		// clpstat --long | grep "*$(hostname)" | awk '{print $3}'
		if strings.Contains(line, "*server1") && field(line, 3) != "Online" {
			t.Errorf("a container's entry point finds %q", field(line, 3))
		}
	}
	groups := regexp.MustCompile(`(?m)^\s{4}(\S.*?)\s\.*: `).FindAllStringSubmatch(at(t, serve(t, longNames()), &services{}, "clpstat", "--local").out, -1)
	var names []string
	for _, g := range groups {
		names = append(names, g[1])
	}
	if !strings.HasPrefix(strings.Join(names, " "), "container-recove failover sixteen-letters- fifteen-letters") {
		t.Errorf("an SNMP extension finds %q", names)
	}
	monitors := at(t, serve(t, longNames()), &services{}, "clpmonctrl", "-v").out
	names = nil
	for line := range strings.Lines(monitors) { // clpmonctrl -v|grep Resource|awk '{print $3}'
		if strings.Contains(line, "Resource") {
			names = append(names, field(line, 3))
		}
	}
	if len(names) != 11 || names[0] != "normal" {
		t.Errorf("an exporter finds %q", names)
	}
}

// TestFix077Quick: many lists of states, none of which waits for anything: the
// original's sometimes took ten seconds.
func TestFix077Quick(t *testing.T) {
	socket := serve(t, apitest.Status())
	worst := time.Duration(0)
	for range 300 {
		start := time.Now()
		if r := at(t, socket, &services{}, "clpstat"); r.code != 0 {
			t.Fatalf("%+v", r)
		}
		worst = max(worst, time.Since(start))
	}
	if worst > 10*time.Second {
		t.Errorf("the slowest took %v", worst)
	}
}

// TestFix090Columns: each count stands beside its own maximum.
func TestFix090Columns(t *testing.T) {
	s := apitest.Status()
	s.Monitors[0].Counters = api.Counters{Scripts: 1, MaxScript: 2, Restarts: 3, MaxRestart: 4, Exhausted: true}
	out := at(t, serve(t, s), &services{}, "clpmonctrl", "-v", "-m", "web").out
	for _, want := range []string{"Script Count       : 1/2", "Restart Count      : 3/4", "Failover Count     : 0/0", "FinalAction Count  : 1/1"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing:\n%s", want, out)
		}
	}
}

func TestStatRefuses(t *testing.T) {
	socket := serve(t, apitest.Status())
	for _, c := range []struct {
		words []string
		code  int
	}{
		{[]string{"clpstat", "-g", "-m"}, codes[badOption]},
		{[]string{"clpstat", "--np"}, codes[notOne]},
		{[]string{"clpstat", "-h", "elsewhere"}, codes[badServer]},
		{[]string{"clpstat", "--mon", "nosuch"}, codes[noName]},
	} {
		if r := at(t, socket, &services{}, c.words...); r.code != c.code || r.err == "" {
			t.Errorf("%v: %+v, want code %d", c.words, r, c.code)
		}
	}
}
