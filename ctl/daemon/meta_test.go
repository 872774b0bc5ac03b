package daemon

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/config"
	"shisa/ctl/event"
	"shisa/ctl/monitor"
	"shisa/ctl/monitor/types/message"
	"shisa/ctl/monitor/types/multi"
	"shisa/ctl/monitor/types/stall"
	"shisa/ctl/protect"
)

// meta adds the types that judge the server itself.
func meta(reg config.Registry) config.Registry {
	for _, t := range []monitor.Type{message.Type, multi.Type, stall.Type} {
		reg.Monitors[t.Name] = t
	}
	return reg
}

func (w *world) monitor(name string) api.Monitor {
	w.t.Helper()
	s, err := w.daemon.Status(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range s.Monitors {
		if m.Name == name {
			return m
		}
	}
	w.t.Fatalf("there is no monitor %s", name)
	return api.Monitor{}
}

const twoPeers = `
mode = "protect"
[[group]]
name = "g"
[[resource]]
name = "web"
type = "scripted"
group = "g"
of = "web"
[[monitor]]
name = "a"
type = "scripted"
of = "a"
retry = 1
[[monitor]]
name = "b"
type = "scripted"
of = "b"
[[monitor]]
name = "both"
type = "multi"
monitors = ["a", "b"]
warning_at = "1"
interval = "1h"
[monitor.recovery]
target = "resource/web"
restarts = 1
`

// The monitor of several follows its members at once, counts their retries, and
// recovers on its own account.
func TestMultiFollowsItsMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, twoPeers, nil)
		defer w.end()
		time.Sleep(time.Minute)
		want := func(v api.Verdict, starts int) {
			t.Helper()
			if m := w.monitor("both"); m.Verdict != v || w.look("web").starts != starts {
				t.Errorf("%s (%s), %d starts; want %s, %d", m.Verdict, m.Detail, w.look("web").starts, v, starts)
			}
		}
		want(api.OK, 1)
		w.set("a", func(s *scripted) { s.verdict = monitor.Failed })
		time.Sleep(9 * time.Second)
		want(api.OK, 1) // a retries
		time.Sleep(12 * time.Second)
		want(api.Warning, 1)
		w.set("b", func(s *scripted) { s.hang = true })
		time.Sleep(16 * time.Second)
		want(api.Failed, 2)
		w.set("b", func(s *scripted) { s.hang = false })
		time.Sleep(11 * time.Second)
		want(api.Warning, 2)
		if _, err := w.daemon.Monitor(t.Context(), api.MonitorCommand{Name: "a", Verb: api.SuspendMonitor}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		want(api.OK, 2) // who is suspended does not count
	})
}

const oneAlarm = `
[[monitor]]
name = "alarm"
type = "message"
category = "disk"
[monitor.recovery]
target = "resource/web"
restarts = 2
final_action = "reboot"
`

func notify(t *testing.T, w *world, c api.NotifyCommand) {
	t.Helper()
	if _, err := w.daemon.Notify(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// A message is one failure: it takes recovery one step further, and the next
// message one more, up to the machine; --clear begins anew.
func TestMessageStepsRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, oneService+oneAlarm, nil)
		defer w.end()
		time.Sleep(time.Minute)
		want := func(v api.Verdict, starts int, actions ...string) {
			t.Helper()
			m := w.monitor("alarm")
			if got := w.actions(); m.Verdict != v || w.look("web").starts != starts || fmt.Sprint(got) != fmt.Sprint(actions) {
				t.Errorf("%s (%s), %d starts, %v; want %s, %d, %v", m.Verdict, m.Detail, w.look("web").starts, got, v, starts, actions)
			}
		}
		want(api.OK, 1)
		notify(t, w, api.NotifyCommand{Category: "disk", Keyword: "sdb", Text: "lost a path"})
		time.Sleep(time.Second)
		want(api.Failed, 2)
		time.Sleep(time.Hour)
		want(api.Failed, 2) // once is once
		notify(t, w, api.NotifyCommand{Monitor: "alarm", Clear: true})
		time.Sleep(time.Second)
		want(api.OK, 2)
		for range 2 {
			notify(t, w, api.NotifyCommand{Monitor: "alarm"})
			time.Sleep(10 * time.Minute)
		}
		want(api.Failed, 4)
		notify(t, w, api.NotifyCommand{Category: "disk"})
		time.Sleep(10 * time.Minute)
		want(api.Failed, 4, "reboot")
	})
}

