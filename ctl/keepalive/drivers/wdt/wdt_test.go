package wdt_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/keepalive"
	"shisa/ctl/keepalive/drivers/wdt"
	"shisa/ctl/keepalive/keepalivetest"
)

const usual = unix.WDIOF_SETTIMEOUT | unix.WDIOF_KEEPALIVEPING | unix.WDIOF_MAGICCLOSE

// tree writes files below a fresh root.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func softdog(t *testing.T, nowayout string) string {
	return tree(t, map[string]string{
		"sys/class/watchdog/watchdog0/identity":    "Software Watchdog\n",
		"sys/class/watchdog/watchdog0/dev":         "246:0\n",
		"sys/class/watchdog/watchdog0/state":       "inactive\n",
		"sys/class/watchdog/watchdog0/timeout":     "60\n",
		"sys/class/watchdog/watchdog0/min_timeout": "1\n",
		"sys/class/watchdog/watchdog0/max_timeout": "65535\n",
		"sys/class/watchdog/watchdog0/nowayout":    nowayout + "\n",
		"sys/class/watchdog/watchdog0/bootstatus":  "32\n",
		"dev/watchdog":  "",
		"dev/watchdog0": "",
	})
}

func ipmi(t *testing.T) string {
	return tree(t, map[string]string{
		"sys/module/ipmi_watchdog/parameters/timeout":   "10\n",
		"sys/module/ipmi_watchdog/parameters/nowayout":  "N\n",
		"sys/module/ipmi_watchdog/parameters/action":    "reset\n",
		"sys/module/ipmi_watchdog/parameters/preaction": "pre_none\n",
		"dev/watchdog": "",
	})
}

// pair returns a way to open engines on one fake device, and the device.
func pair(root, device string, f *wdt.Fake) func(*testing.T) keepalive.Engine {
	state := filepath.Join(root, "sys/class/watchdog/watchdog0/state")
	if _, err := os.Stat(state); err == nil {
		f.State = func(on bool) {
			os.WriteFile(state, []byte(map[bool]string{true: "active\n", false: "inactive\n"}[on]), 0o644)
		}
	}
	return func(*testing.T) keepalive.Engine {
		e := wdt.Open(root, device)
		e.Use(f)
		return e
	}
}

func TestConform(t *testing.T) {
	second := keepalive.Request{Timeout: 84 * time.Second, Action: keepalive.Reset}
	for _, c := range []struct {
		name    string
		root    string
		device  string
		fake    wdt.Fake
		request keepalive.Request
	}{
		{"softdog", softdog(t, "0"), "/dev/watchdog0", wdt.Fake{Identity: "Software Watchdog", Options: usual, Min: 1, Max: 65535}, second},
		{"softdog without a way out", softdog(t, "1"), "/dev/watchdog0", wdt.Fake{Identity: "Software Watchdog", Options: usual, NoWayOut: true}, second},
		{"ipmi_watchdog", ipmi(t), "/dev/watchdog", wdt.Fake{Identity: "IPMI", Options: usual},
			keepalive.Request{Timeout: 60 * time.Second, Action: keepalive.PowerCycle, Pretimeout: keepalive.NMI, Before: 5 * time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			keepalivetest.Conform(t, keepalivetest.Case{
				New:      pair(c.root, c.device, &c.fake),
				Request:  c.request,
				Counting: func() bool { return c.fake.Counting },
			})
		})
	}
}

