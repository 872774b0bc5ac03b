package choose_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/keepalive"
	"shisa/ctl/keepalive/choose"
	"shisa/ctl/keepalive/drivers/wdt"
	"shisa/ctl/keepalive/keepalivetest"
)

// A tree is a machine's file system: name → content; "-> x" is a symbolic link.
type tree map[string]string

func (files tree) write(t *testing.T, root string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(root, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			err = errors.Join(err, os.Symlink(target, path))
		} else {
			err = errors.Join(err, os.WriteFile(path, []byte(content), 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func dog(n int, identity string, more tree) tree {
	dir := fmt.Sprintf("sys/class/watchdog/watchdog%d/", n)
	files := tree{dir + "identity": identity + "\n", dir + "state": "inactive\n", dir + "nowayout": "0\n", fmt.Sprintf("dev/watchdog%d", n): ""}
	if n == 0 {
		files["dev/watchdog"] = ""
	}
	for k, v := range more {
		files[dir+k] = v
	}
	return files
}

func held(pid int, comm, device string) tree {
	dir := fmt.Sprintf("proc/%d/", pid)
	return tree{dir + "comm": comm + "\n", dir + "fd/3": "-> " + device}
}

func join(trees ...tree) tree {
	all := tree{}
	for _, t := range trees {
		for k, v := range t {
			all[k] = v
		}
	}
	return all
}

var (
	softdog = dog(0, wdt.SoftdogIdentity, nil)
	esb     = dog(1, "i6300ESB timer", tree{"max_timeout": "2046\n"})
	kcs     = tree{"dev/ipmi0": ""}
	tool    = tree{"usr/bin/ipmitool": ""}
	ipmiwd  = tree{"dev/watchdog": "", "sys/module/ipmi_watchdog/parameters/nowayout": "N\n", "sys/module/ipmi_watchdog/parameters/timeout": "10\n"}
)

func defaults() (config.Keepalive, config.Stall) {
	return config.Keepalive{
			Method: "auto", Action: keepalive.Reset, Backstop: "auto", BackstopAction: keepalive.Reset,
			Margin: 30 * time.Second, Pretimeout: keepalive.NoPretimeout, LoadModule: true,
		}, config.Stall{
			Enabled: true, Interval: 3 * time.Second, Timeout: 90 * time.Second,
		}
}

const release = "6.1.0-50-amd64"

// machine returns a machine made of files, on which softdog may be a module.
func machine(t *testing.T, files tree, module tree) choose.Machine {
	root := t.TempDir()
	files.write(t, root)
	return choose.Machine{
		Root: root, Release: release,
		Insert: func(file, _ string) error { return fmt.Errorf("insert %s: unexpected", file) },
		Load: func(_ context.Context, _, name string, _ ...string) error {
			if module == nil || name != "softdog" {
				return fmt.Errorf("module %s: %w", name, choose.ErrNoModule)
			}
			module.write(t, root)
			return nil
		},
		Open: func(driver, device string) (keepalive.Engine, error) {
			switch driver {
			case "wdt":
				return wdt.Open(root, device), nil
			case "ipmi", "ipmiutil":
				return &keepalivetest.Fake{What: keepalive.Info{Driver: driver, Device: device, Hardware: true, FeedEvery: time.Second,
					Actions:     []keepalive.Action{keepalive.None, keepalive.Reset, keepalive.PowerOff, keepalive.PowerCycle},
					Pretimeouts: []keepalive.Pretimeout{keepalive.NMI}}}, nil
			}
			return &keepalivetest.Fake{What: keepalive.Info{Driver: driver, Device: device}}, nil
		},
	}
}

func TestChoose(t *testing.T) {
	type change = func(*config.Keepalive)
	for _, c := range []struct {
		name     string
		files    tree
		module   tree // softdog as a module
		change   change
		primary  string // driver and device; "": none
		backstop string
		why      map[string]string // method → part of why it was not taken, or was
		err      string
	}{
		{name: "nothing at all", why: map[string]string{
			"primary clpka": "not present: no module clpka for kernel 6.1.0-50-amd64; what helps: install the package shisa-dkms", "primary softdog": "no such module", "primary wdt": "no hardware watchdog device",
			"primary ipmi": "no /dev/ipmi0", "primary ipmiutil": "neither ipmiutil nor ipmitool"}},
		{name: "softdog as a module", module: softdog, primary: "wdt /dev/watchdog0", why: map[string]string{"primary softdog": "module loaded"}},
		{name: "softdog that must not be loaded", module: softdog, change: func(k *config.Keepalive) { k.LoadModule = false },
			why: map[string]string{"primary softdog": "load_module is false"}},
		{name: "softdog, chip and BMC", files: join(softdog, esb, kcs, tool), primary: "wdt /dev/watchdog0", backstop: "wdt /dev/watchdog1",
			why: map[string]string{"primary wdt": "softdog comes first", "backstop ipmi": "wdt comes first"}},
		{name: "chip only: never twice", files: dog(0, "i6300ESB timer", nil), primary: "wdt /dev/watchdog0",
			why: map[string]string{"backstop wdt": "the primary uses it already"}},
		{name: "softdog and BMC", files: join(softdog, kcs), primary: "wdt /dev/watchdog0", backstop: "ipmi /dev/ipmi0"},
		{name: "softdog is no backstop", files: join(softdog, esb), primary: "wdt /dev/watchdog1",
			change: func(k *config.Keepalive) {
				k.Method, k.Backstop, k.BackstopDevice = "wdt", "wdt", "/dev/watchdog0"
			},
			why: map[string]string{"backstop wdt": "not hardware"}, err: "keepalive.backstop: no backstop countdown: wdt: not hardware"},
		{name: "BMC only", files: join(kcs, tool), primary: "ipmi /dev/ipmi0", why: map[string]string{"backstop ipmi": "the primary uses it already", "backstop ipmiutil": "the primary uses it already"}},
		{name: "BMC once: kernel driver and own", files: join(ipmiwd, kcs), primary: "wdt /dev/watchdog", why: map[string]string{"backstop ipmi": "the primary uses it already"}},
		{name: "systemd holds the chip", files: join(softdog, esb, held(1, "systemd", "/dev/watchdog1")), primary: "wdt /dev/watchdog0",
			why: map[string]string{"backstop wdt": "RuntimeWatchdogSec=0"}},
		{name: "another daemon holds it by its other name", files: join(softdog, held(77, "watchdogd", "/dev/watchdog")),
			why: map[string]string{"primary softdog": "watchdogd (process 77) has /dev/watchdog0 open"}},
		{name: "held by our keeper", files: join(softdog, held(4242, "shisa-keeper", "/dev/watchdog0")), primary: "wdt /dev/watchdog0"},
		{name: "named method that is missing", files: kcs, change: func(k *config.Keepalive) { k.Method = "softdog" },
			err: "keepalive.method: no primary countdown: softdog: not present: module softdog: no such module"},
		{name: "named device", files: join(softdog, esb), change: func(k *config.Keepalive) { k.Device = "/dev/watchdog1" }, primary: "wdt /dev/watchdog1"},
		{name: "named device that is missing", files: softdog, change: func(k *config.Keepalive) { k.Device = "/dev/watchdog7" }, err: "no watchdog device /dev/watchdog7"},
		{name: "the original's name of clpka", change: func(k *config.Keepalive) { k.Method = "keepalive" }, err: "clpka: not present"},
		{name: "clpka first", files: join(softdog, tree{"dev/clpka": ""}), primary: "clpka /dev/clpka"},
		{name: "action that nothing can do", files: join(softdog, esb), change: func(k *config.Keepalive) { k.Action = keepalive.Panic },
			err: "wdt /dev/watchdog0 (Software Watchdog) cannot panic; it can: reset"},
		{name: "action that only a later one can do", files: join(softdog, kcs), change: func(k *config.Keepalive) { k.Action = keepalive.PowerCycle }, primary: "ipmi /dev/ipmi0",
			why: map[string]string{"primary softdog": "cannot power_cycle; it can: reset"}},
		{name: "pretimeout that only the BMC has", files: join(softdog, esb, kcs), primary: "wdt /dev/watchdog0", backstop: "ipmi /dev/ipmi0",
			change: func(k *config.Keepalive) { k.Pretimeout, k.Before = keepalive.NMI, 5*time.Second },
			why:    map[string]string{"backstop wdt": "has no pretimeout nmi; it has: none"}},
		{name: "only measuring", files: softdog, change: func(k *config.Keepalive) { k.Method = "none" }, primary: "none "},
		{name: "no backstop wanted", files: join(softdog, esb), change: func(k *config.Keepalive) { k.Backstop = "none" }, primary: "wdt /dev/watchdog0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, s := defaults()
			if c.change != nil {
				c.change(&k)
			}
			m := machine(t, c.files, c.module)
			m.Keeper = 4242
			r, err := choose.Choose(t.Context(), k, s, m)
			switch {
			case c.err == "" && err != nil:
				t.Errorf("error %v", err)
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Errorf("error %v, want %q", err, c.err)
			}
			if got := show(r.Primary); got != c.primary {
				t.Errorf("primary %q, want %q", got, c.primary)
			}
			if got := show(r.Backstop); got != c.backstop {
				t.Errorf("backstop %q, want %q", got, c.backstop)
			}
			for what, want := range c.why {
				i := slices.IndexFunc(r.Candidates, func(x choose.Candidate) bool { return string(x.Role)+" "+x.Method == what })
				if i < 0 || !strings.Contains(r.Candidates[i].Why, want) {
					t.Errorf("%s is not explained by %q:\n%+v", what, want, r.Candidates)
				}
			}
		})
	}
}

func show(c *choose.Choice) string {
	if c == nil {
		return ""
	}
	return c.Info.Driver + " " + c.Info.Device
}

func TestTimeouts(t *testing.T) {
	for _, c := range []struct {
		interval, timeout, margin time.Duration
		primary, backstop         time.Duration
	}{
		{3 * time.Second, 90 * time.Second, 30 * time.Second, 85 * time.Second, 115 * time.Second},
		{500 * time.Millisecond, 3 * time.Second, 2 * time.Second, 2 * time.Second, 4 * time.Second},
		{2 * time.Second, 3 * time.Second, time.Second, time.Second, time.Second},
		{time.Second, 3 * time.Hour, time.Hour, 10798 * time.Second, 2046 * time.Second}, // the chip's longest
	} {
		k, s := defaults()
		s.Interval, s.Timeout, k.Margin = c.interval, c.timeout, c.margin
		r, err := choose.Choose(t.Context(), k, s, machine(t, join(softdog, esb), nil))
		if err != nil {
			t.Fatal(err)
		}
		if r.Primary.Request.Timeout != c.primary || r.Backstop.Request.Timeout != c.backstop || r.Backstop.Margin != c.margin {
			t.Errorf("interval %v, timeout %v: %v and %v after %v, want %v and %v", c.interval, c.timeout,
				r.Primary.Request.Timeout, r.Backstop.Request.Timeout, r.Backstop.Margin, c.primary, c.backstop)
		}
	}
}

func TestDryRunLoadsNothing(t *testing.T) {
	k, s := defaults()
	m := machine(t, nil, softdog)
	m.DryRun = true
	m.Load = func(context.Context, string, string, ...string) error { t.Error("a module was loaded"); return nil }
	r, err := choose.Choose(t.Context(), k, s, m)
	if err != nil || r.Primary != nil {
		t.Errorf("%+v, %v", r.Primary, err)
	}
}
