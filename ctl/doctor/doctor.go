// Package doctor says what this machine offers and what stands in the way. It
// joins what hwcompat finds with the countdowns that would be chosen and the
// eBPF programs that this kernel accepts, and needs no daemon.
package doctor

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"shisa/bpf"
	"shisa/bpf/trial"
	"shisa/ctl/api"
	"shisa/ctl/config"
	"shisa/ctl/keepalive/choose"
	"shisa/hwcompat"
	check "shisa/hwcompat/doctor"
	"shisa/hwcompat/host"
)

// Options say what is looked at.
type Options struct {
	Root      string          // of the file system; empty: /
	Keeper    int             // process id of our keeper, whose devices are ours; 0: none
	Witnesses bool            // try the eBPF programs, which takes up to some seconds
	Running   []api.Check     // what a daemon's own witnesses say, instead of trying
	Types     config.Registry // of monitors and resources; zero: their scripts and programs are not looked for
}

// Examine looks at this machine with what m asks of it.
func Examine(ctx context.Context, m *config.Model, o Options) (api.Doctor, error) {
	root := cmp.Or(o.Root, "/")
	matrix, err := hwcompat.Load()
	if err != nil {
		return api.Doctor{}, err
	}
	facts, findings := check.Examine(os.DirFS(root), matrix, needs(m, o.Types))
	d := api.Doctor{Server: serverName(m), Kernel: facts.Kernel.Release, OS: facts.OS.PrettyName, Checks: []api.Check{}}
	d.Checks = append(d.Checks, permissions()...)
	d.Checks = append(d.Checks, countdowns(ctx, m, choose.Machine{Root: root, Keeper: o.Keeper, DryRun: true})...)
	d.Checks = append(d.Checks, devices(facts)...)
	if d.Checks = append(d.Checks, o.Running...); o.Witnesses {
		d.Checks = append(d.Checks, witnesses(m.Witness.Without)...)
	}
	d.Checks = grouped(append(d.Checks, found(findings)...))
	d.Level = worst(d.Checks)
	return d, nil
}

var levels = map[check.Severity]api.Level{check.Error: api.LevelError, check.Warning: api.LevelWarning, check.Info: api.LevelInfo}

// found are the findings as checks.
func found(findings []check.Finding) []api.Check {
	var all []api.Check
	for _, f := range findings {
		all = append(all, api.Check{ID: f.ID, Area: area(f.ID), Name: f.Title, Level: levels[f.Severity], Text: f.Reason, Mend: f.Mend,
			Restrictions: f.Restrictions})
	}
	return all
}

// grouped puts checks of one area together, areas in the order of their first.
func grouped(checks []api.Check) []api.Check {
	first := map[string]int{}
	for i, c := range checks {
		if _, ok := first[c.Area]; !ok {
			first[c.Area] = i
		}
	}
	slices.SortStableFunc(checks, func(a, b api.Check) int { return first[a.Area] - first[b.Area] })
	return checks
}

// areas of findings by the first word of their id; what is not here is its own.
var areas = map[string]string{
	"not": "permissions", "unread": "permissions", "container": "machine", "original": "machine",
	"module": "kernel", "modules": "kernel", "btf": "kernel", "lockdown": "kernel", "panic": "kernel", "pstore": "kernel", "rt": "kernel",
	"watchdog": "countdown", "systemd": "countdown", "heartbeat": "countdown", "softdog": "countdown", "tco": "countdown",
	"backstop": "countdown", "nowayout": "countdown", "pvpanic": "countdown",
	"bmc": "BMC", "ipmi": "BMC",
	"host": "network", "no": "network", "port": "network", "firewall": "network", "snmp": "network",
	"root": "storage", "state": "storage", "time": "time", "clock": "time",
	"selinux": "programs", "program": "programs", "library": "programs", "app": "programs",
	"next": "next start",
}

// area groups a finding with others.
func area(id string) string {
	first, _, _ := strings.Cut(id, "-")
	return cmp.Or(areas[first], first)
}

