// Package keepalivetest checks that a keepalive driver keeps the promises of
// [keepalive.Engine], and offers an engine made of functions to whoever tests
// a user of engines.
package keepalivetest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"shisa/ctl/keepalive"
)

// A Case is one driver on one device, real or fake.
type Case struct {
	// New returns an engine that is not armed.
	New func(t *testing.T) keepalive.Engine

	// Request can be granted by the engine.
	Request keepalive.Request

	// Counting reports whether the device counts down, as seen from behind
	// the driver. Nil when only the driver can see the device.
	Counting func() bool

	// Slack is by how much more than asked may be granted; 0 means 1 s, the
	// granularity of the Linux watchdog API.
	Slack time.Duration
}

// Conform runs the suite. On a real device it arms and disarms the countdown
// several times within milliseconds, and disarms it at the end.
func Conform(t *testing.T, c Case) {
	if c.Slack == 0 {
		c.Slack = time.Second
	}
	for _, step := range []struct {
		name string
		run  func(*testing.T, Case, keepalive.Engine)
	}{
		{"says what it is before it is armed", info},
		{"refuses what it cannot do and does not arm", refuses},
		{"grants what was asked or says what else", grants},
		{"cannot be pinged unarmed", unarmed},
		{"is armed again while armed", rearmed},
		{"stops counting when disarmed", disarms},
		{"goes on counting when closed", closes},
	} {
		t.Run(step.name, func(t *testing.T) {
			e := c.New(t)
			t.Cleanup(func() {
				if err := e.Disarm(); err != nil && !errors.Is(err, keepalive.ErrNoWayOut) {
					t.Errorf("disarm at the end: %v", err)
				}
				if err := e.Close(); err != nil {
					t.Errorf("close at the end: %v", err)
				}
			})
			step.run(t, c, e)
		})
	}
}

func info(t *testing.T, c Case, e keepalive.Engine) {
	i := e.Info()
	switch {
	case i.Driver == "":
		t.Error("no driver name")
	case len(i.Actions) == 0:
		t.Error("no actions: an engine that does nothing has the action none")
	case i.Outlives == "":
		t.Error("it does not say what it outlives")
	case i.MaxTimeout > 0 && i.MinTimeout > i.MaxTimeout:
		t.Errorf("shortest timeout %v is longer than the longest %v", i.MinTimeout, i.MaxTimeout)
	}
	for _, a := range i.Actions {
		if !slices.Contains(keepalive.Actions(), a) {
			t.Errorf("unknown action %q", a)
		}
	}
	if err := c.Request.Check(i); err != nil {
		t.Errorf("the request of the case does not suit the engine: %v", err)
	}
	if c.counts(i) {
		t.Error("it counts before it is armed: looking at a device must not arm it")
	}
}

func refuses(t *testing.T, c Case, e keepalive.Engine) {
	i := e.Info()
	bad := map[string]keepalive.Request{"no timeout": {Action: c.Request.Action}}
	for _, a := range keepalive.Actions() {
		if !i.Can(a) {
			r := c.Request
			r.Action = a
			bad["action "+string(a)] = r
		}
	}
	for _, p := range []keepalive.Pretimeout{keepalive.SMI, keepalive.NMI, keepalive.Messaging} {
		if !slices.Contains(i.Pretimeouts, p) {
			r := c.Request
			r.Pretimeout, r.Before = p, r.Timeout/2
			bad["pretimeout "+string(p)] = r
		}
	}
	if i.MaxTimeout > 0 {
		r := c.Request
		r.Timeout = i.MaxTimeout + time.Second
		bad["too long"] = r
	}
	for name, r := range bad {
		_, err := e.Arm(r)
		if err == nil {
			t.Errorf("%s: armed", name)
			continue
		}
		if strings.HasPrefix(name, "action") && !strings.Contains(err.Error(), string(i.Actions[0])) {
			t.Errorf("%s: %q does not list what it can do", name, err)
		}
	}
	if c.counts(i) {
		t.Error("it counts after it refused")
	}
}

