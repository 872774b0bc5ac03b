package guard

import (
	"os"
	"testing"
	"time"

	"shisa/ctl/beat"
	"shisa/ctl/keepalive"
	"shisa/ctl/keepalive/keepalivetest"
	"shisa/ctl/keeper/wire"
)

// TestSparedOnTheWayDown looks at the keeper as systemd-shutdown does before it
// kills: by the first letter of its command line.
func TestSparedOnTheWayDown(t *testing.T) {
	marked := func() bool {
		line, err := os.ReadFile("/proc/self/cmdline")
		if err != nil {
			t.Fatal(err)
		}
		return line[0] == '@'
	}
	path := t.TempDir() + "/beats"
	page, err := beat.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	k := New("test", func(string, string) (keepalive.Engine, error) { return new(keepalivetest.Fake), nil }, func(string) {})
	orders := wire.Orders{Page: path, Guards: []wire.Guard{{Role: keepalive.Primary, Driver: "fake",
		Request: keepalive.Request{Timeout: time.Minute, Action: keepalive.Reset}}}}
	do := func(v wire.Verb, release bool) {
		t.Helper()
		orders.ReleaseOnSIGTERM = release
		if r := k.Do(wire.Request{Verb: v, Orders: orders}, os.Getpid()); r.Error != "" {
			t.Fatal(r.Error)
		}
	}
	for _, step := range []struct {
		name    string
		verb    wire.Verb
		release bool
		want    bool
	}{
		{"guarding", wire.Arm, false, false},
		{"a shutdown", wire.Shutdown, false, true},
		{"a shutdown to be released on SIGTERM, which has to come", wire.Shutdown, true, false},
		{"a shutdown again", wire.Shutdown, false, true},
		{"disarmed", wire.Disarm, false, false},
	} {
		if do(step.verb, step.release); marked() != step.want {
			t.Errorf("%s: spared is %v, want %v", step.name, marked(), step.want)
		}
	}
}