func TestList(t *testing.T) {
	root := softdog(t, "0")
	for name, content := range map[string]string{
		"watchdog10/identity": "late\n", "watchdog2/identity": "i6300ESB timer\n", "watchdog2/nowayout": "1\n", "watchdog2/pretimeout": "0\n",
	} {
		path := filepath.Join(root, "sys/class/watchdog", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	nodes, err := wdt.List(root)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range nodes {
		names = append(names, n.Name)
	}
	if got := strings.Join(names, " "); got != "watchdog0 watchdog2 watchdog10" {
		t.Errorf("order %s", got)
	}
	soft, esb := nodes[0], nodes[1]
	if soft.Hardware() || soft.Module != "softdog" || soft.BootStatus != unix.WDIOF_CARDRESET || soft.MaxTimeout != 65535*time.Second {
		t.Errorf("softdog: %+v", soft)
	}
	if !esb.Hardware() || !esb.NoWayOut || !esb.Pretimeout || esb.MaxTimeout != 0 {
		t.Errorf("i6300esb: %+v", esb)
	}
	if n, ok := wdt.Lookup(root, "/dev/watchdog"); !ok || n.Name != "watchdog0" {
		t.Errorf("/dev/watchdog is %+v, want watchdog0", n)
	}
	if err := os.Symlink("watchdog2", filepath.Join(root, "dev/esb")); err != nil {
		t.Fatal(err)
	}
	if n, ok := wdt.Lookup(root, "/dev/esb"); !ok || n.Name != "watchdog2" {
		t.Errorf("a link to watchdog2 is %+v", n)
	}
	if nodes, err := wdt.List(t.TempDir()); err != nil || len(nodes) != 0 {
		t.Errorf("without sysfs: %v, %v", nodes, err)
	}
}

func TestArmReadsBackWhatWasGranted(t *testing.T) {
	f := &wdt.Fake{Options: usual, SetErr: unix.EOPNOTSUPP, Seconds: 30}
	g, err := pair(softdog(t, "0"), "/dev/watchdog0", f)(t).Arm(keepalive.Request{Timeout: 10 * time.Second, Action: keepalive.Reset})
	if err != nil || g.Timeout != 30*time.Second {
		t.Errorf("a device of fixed timeout grants %v, %v; want 30s", g.Timeout, err)
	}
	f = &wdt.Fake{Options: usual}
	g, err = pair(softdog(t, "0"), "/dev/watchdog0", f)(t).Arm(keepalive.Request{Timeout: 2500 * time.Millisecond, Action: keepalive.Reset})
	if err != nil || g.Timeout != 3*time.Second {
		t.Errorf("2.5s grants %v, %v; want 3s", g.Timeout, err)
	}
}

func TestFailedArmLeavesNothingArmed(t *testing.T) {
	f := &wdt.Fake{Options: usual, SetErr: unix.EINVAL}
	e := pair(softdog(t, "0"), "/dev/watchdog0", f)(t)
	if _, err := e.Arm(keepalive.Request{Timeout: time.Minute, Action: keepalive.Reset}); err == nil {
		t.Fatal("armed")
	}
	if f.Open || f.Counting {
		t.Errorf("open %v, counting %v: opening the device had started it", f.Open, f.Counting)
	}
	f.SetErr = nil
	if _, err := e.Arm(keepalive.Request{Timeout: time.Minute, Action: keepalive.Reset}); err != nil {
		t.Fatal(err)
	}
	f.SetErr = unix.EINVAL
	if _, err := e.Arm(keepalive.Request{Timeout: time.Hour, Action: keepalive.Reset}); err == nil {
		t.Fatal("armed")
	}
	if !f.Open || !f.Counting {
		t.Error("a failed change stopped the countdown that ran before")
	}
}

func TestOpenErrors(t *testing.T) {
	for _, c := range []struct{ err, want error }{
		{unix.EBUSY, keepalive.ErrBusy},
		{unix.ENOENT, keepalive.ErrAbsent},
		{unix.ENODEV, keepalive.ErrAbsent},
		{unix.EACCES, unix.EACCES},
	} {
		e := pair(softdog(t, "0"), "/dev/watchdog0", &wdt.Fake{OpenErr: c.err})(t)
		_, err := e.Arm(keepalive.Request{Timeout: time.Minute, Action: keepalive.Reset})
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), "/dev/watchdog0") {
			t.Errorf("%v: %v, want %v with the device's name", c.err, err, c.want)
		}
	}
}

func TestBusyForAMoment(t *testing.T) {
	r := keepalive.Request{Timeout: time.Minute, Action: keepalive.Reset}
	if _, err := pair(softdog(t, "0"), "/dev/watchdog0", &wdt.Fake{Options: usual, Busy: 300 * time.Millisecond})(t).Arm(r); err != nil {
		t.Errorf("a device that is released within 300ms: %v", err)
	}
	if _, err := pair(softdog(t, "0"), "/dev/watchdog0", &wdt.Fake{Options: usual, Busy: time.Hour})(t).Arm(r); !errors.Is(err, keepalive.ErrBusy) {
		t.Errorf("a device that is not: %v", err)
	}
}

func TestIPMIActionIsWrittenToTheModule(t *testing.T) {
	root := ipmi(t)
	f := &wdt.Fake{Options: usual}
	e := pair(root, "/dev/watchdog", f)(t)
	if _, err := e.Arm(keepalive.Request{Timeout: time.Minute, Action: keepalive.PowerOff, Pretimeout: keepalive.SMI, Before: time.Second}); err != nil {
		t.Fatal(err)
	}
	for param, want := range map[string]string{"action": "power_off", "preaction": "pre_smi"} {
		got, err := os.ReadFile(filepath.Join(root, "sys/module/ipmi_watchdog/parameters", param))
		if err != nil || !strings.HasPrefix(string(got), want) {
			t.Errorf("%s = %q, %v; want %s", param, got, err, want)
		}
	}
}

func TestAdoptGoesOnWithoutOpening(t *testing.T) {
	root, f := softdog(t, "0"), &wdt.Fake{Options: usual}
	r := keepalive.Request{Timeout: time.Minute, Action: keepalive.Reset}
	first := wdt.Open(root, "/dev/watchdog0")
	first.Use(f)
	if _, err := first.Arm(r); err != nil {
		t.Fatal(err)
	}
	second := wdt.Open(root, "/dev/watchdog0")
	second.Use(f)
	g, err := second.Adopt(first.FD(), r)
	if err != nil || g.Timeout != time.Minute {
		t.Fatalf("adopt: %v, %v", g, err)
	}
	if err := second.Ping(); err != nil {
		t.Error(err)
	}
	if err := second.Disarm(); err != nil || f.Counting {
		t.Errorf("disarm: %v, counting %v", err, f.Counting)
	}
}

func TestPingAllocatesNothing(t *testing.T) {
	e := wdt.Open(softdog(t, "0"), "/dev/watchdog0")
	e.Use(&wdt.Fake{Options: usual})
	if _, err := e.Arm(keepalive.Request{Timeout: time.Minute, Action: keepalive.Reset}); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(10, func() { e.Ping() }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