// A message that arrives while its target is between two states is not lost:
// recovery takes its step when the target has come to rest.
func TestMessageWhileTargetMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, oneService+oneAlarm, nil)
		defer w.end()
		time.Sleep(time.Minute)
		w.set("web", func(s *scripted) { s.slow = time.Minute })
		go w.daemon.Group(t.Context(), api.UnitCommand{Name: "g", Verb: api.StopUnit})
		time.Sleep(time.Second)
		go w.daemon.Group(t.Context(), api.UnitCommand{Name: "g", Verb: api.StartUnit})
		time.Sleep(time.Second)
		notify(t, w, api.NotifyCommand{Category: "disk"})
		time.Sleep(10 * time.Minute)
		if s := w.look("web"); s.starts != 3 {
			t.Errorf("%d starts; want the operator's and one of recovery", s.starts)
		}
	})
}

// Fix 69 of the original: while the service was stopping, an error of the
// message monitor could be found.
func TestFix069NoErrorWhileStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, oneService+oneAlarm, nil)
		time.Sleep(time.Minute)
		w.set("web", func(s *scripted) { s.slow = time.Minute })
		w.daemon.StopService(t.Context(), "test", "test", "")
		for range 5 {
			time.Sleep(5 * time.Second)
			_, _ = w.daemon.Notify(t.Context(), api.NotifyCommand{Category: "disk"}) // refused or not
		}
		if err := <-w.done; err != nil {
			t.Error(err)
		}
		found, err := w.store.Query(t.Context(), event.Query{Codes: []string{event.MonitorFailed.Code, event.RecoveryRestart.Code}})
		if err != nil || len(found) > 0 {
			t.Errorf("%v, %v", found, err)
		}
		if err := w.store.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Messages that nobody takes, and malformed ones, are refused, and what came
// while the monitor was suspended is nothing that it failed for.
func TestMessageRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, oneService+oneAlarm, nil)
		defer w.end()
		time.Sleep(time.Minute)
		for want, c := range map[api.ErrorCode]api.NotifyCommand{
			api.NotFound: {Category: "network"}, api.BadRequest: {Keyword: "sdb"}, api.TooLarge: {Category: "disk", Keyword: strings.Repeat("k", monitor.KeywordLimit+1)},
		} {
			_, err := w.daemon.Notify(t.Context(), c)
			if api.CodeOf(err) != want {
				t.Errorf("%.40v: %v, want %s", c, err, want)
			}
		}
		_, err := w.daemon.Notify(t.Context(), api.NotifyCommand{Category: "disk", Text: "two\nlines"})
		if e := (*api.Error)(nil); !errors.As(err, &e) || e.Code != api.BadRequest {
			t.Errorf("two lines: %v", err)
		}
		hold := api.MonitorCommand{Name: "alarm", Verb: api.SuspendMonitor}
		if _, err := w.daemon.Monitor(t.Context(), hold); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r, err := w.daemon.Notify(t.Context(), api.NotifyCommand{Category: "disk"})
		if err != nil || !strings.Contains(r.Text, "not probing at present: alarm") {
			t.Errorf("got %q, %v", r.Text, err)
		}
		hold.Verb = api.ResumeMonitor
		if _, err := w.daemon.Monitor(t.Context(), hold); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if m := w.monitor("alarm"); m.Verdict != api.OK {
			t.Errorf("%s: %s", m.Verdict, m.Detail)
		}
	})
}

