package compat

import (
	"context"
	"fmt"
	"slices"
	"time"

	"shisa/ctl/api"
)

var clpmonctrl = command{
	name: "clpmonctrl", twin: "shisa monitor",
	usage: `-s [-h host_name] [-m monitor_name] [-w time] [--apito time]
		-r [-h host_name] [-m monitor_name] [-w time] [--apito time]
		-c [-h host_name] [-m monitor_name] [-w time] [--apito time]
		-v [-h host_name] [-m monitor_name] [-w time] [--apito time]
		-e [-h host_name] -m monitor_name [-w time] [--apito time]
		-n [-h host_name] [-m monitor_name] [-w time] [--apito time]`,
	options: []option{{"-s", alone}, {"-r", alone}, {"-c", alone}, {"-v", alone}, {"-e", alone}, {"-n", alone}, {"-m", with},
		hostOption, waitOption, timeoutOption},
	codes: map[fault]int{noName: 6, nothing: 5, noConnect: 10},
	run:   runMonitors,
}

var monitorVerbs = map[string]api.MonitorVerb{
	"-s": api.SuspendMonitor, "-r": api.ResumeMonitor, "-c": api.ResetMonitor, "-e": api.FailMonitor, "-n": api.UnfailMonitor,
}

func runMonitors(c *call) error {
	verb, err := c.given.which("-s", "-r", "-c", "-v", "-e", "-n")
	if err != nil {
		return err
	}
	if verb == "-e" && !c.given.has("-m") {
		return badOption.say("-e needs -m: which monitor is to fail?")
	}
	wait, err := c.given.seconds("-w", 0, 9999, 0)
	if err != nil {
		return err
	}
	s, err := c.status()
	if err != nil {
		return err
	}
	chosen, err := c.chosen(s)
	switch {
	case err != nil:
		return err
	case verb == "-v":
		c.recoveries(s, chosen)
		return nil
	case s.Suppression.Suspended && verb != "-c":
		return suspended.say("Resume it first: clpcl --resume.")
	}
	for _, m := range chosen {
		if verb == "-n" && !m.Dummy {
			continue
		}
		if err := c.tell(m.Name, monitorVerbs[verb], wait); err != nil {
			return err
		}
	}
	return c.succeed()
}

// chosen returns the monitor that -m names, or all.
func (c *call) chosen(s api.Status) ([]api.Monitor, error) {
	name, found := c.given.text("-m"), s.Monitors
	if c.given.has("-m") {
		found = slices.DeleteFunc(slices.Clone(found), func(m api.Monitor) bool { return m.Name != name })
	}
	w, implied := impliedMonitor(s)
	switch {
	case len(found) > 0:
		return found, nil
	case implied && name == w.Name:
		return nil, badStatus.say(name + " guards user space: it has no counters and cannot be held by itself.")
	case c.given.has("-m"):
		return nil, noName.say("Specify a valid monitor resource name in the cluster.")
	}
	return nil, nothing.say("No monitor resource is registered.")
}

// tell has the daemon do something to one monitor. wait is what -w allows for
// each of them; 0: as long as it takes.
func (c *call) tell(name string, verb api.MonitorVerb, wait time.Duration) error {
	ctx := c.ctx
	if wait > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, wait)
		defer cancel()
	}
	_, err := c.client.Monitor(ctx, api.MonitorCommand{Name: name, Verb: verb, Reason: c.name})
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// recoveries prints the counters of recovery, each beside its own maximum (the
// original swapped two of them, fix 90). The third word of each line with
// "Resource" is the monitor's name, which scripts rely on.
func (c *call) recoveries(s api.Status, chosen []api.Monitor) {
	fmt.Fprintf(c.out, " [server0 : %s]\n", s.Server)
	for _, m := range chosen {
		n := m.Counters
		final := 0
		if n.Exhausted {
			final = 1
		}
		fmt.Fprintf(c.out, " Resource : %s\n", m.Name)
		fmt.Fprintf(c.out, "   Script Count       : %d/%d\n", n.Scripts, n.MaxScript)
		fmt.Fprintf(c.out, "   Restart Count      : %d/%d\n", n.Restarts, n.MaxRestart)
		fmt.Fprintf(c.out, "   Failover Count     : %d/%d\n", 0, 0)
		fmt.Fprintf(c.out, "   FinalAction Count  : %d/%d\n", final, 1)
	}
}
