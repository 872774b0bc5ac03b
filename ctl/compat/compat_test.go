package compat

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/api/apitest"
	"shisa/ctl/client"
)

func TestMain(m *testing.M) {
	time.Local = time.UTC
	os.Exit(m.Run())
}

// services is a fake systemd that notes what it is asked.
type services struct {
	absent bool
	err    error
	asked  []string
}

func (s *services) Present() bool { return !s.absent }

func (s *services) Do(_ context.Context, verb, unit string, _ bool) error {
	s.asked = append(s.asked, verb+" "+unit)
	return s.err
}

// A result is how a command ended.
type result struct {
	code     int
	out, err string
}

// call runs words, of which the first is the command, against the daemon at
// socket.
func at(t *testing.T, socket string, u units, words ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	c := client.New(socket)
	defer c.Close()
	code := run(call{ctx: t.Context(), client: c, units: u, out: &out, err: &errOut}, words[0], words[1:])
	return result{code, out.String(), errOut.String()}
}

// golden compares got with testdata/name; UPDATE=1 writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

func TestNames(t *testing.T) {
	names := Names()
	if !slices.IsSorted(names) || len(names) != 14 {
		t.Errorf("%d names: %v", len(names), names)
	}
	twins := Twins()
	for _, n := range names {
		if !Answers("/usr/sbin/"+n) || twins[n] == "" {
			t.Errorf("%s: answers %v, twin %q", n, Answers(n), twins[n])
		}
	}
	for _, other := range []string{"shisa", "", "/", "clpstat/x", "clp"} {
		if Answers(other) {
			t.Errorf("answers to %q", other)
		}
	}
}

// TestUnknownOptions: whatever the command, an unknown option, a repeated one, a
// missing value and a word too many give the usage and an exit code that is not
// zero, and nothing is asked of the daemon.
func TestUnknownOptions(t *testing.T) {
	for _, c := range commands() {
		for _, args := range [][]string{{"--nosuch"}, {"-Z"}, {"word", "more", "than", "wanted"}, {"-h"}, {"-h", "a", "-h", "b"}, {"--nosuch=x"}} {
			r := at(t, "/nonexistent", &services{}, append([]string{c.name}, args...)...)
			if r.code == 0 || !strings.HasPrefix(r.err, "Invalid option.") || !strings.Contains(r.err, "Usage: "+c.name) || r.out != "" {
				t.Errorf("%s %v: code %d, %q", c.name, args, r.code, r.err)
			}
		}
	}
}

// TestNoDaemon: each command says so, and does not succeed.
func TestNoDaemon(t *testing.T) {
	for _, words := range everyCommand {
		if words[0] == "clpcl" {
			continue // which may start it
		}
		r := at(t, filepath.Join(t.TempDir(), "none.sock"), &services{}, words...)
		if r.code == 0 || !strings.HasPrefix(r.err, "Could not connect to the server.") {
			t.Errorf("%v: code %d, %q", words, r.code, r.err)
		}
	}
}

// everyCommand is each command with options that succeed on the sample server.
var everyCommand = [][]string{
	{"clpstat"}, {"clpstat", "-g"}, {"clpcl", "--suspend"}, {"clpgrp", "-s", "shop"}, {"clpgrp", "-t"}, {"clprsc", "-t", "web", "-f"},
	{"clpmonctrl", "-s", "-m", "web"}, {"clpmonctrl", "-c", "-m", "db"}, {"clprexec", "--script", "cleanup"}, {"clprexec", "--failover", "shop"},
	{"clptrnreq", "-t", "EXEC_SCRIPT", "-h", "127.0.0.1", "-s", "cleanup"}, {"clptoratio", "-r", "3", "-t", "2h"}, {"clptoratio", "-i"},
	{"clpregctrl", "--get"}, {"clplogcmd", "-m", "hello", "-l", "warn", "--syslog"}, {"clpcpufreq", "--high"},
}

func TestEachSucceeds(t *testing.T) {
	socket := apitest.Serve(t, &apitest.Fake{})
	for _, words := range everyCommand {
		if r := at(t, socket, &services{}, words...); r.code != 0 || r.out == "" {
			t.Errorf("%v: %+v", words, r)
		}
	}
}

// TestForbidden: who is not root is told to become it, whatever the command.
func TestForbidden(t *testing.T) {
	socket := apitest.Serve(t, &apitest.Fake{StatusFunc: func(context.Context) (api.Status, error) {
		return api.Status{}, api.Errorf(api.Forbidden, "only root may talk to shisad")
	}})
	for _, words := range [][]string{{"clpstat"}, {"clpgrp", "-s"}, {"clpregctrl", "--get"}} {
		if r := at(t, socket, &services{}, words...); r.code != 1 || r.err != "Log in as root.\n" {
			t.Errorf("%v: %+v", words, r)
		}
	}
}