func worst(checks []api.Check) api.Level {
	order := []api.Level{api.LevelInfo, api.LevelOK, api.LevelWarning, api.LevelError, api.LevelCritical}
	at := slices.Index(order, api.LevelOK)
	for _, c := range checks {
		at = max(at, slices.Index(order, c.Level))
	}
	return order[at]
}

func permissions() []api.Check {
	c := api.Check{Area: "permissions", Name: "user", Level: api.LevelOK, Text: "running as root"}
	if os.Geteuid() != 0 {
		c.Level, c.Text = api.LevelWarning, "not running as root: devices, BMC and eBPF cannot be looked at, and shisad would only observe"
		c.Mend = "sudo shisa doctor"
	}
	return []api.Check{c}
}

// countdowns tells what would guard the machine, and why nothing else would.
func countdowns(ctx context.Context, m *config.Model, machine choose.Machine) []api.Check {
	r, err := choose.Choose(ctx, m.Keepalive, m.Stall, machine)
	var all []api.Check
	if err != nil {
		all = append(all, api.Check{Area: "countdown", Name: "configuration", Level: api.LevelError, Text: err.Error(), Mend: "shisa config check"})
	}
	for _, c := range r.Candidates {
		name := strings.TrimSpace(fmt.Sprintf("%s %s", c.Role, c.Method))
		text, level := c.Why, api.LevelInfo
		if c.Chosen {
			level = api.LevelOK
			text = "chosen: " + c.Why
			if which := strings.TrimSpace(c.Device + " " + c.Identity); which != "" {
				text = "chosen: " + which + "; " + c.Why
			}
		}
		all = append(all, api.Check{Area: "countdown", Name: name, Level: level, Text: text})
	}
	if r.Primary == nil {
		level := api.LevelWarning
		if m.Mode == config.Protect {
			level = api.LevelCritical
		}
		all = append(all, api.Check{Area: "countdown", Name: "primary", Level: level, Text: "nothing on this machine can end a stall of user space",
			Mend: "modprobe softdog, or install the clpka module"})
	}
	return all
}

func devices(f host.Facts) []api.Check {
	var all []api.Check
	for _, w := range f.Watchdogs {
		text := fmt.Sprintf("%s (%s), timeout %d s", w.Identity, w.Driver, w.Timeout)
		for _, h := range w.Holders {
			text += fmt.Sprintf(", held by %s (pid %d)", h.Comm, h.PID)
		}
		all = append(all, api.Check{Area: "countdown", Name: "/dev/" + w.Name, Level: api.LevelInfo, Text: text})
	}
	return all
}

// witnesses tells which eBPF program does each job, and why no better one. Some may not
// be tried.
func witnesses(without []string) []api.Check {
	choices, err := bpf.Probe(without...)
	var all []api.Check
	for _, c := range choices {
		all = append(all, witness(c))
	}
	if err != nil {
		all = append(all, api.Check{Area: "eBPF", Name: "programs", Level: api.LevelWarning, Text: err.Error() + "; shisa works without, less sharply", Mend: "start a kernel that accepts them, and shisa doctor as root"})
	}
	return all
}

func witness(c trial.Choice) api.Check {
	check := api.Check{Area: "eBPF", Name: c.Job + " " + c.Part, Level: api.LevelOK, Text: fmt.Sprintf("%s (%s)", c.Program, c.Object)}
	if c.Program == "" {
		check.Level, check.Text = api.LevelWarning, "no program does it on this kernel"
		check.Mend = "start a kernel that accepts one of them; until then shisa does without"
	}
	for _, r := range c.Refused {
		check.Why = append(check.Why, r.String())
		if c.Program == "" && strings.Contains(r.String(), "tracefs") {
			check.Mend = "mount -t tracefs tracefs /sys/kernel/tracing"
		}
	}
	return check
}

func serverName(m *config.Model) string {
	if m.Server.Name != "" {
		return m.Server.Name
	}
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}