// A flood of messages takes bounded memory and delays nobody: with it, with 100
// probes that hang and with monitors that count them, another failure is found
// and mended within its interval.
func TestMetaMonitorsDelayNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := oneService + oneAlarm
		names := ""
		for i := range 100 {
			text += fmt.Sprintf("[[monitor]]\nname = \"hung%d\"\ntype = \"scripted\"\nof = \"hung%d\"\ninterval = \"10s\"\ntimeout = \"9s\"\n", i, i)
			names += fmt.Sprintf("%q,", fmt.Sprintf("hung%d", i))
		}
		for i := range 100 {
			text += fmt.Sprintf("[[monitor]]\nname = \"multi%d\"\ntype = \"multi\"\nmonitors = [%s]\n", i, names)
			text += fmt.Sprintf("[[monitor]]\nname = \"alarm%d\"\ntype = \"message\"\ncategory = \"disk\"\n", i)
		}
		text += "[[monitor]]\nname = \"userw\"\ntype = \"stall\"\n"
		w := begin(t, text, func(w *world) {
			for i := range 100 {
				w.target(fmt.Sprintf("hung%d", i)).hang = true
			}
		})
		defer w.end()
		time.Sleep(time.Minute)
		if m := w.monitor("multi7"); m.Verdict != api.Failed || !strings.HasPrefix(m.Detail, "100 of 100") {
			t.Errorf("multi7 is %s: %s", m.Verdict, m.Detail)
		}
		for range 1000 {
			notify(t, w, api.NotifyCommand{Monitor: "alarm9"})
		}
		if kept := len(address{&w.daemon.mail, "alarm9"}.Since(0)); kept != mailKept {
			t.Errorf("%d messages are kept", kept)
		}
		w.set("web", func(s *scripted) { s.verdict = monitor.Failed })
		time.Sleep(11 * time.Second)
		if s := w.look("web"); s.starts != 2 {
			t.Errorf("%d starts, want 2 within one interval", s.starts)
		}
		w.checkBeats(2 * time.Second)
	})
}

// Fixes 61, 124 and 128 of the original: a probe that timed out was not retried,
// or did not count. A probe that keeps its deadline and says so with an error
// has timed out like one that never returns.
func TestFix061TimeoutCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, oneService, nil)
		defer w.end()
		time.Sleep(time.Minute)
		w.set("web", func(s *scripted) { s.hang = true })
		time.Sleep(16 * time.Second)
		if m := w.monitor("web"); w.look("web").starts != 2 {
			t.Errorf("%d starts after a probe that timed out: %s, %s", w.look("web").starts, m.Verdict, m.Detail)
		}
	})
}

// Fix 12 of the original: the monitor of user space could not start without the
// guard of shutdowns. It depends on nothing but the stall protection itself.
func TestFix012StallNeedsNothingElse(t *testing.T) {
	for _, other := range []string{"[shutdown]\nwatch = \"never\"\n", "[keepalive]\nmethod = \"none\"\nbackstop = \"none\"\n", "[limiter]\nenabled = false\n", "[stall]\nopen_file = true\n"} {
		synctest.Test(t, func(t *testing.T) {
			view := protect.View{Stall: api.Stall{Enabled: true, Beats: []api.Beat{{Name: "scheduler", LimitMS: api.Millis(time.Minute)}}}}
			w := begin(t, other+"[[monitor]]\nname = \"userw\"\ntype = \"stall\"\n", func(w *world) { w.view = view })
			defer w.end()
			time.Sleep(time.Minute)
			if m := w.monitor("userw"); m.Verdict != api.OK {
				t.Errorf("%s: %s, %s", other, m.Verdict, m.Detail)
			}
		})
	}
}

// The stall protection shows as a monitor.
func TestStallShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view := protect.View{Stall: api.Stall{Enabled: true, TimeoutMS: api.Millis(90 * time.Second), WarnPercent: 80,
			Beats: []api.Beat{{Name: "scheduler", AgeMS: api.Millis(80 * time.Second), LimitMS: api.Millis(90 * time.Second)}}}}
		w := begin(t, oneService+"[[monitor]]\nname = \"userw\"\ntype = \"stall\"\n", func(w *world) { w.view = view })
		defer w.end()
		time.Sleep(time.Minute)
		if m := w.monitor("userw"); m.Verdict != api.Warning || m.Alias != "userw" || !strings.Contains(m.Detail, "scheduler is late: 1m20s of 1m30s") {
			t.Errorf("%+v", m)
		}
	})
}
