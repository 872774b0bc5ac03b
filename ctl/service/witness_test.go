package service

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shisa/bpf/flight"
	"shisa/bpf/timeline"
	"shisa/ctl/daemon"
	"shisa/ctl/event"
	"shisa/ctl/log"
	"shisa/ctl/recovery"
	"shisa/ctl/why"
	"shisa/ctl/witness"
)

// doer is an Actor that only has means.
type doer struct {
	daemon.Actor
	do func() error
}

func (d doer) Do(context.Context, recovery.Action) error { return d.do() }

func observer(t *testing.T) (*witness.Witness, string) {
	t.Helper()
	dir := t.TempDir()
	return witness.New(witness.Options{Boot: "old", StateDir: dir, Emit: func(event.Event) {},
		Log: func(what string, err error) { t.Log(what, err) }}), dir
}

// TestActionIsWitnessed: the way down is on record before it is taken, and off it
// again when the machine stays up.
func TestActionIsWitnessed(t *testing.T) {
	w, dir := observer(t)
	refused := errors.New("no init")
	for action, want := range map[recovery.Action]bool{recovery.Reboot: true, recovery.Reset: false} {
		err := actor{doer{do: func() error { return refused }}, w}.Do(t.Context(), action)
		if !errors.Is(err, refused) {
			t.Errorf("%s: %v", action, err)
		}
		name := filepath.Join(dir, "shutdown.old")
		if _, err := os.Stat(name); (err == nil) != want {
			t.Errorf("%s: on record %v, want %v", action, err == nil, want)
		}
		_ = os.Remove(name)
	}
}

// TestRecall: what the witnesses left behind is part of the verdict.
func TestRecall(t *testing.T) {
	var r flight.Recorder
	if err := r.Add(flight.Entry{At: time.Now(), Kind: flight.HungIO, Subject: "sda", For: time.Minute}); err != nil {
		t.Fatal(err)
	}
	marks := timeline.Mark{At: time.Second, Kind: timeline.Begin}.Text() + "\n" +
		timeline.Mark{At: 3 * time.Second, Kind: timeline.Reboot, Arg: 1}.Text() + "\n"
	for name, c := range map[string]struct {
		verdict why.Verdict
		summary string
		lines   int
	}{
		"a stall":        {why.Verdict{Cause: why.UserStall, Boot: "old", Summary: "It stood still."}, "It stood still. Likely culprit: sda: finishes no request for 1m0s.", 2},
		"in good order":  {why.Verdict{Cause: why.Ordered, Boot: "old", Summary: "It was told to."}, "It was told to.", 2},
		"of another":     {why.Verdict{Cause: why.UserStall, Boot: "older", Summary: "It stood still."}, "It stood still.", 0},
		"no boot before": {why.Verdict{Cause: why.FirstStart, Summary: "First."}, "First.", 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range map[string][]byte{"flight.old": r.Snapshot(), "shutdown.old": []byte(marks)} {
				if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			p := &process{log: log.Discard()}
			v := p.recall(c.verdict, dir)
			if v.Summary != c.summary || len(v.Evidence) != c.lines {
				t.Errorf("got %q with %q", v.Summary, v.Evidence)
			}
			if shown := p.shutdown != nil; shown != (c.lines > 0) || shown && !strings.Contains(p.shutdown.Summary, "took 2.000 s") {
				t.Errorf("timeline: %+v", p.shutdown)
			}
		})
	}
}
