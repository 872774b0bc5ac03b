package compat

import (
	"fmt"
	"slices"

	"shisa/ctl/api"
)

var clpmonctrl = command{
	name: "clpmonctrl", twin: "shisa monitor",
	usage: `-s [-h host_name] [-m monitor_name] [-w time]
		-r [-h host_name] [-m monitor_name] [-w time]
		-c [-h host_name] [-m monitor_name]
		-v [-h host_name] [-m monitor_name]
		-e [-h host_name] -m monitor_name
		-n [-h host_name] [-m monitor_name]`,
	options: []option{{"-s", alone}, {"-r", alone}, {"-c", alone}, {"-v", alone}, {"-e", alone}, {"-n", alone}, {"-m", with},
		hostOption, waitOption, timeoutOption},
	codes: map[fault]int{noName: 6},
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
		return &failure{badOption, "-e needs -m: which monitor is to fail?", nil}
	}
	if _, err := c.given.number("-w", 0, 9999, 5); err != nil {
		return err
	}
	cancel, err := c.within()
	if err != nil {
		return err
	}
	defer cancel()
	s, err := c.status()
	if err != nil {
		return err
	}
	chosen := s.Monitors
	if name := c.given.text("-m"); c.given.has("-m") {
		i := slices.IndexFunc(s.Monitors, func(m api.Monitor) bool { return m.Name == name })
		if i < 0 {
			return &failure{noName, "Specify a valid monitor resource name in the cluster.", nil}
		}
		chosen = s.Monitors[i : i+1]
	}
	switch {
	case len(chosen) == 0:
		return &failure{badStatus, "No monitor resource is registered.", nil}
	case verb == "-v":
		c.recoveries(s, chosen)
		return nil
	case s.Suppression.Suspended && verb != "-c":
		return &failure{suspended, "Resume it first: clpcl --resume.", nil}
	}
	return c.each(chosen, verb)
}

func (c *call) each(chosen []api.Monitor, verb string) error {
	for _, m := range chosen {
		if verb == "-n" && !m.Dummy {
			continue
		}
		if _, err := c.client.Monitor(c.ctx, api.MonitorCommand{Name: m.Name, Verb: monitorVerbs[verb], Reason: c.name}); err != nil {
			return err
		}
	}
	return c.succeed()
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