func grants(t *testing.T, c Case, e keepalive.Engine) {
	g := arm(t, c, e)
	if g.Timeout < c.Request.Timeout || g.Timeout > c.Request.Timeout+c.Slack {
		t.Errorf("granted %v for %v", g.Timeout, c.Request.Timeout)
	}
	if g.Action != c.Request.Action {
		t.Errorf("granted action %s for %s", g.Action, c.Request.Action)
	}
	for range 3 {
		if err := e.Ping(); err != nil {
			t.Fatalf("ping: %v", err)
		}
	}
	c.mustCount(t, true)
}

func unarmed(t *testing.T, c Case, e keepalive.Engine) {
	if err := e.Ping(); !errors.Is(err, keepalive.ErrNotArmed) {
		t.Errorf("ping before arm = %v, want ErrNotArmed", err)
	}
	if err := e.Disarm(); err != nil {
		t.Errorf("disarm before arm: %v", err)
	}
	if c.counts(e.Info()) {
		t.Error("a ping armed it")
	}
}

func rearmed(t *testing.T, c Case, e keepalive.Engine) {
	arm(t, c, e)
	longer := c.Request
	longer.Timeout += 2 * time.Second
	if longer.Check(e.Info()) != nil {
		longer.Timeout = c.Request.Timeout
	}
	g, err := e.Arm(longer)
	if err != nil {
		t.Fatalf("arm again: %v", err)
	}
	if g.Timeout < longer.Timeout {
		t.Errorf("granted %v for %v the second time", g.Timeout, longer.Timeout)
	}
	if err := e.Ping(); err != nil {
		t.Errorf("ping: %v", err)
	}
	c.mustCount(t, true)
}

func disarms(t *testing.T, c Case, e keepalive.Engine) {
	arm(t, c, e)
	err := e.Disarm()
	if e.Info().NoWayOut {
		if !errors.Is(err, keepalive.ErrNoWayOut) {
			t.Errorf("disarm = %v, want ErrNoWayOut", err)
		}
		c.mustCount(t, true)
		return
	}
	if err != nil {
		t.Fatalf("disarm: %v", err)
	}
	c.mustCount(t, false)
	if err := e.Ping(); !errors.Is(err, keepalive.ErrNotArmed) {
		t.Errorf("ping after disarm = %v, want ErrNotArmed", err)
	}
	if err := e.Disarm(); err != nil {
		t.Errorf("disarm twice: %v", err)
	}
	arm(t, c, e)
	c.mustCount(t, true)
}

func closes(t *testing.T, c Case, e keepalive.Engine) {
	arm(t, c, e)
	if err := e.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	c.mustCount(t, true)
	if err := e.Close(); err != nil {
		t.Errorf("close twice: %v", err)
	}
	next := c.New(t)
	if _, err := next.Arm(c.Request); err != nil {
		t.Fatalf("the next engine cannot take over the countdown: %v", err)
	}
	if err := next.Disarm(); err != nil && !errors.Is(err, keepalive.ErrNoWayOut) {
		t.Errorf("disarm: %v", err)
	}
	if err := next.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func arm(t *testing.T, c Case, e keepalive.Engine) keepalive.Granted {
	t.Helper()
	g, err := e.Arm(c.Request)
	if err != nil {
		t.Fatalf("arm: %v", err)
	}
	return g
}

// counts reports whether the device is known to count though it could have been
// stopped: one that has no way out still counts from the step before.
func (c Case) counts(i keepalive.Info) bool { return !i.NoWayOut && c.Counting != nil && c.Counting() }

func (c Case) mustCount(t *testing.T, want bool) {
	t.Helper()
	if c.Counting != nil && c.Counting() != want {
		t.Errorf("the device counts: %v, want %v", !want, want)
	}
}
