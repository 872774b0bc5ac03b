package daemon

import (
	"testing"
	"testing/synctest"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/decide"
)

// TestAllMonitors: a dummy failure of all monitors leads to recovery of all,
// and ends for all; what cannot be asked of all is refused.
func TestAllMonitors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, oneService, nil)
		defer w.end()
		time.Sleep(time.Minute)
		ask := func(verb api.MonitorVerb) error {
			_, err := w.daemon.Monitor(t.Context(), api.MonitorCommand{Name: "*", Verb: verb})
			time.Sleep(time.Second)
			return err
		}
		if err := ask(api.FailMonitor); err != nil {
			t.Fatal(err)
		}
		if s := w.look("web"); s.stops != 1 || s.starts != 2 {
			t.Errorf("a dummy failure of all: %d stops, %d starts", s.stops, s.starts)
		}
		if m := w.monitor("web"); m.Verdict != api.Failed || m.Detail != decide.DummyDetail {
			t.Errorf("a monitor with a dummy failure shows %s: %s", m.Verdict, m.Detail)
		}
		if err := ask(api.UnfailMonitor); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if m := w.monitor("web"); m.Verdict != api.OK {
			t.Errorf("after its end it shows %s: %s", m.Verdict, m.Detail)
		}
		if s := w.look("web"); s.stops != 1 {
			t.Errorf("after its end: %d stops", s.stops)
		}
		if err := ask(api.ResetMonitor); err != nil {
			t.Error(err)
		}
		if err := ask(api.TestMonitor); api.CodeOf(err) != api.BadRequest {
			t.Errorf("testing all: %v", err)
		}
	})
}