// TestFix024EveryErrorCounts: whatever the daemon answers, a command says it and
// does not end with zero.
func TestFix024EveryErrorCounts(t *testing.T) {
	for _, code := range []api.ErrorCode{api.BadRequest, api.Forbidden, api.NotFound, api.Conflict, api.Refused, api.TooLarge, api.Busy, api.NotReady, api.OutOfTime, api.Internal} {
		bad := api.Errorf(code, "the reason")
		socket := apitest.Serve(t, &apitest.Fake{
			MonitorFunc:  func(context.Context, api.MonitorCommand) (api.Result, error) { return api.Result{}, bad },
			GroupFunc:    func(context.Context, api.UnitCommand) (api.Result, error) { return api.Result{}, bad },
			ResourceFunc: func(context.Context, api.UnitCommand) (api.Result, error) { return api.Result{}, bad },
		})
		for _, words := range [][]string{{"clpmonctrl", "-s", "-m", "web"}, {"clpgrp", "-s", "shop"}, {"clprsc", "-t", "web"}} {
			r := at(t, socket, &services{}, words...)
			if r.code == 0 || r.err == "" || strings.Contains(r.out, "succeeded") {
				t.Errorf("%s: %v: %+v", code, words, r)
			}
		}
	}
}

// TestFix119NeverInternal: a resource that does not stop is no internal error.
func TestFix119NeverInternal(t *testing.T) {
	socket := apitest.Serve(t, &apitest.Fake{ResourceFunc: func(context.Context, api.UnitCommand) (api.Result, error) {
		return api.Result{}, api.Errorf(api.Conflict, "resource web is stop-failed: exit status 1").Try("shisa why web")
	}})
	r := at(t, socket, &services{}, "clprsc", "-t", "web")
	want := "Resource web could not be stopped: resource web is stop-failed: exit status 1 (shisa why web)\n"
	if r.code != codes[unsuccessful] || r.err != want {
		t.Errorf("code %d, %q", r.code, r.err)
	}
}

// TestFix005RequestsByName: each request of clprexec is recorded under its own
// name.
func TestFix005RequestsByName(t *testing.T) {
	var reasons []string
	socket := apitest.Serve(t, &apitest.Fake{GroupFunc: func(_ context.Context, c api.UnitCommand) (api.Result, error) {
		reasons = append(reasons, string(c.Verb)+" "+c.Name+": "+c.Reason)
		return api.Result{}, nil
	}})
	for _, words := range [][]string{{"clprexec", "--failover", "-r", "web"}, {"clptrnreq", "-t", "GRP_FAILOVER", "-h", "shop1", "-r", "web"}} {
		if r := at(t, socket, &services{}, words...); r.code != 0 {
			t.Errorf("%v: %+v", words, r)
		}
	}
	want := []string{"stop shop: clprexec failover request", "start shop: clprexec failover request",
		"stop shop: clptrnreq failover request", "start shop: clptrnreq failover request"}
	if !slices.Equal(reasons, want) {
		t.Errorf("%q", reasons)
	}
}

// TestFix038FullNames: a server is found by short and full name, whatever the
// case, and by address.
func TestFix038FullNames(t *testing.T) {
	socket := apitest.Serve(t, &apitest.Fake{})
	for host, want := range map[string]int{"shop1": 0, "SHOP1": 0, "shop1.example.com": 0, "shop1.example.com.": 0, "127.0.0.1": 0, "::1": 0, "localhost": 0,
		"shop2": 202, "shop2.example.com": 202, "192.0.2.1": 202, "": 2} {
		if r := at(t, socket, &services{}, "clprexec", "--script", "cleanup", "-h", host); r.code != want {
			t.Errorf("%q: %+v", host, r)
		}
	}
	for _, c := range []struct {
		a, b string
		want bool
	}{{"a.x", "a.x", true}, {"a.x", "a.y", false}, {"a", "a.y", true}, {"1.2.3.4", "1.9.9.9", false}, {"", "", false}} {
		if got := sameHost(c.a, c.b); got != c.want {
			t.Errorf("sameHost(%q, %q) = %v", c.a, c.b, got)
		}
	}
}

func TestTimeout(t *testing.T) {
	socket := apitest.Serve(t, &apitest.Fake{GroupFunc: func(ctx context.Context, _ api.UnitCommand) (api.Result, error) {
		<-ctx.Done()
		return api.Result{}, ctx.Err()
	}})
	if r := at(t, socket, &services{}, "clpgrp", "-s", "shop", "--apito", "1"); r.code != codes[timeout] || !strings.HasPrefix(r.err, "A timeout occurred.") {
		t.Errorf("%+v", r)
	}
	for _, bad := range []string{"0", "10000", "x", "-1", ""} {
		if r := at(t, socket, &services{}, "clpgrp", "-s", "shop", "--apito", bad); r.code != codes[badOption] {
			t.Errorf("--apito %q: %+v", bad, r)
		}
	}
}

var errNoUnit = errors.New("start shisad.service: Unit shisad.service not loaded")

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// FuzzParse: whatever the words, each option is known, or the command line is
// refused.
func FuzzParse(f *testing.F) {
	f.Add("clpstat", "--long\x00-h\x00server1")
	f.Add("clpgrp", "-s\x00--apito=30\x00-f")
	f.Add("clprexec", "--notice\x00-k\x00a.b")
	f.Fuzz(func(t *testing.T, name, words string) {
		i := slices.IndexFunc(commands(), func(c command) bool { return c.name == name })
		if i < 0 {
			return
		}
		c := commands()[i]
		options := slices.Concat(c.options, c.cluster)
		g, err := parse(strings.Split(words, "\x00"), options)
		if err != nil {
			return
		}
		for key, values := range g {
			known := slices.ContainsFunc(options, func(o option) bool { return o.key() == key })
			if !known || len(values) > 1 || len(values) == 1 && values[0] == "" {
				t.Errorf("%q: %q = %q", words, key, values)
			}
		}
	})
}
