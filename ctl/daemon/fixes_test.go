package daemon

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/event"
)

// TestFix026StopWithEveryOption: the service stops cleanly whatever is set,
// and what is logged late does no harm.
func TestFix026StopWithEveryOption(t *testing.T) {
	for _, limiter := range []string{"", "[limiter]\nmax = 1\n", "[limiter]\nenabled = false\n", "[limiter]\ncalm = \"0s\"\n"} {
		synctest.Test(t, func(t *testing.T) {
			w := begin(t, strings.Replace(oneService, "[[group]]", limiter+"[[group]]", 1), nil)
			time.Sleep(time.Minute)
			w.daemon.StopService(t.Context(), "test", "test", "")
			if err := <-w.done; err != nil {
				t.Errorf("%q: %v", limiter, err)
			}
			w.daemon.emit(event.ServiceStopping.New("", "reason", "after the end"))
			if s := w.look("web"); s.running {
				t.Errorf("%q: the resource still runs", limiter)
			}
			if l := w.store.State().Current.Leaving; l == nil || l.Phase != "done" {
				t.Errorf("%q: the end is not recorded: %+v", limiter, l)
			}
			if err := w.store.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestFix036RefusedRequestsLeakNothing: requests that come while a group is in
// transition leave nothing behind.
func TestFix036RefusedRequestsLeakNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, oneService, nil)
		defer w.end()
		time.Sleep(time.Minute)
		before := runtime.NumGoroutine()
		for range 1000 {
			_, err := w.daemon.Group(t.Context(), api.UnitCommand{Name: "nosuch", Verb: api.StopUnit})
			var refused *api.Error
			if !errors.As(err, &refused) || refused.Code != api.NotFound {
				t.Fatalf("stop of an unknown group: %v", err)
			}
			for _, verb := range []api.UnitVerb{api.StopUnit, api.StartUnit} {
				if _, err := w.daemon.Group(t.Context(), api.UnitCommand{Name: "g", Verb: verb, NoWait: true}); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if after := runtime.NumGoroutine(); after > before {
			t.Errorf("%d goroutines, %d before", after, before)
		}
		if s := w.look("web"); !s.running {
			t.Error("the group is not up again after the last request")
		}
	})
}

// TestEnhancement037ShutdownConditions: which shutdowns are guarded is
// configurable.
func TestEnhancement037ShutdownConditions(t *testing.T) {
	for _, tt := range []struct {
		watch     string
		stopFails bool
		want      int
	}{{"always", false, 1}, {"always", true, 1}, {"on_failure", false, 0}, {"on_failure", true, 1}, {"never", false, 0}, {"never", true, 0}} {
		synctest.Test(t, func(t *testing.T) {
			w := begin(t, strings.Replace(oneService, "[[group]]", "[shutdown]\nwatch = \""+tt.watch+"\"\n[[group]]", 1), func(w *world) {
				if tt.stopFails {
					w.target("web").stopErr = errors.New("scripted")
				}
			})
			defer w.end()
			time.Sleep(time.Minute)
			if _, err := w.daemon.Shutdown(t.Context(), api.ShutdownCommand{How: api.Reboot, Reason: "test"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute)
			if w.guarded != tt.want {
				t.Errorf("watch %s, stop fails %v: guarded %d times, want %d", tt.watch, tt.stopFails, w.guarded, tt.want)
			}
			if got := w.actions(); len(got) != 1 || got[0] != "reboot" {
				t.Errorf("watch %s: did %v, want a reboot", tt.watch, got)
			}
		})
	}
}
