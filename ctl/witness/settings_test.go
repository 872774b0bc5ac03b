package witness

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"shisa/bpf"
	"shisa/bpf/stall"
	"shisa/ctl/api"
	"shisa/ctl/config"
)

func TestLimits(t *testing.T) {
	for timeout, want := range map[time.Duration]stall.Limits{
		90 * time.Second: stall.DefaultLimits,
		9 * time.Second:  {Blocked: 3 * time.Second, Starved: 2250 * time.Millisecond, Hog: 6 * time.Second},
		time.Second:      {Blocked: 2 * time.Second, Starved: time.Second, Hog: 3 * time.Second},
	} {
		if got := Limits(timeout); got != want {
			t.Errorf("%v: got %+v, want %+v", timeout, got, want)
		}
	}
}

func TestSettingsOf(t *testing.T) {
	derived := Limits(9 * time.Second)
	own := derived
	own.Hog = 20 * time.Second
	for name, c := range map[string]struct {
		says config.Witness
		want Settings
	}{
		"nothing said":   {config.Witness{Enabled: true}, Settings{Stall: derived, IO: derived.Blocked}},
		"one limit said": {config.Witness{Enabled: true, Hog: own.Hog}, Settings{Stall: own, IO: own.Blocked}},
		"disk said":      {config.Witness{Enabled: true, Disk: time.Second}, Settings{Stall: derived, IO: time.Second}},
		"some off":       {config.Witness{Enabled: true, Off: []string{"beats"}}, Settings{Stall: derived, IO: derived.Blocked, Off: []string{"beats"}}},
		"all off":        {config.Witness{Off: []string{"beats"}}, Settings{Stall: derived, IO: derived.Blocked, Off: bpf.Witnesses()}},
	} {
		m := config.Model{Witness: c.says, Stall: config.Stall{Timeout: 9 * time.Second}}
		if got := SettingsOf(&m); got.Stall != c.want.Stall || got.IO != c.want.IO || !slices.Equal(got.Off, c.want.Off) {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

// TestNamesOfWitnesses: what the configuration may switch off is what there is.
func TestNamesOfWitnesses(t *testing.T) {
	for _, name := range append(bpf.Witnesses(), "disks") {
		_, problems := config.Parse([]byte("witness.off = [\""+name+"\"]"), "f", "", config.Registry{})
		if known := slices.Contains(bpf.Witnesses(), name); (problems.Err() == nil) != known {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func TestSwitchedOff(t *testing.T) {
	w, h := running(t, Options{Settings: Settings{Off: bpf.Witnesses()}})
	for _, c := range w.Checks() {
		if slices.Contains(bpf.Witnesses(), c.Name) && (c.Level != api.LevelInfo || c.Text != "switched off") {
			t.Errorf("doctor: %+v", c)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.all) != 1 || strings.Count(h.all[0].Text, "switched off") != len(bpf.Witnesses()) {
		t.Errorf("got %+v", h.all)
	}
}

// TestConfigure gives limits that this very machine's work goes beyond, while the
// witnesses are at work, and takes them back.
func TestConfigure(t *testing.T) {
	w, h := running(t, Options{Settings: Settings{Off: []string{bpf.Exits, bpf.BlockIO, bpf.Beats, bpf.Blame}, Interval: 50 * time.Millisecond}})
	var over atomic.Bool
	defer over.Store(true)
	go func() {
		for !over.Load() { // a hog
		}
	}()
	w.Configure(Settings{Interval: 20 * time.Millisecond, Stall: stall.Limits{Hog: time.Millisecond, Starved: time.Millisecond}})
	h.awaitCode(t, "task-stalled")
	w.Configure(Settings{})
	if got := w.current(); got.Interval != time.Second || len(got.Off) != 4 {
		t.Errorf("got %+v", got)
	}
	h.awaitCode(t, "task-goes-on")
}
