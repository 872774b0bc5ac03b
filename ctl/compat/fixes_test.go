package compat

import (
	"bytes"
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"shisa/ctl/api"
	"shisa/ctl/api/apitest"
	"shisa/ctl/client"
)

// TestFix030LongNames: names of the greatest length that the original had, 31
// bytes, are shown whole, and the columns hold.
func TestFix030LongNames(t *testing.T) {
	long := strings.Repeat("n", 31)
	s := apitest.Status()
	s.Server = long
	s.Groups = []api.Group{{Name: long, State: api.Started, Resources: []api.Resource{{Name: long, State: api.Started}}}}
	s.Monitors = []api.Monitor{{Name: long, State: api.MonitorProbing, Verdict: api.OK}}
	out := at(t, serve(t, s), &services{}, "clpstat", "--long").out
	whole := 0
	for line := range strings.Lines(out) {
		if at := strings.Index(line, long); at >= 0 && strings.Contains(line, ": Online") || strings.Contains(line, ": Normal ") && at >= 0 {
			whole++
			if colon := strings.Index(line, ": "); colon != 38 {
				t.Errorf("the status begins in column %d: %q", colon+2, line)
			}
		}
	}
	if whole != 4 {
		t.Errorf("%d of 4 names are whole:\n%s", whole, out)
	}
}

// TestFix080LateAnswers: an answer that comes too late is nobody's; the next
// request gets its own.
func TestFix080LateAnswers(t *testing.T) {
	var calls atomic.Int32
	arrived, release := make(chan struct{}), make(chan struct{})
	socket := apitest.Serve(t, &apitest.Fake{StatusFunc: func(context.Context) (api.Status, error) {
		s := apitest.Status()
		if calls.Add(1) == 1 {
			close(arrived)
			<-release
			s.Server = "late"
		}
		return s, nil
	}})
	c := client.New(socket)
	defer c.Close()
	show := func(ctx context.Context) (int, string, string) {
		var out, errOut bytes.Buffer
		code := run(call{ctx: ctx, client: c, units: &services{}, out: &out, err: &errOut}, "clpstat", nil)
		return code, out.String(), errOut.String()
	}
	ctx, giveUp := context.WithCancel(t.Context())
	go func() {
		<-arrived
		giveUp()
	}()
	if code, out, errOut := show(ctx); code != codes[unsuccessful] || out != "" || !strings.HasPrefix(errOut, "Interrupted.") {
		t.Errorf("without an answer: code %d, %q, %q", code, out, errOut)
	}
	close(release)
	if code, out, _ := show(t.Context()); code != 0 || !strings.Contains(out, "Cluster : shop1\n") {
		t.Errorf("after a late answer: code %d, %q", code, out)
	}
}

// TestFix084AnyLocale: the language of whoever calls changes nothing.
func TestFix084AnyLocale(t *testing.T) {
	socket := serve(t, longNames())
	want := at(t, socket, &services{}, "clpstat")
	for _, lang := range []string{"", "C", "ja_JP.eucJP", "zh_CN.GB2312", "tr_TR.UTF-8", "nonsense"} {
		t.Setenv("LANG", lang)
		t.Setenv("LC_ALL", lang)
		if got := at(t, socket, &services{}, "clpstat"); got != want {
			t.Errorf("LANG=%s: %+v", lang, got)
		}
		if r := at(t, socket, &services{}, "clpgrp", "-s", "nosuch"); r.err != "Specify a valid group name in the cluster.\n" {
			t.Errorf("LANG=%s: %q", lang, r.err)
		}
	}
}
