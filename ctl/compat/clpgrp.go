package compat

import (
	"fmt"
	"slices"

	"shisa/ctl/api"
)

var clpgrp = command{
	name: "clpgrp", twin: "shisa group",
	usage: `-s [group_name] [-h host_name] [-f] [--apito time]
		-t [group_name] [-h host_name] [-f] [--apito time]
		-n group_name`,
	options: []option{{"-s", maybe}, {"-t", maybe}, {"-m", maybe}, {"-l", maybe}, {"-n", with}, allOptionWith, hostOption, forceOption, timeoutOption},
	run:     runGroup,
}

// allOptionWith is -a of clpgrp -m: where to move to.
var allOptionWith = option{"-a", with}

func runGroup(c *call) error {
	verb, err := c.given.which("-s", "-t", "-m", "-l", "-n")
	if err != nil {
		return err
	}
	cancel, err := c.within()
	if err != nil {
		return err
	}
	defer cancel()
	s, err := c.overview()
	if err != nil {
		return err
	}
	name := c.given.text(verb)
	i := slices.IndexFunc(s.Groups, func(g api.Group) bool { return g.Name == name })
	switch {
	case name != "" && i < 0:
		return &failure{noName, "Specify a valid group name in the cluster.", nil}
	case verb == "-m" || verb == "-l":
		return &failure{notOne, "There is no server to move the group to.", nil}
	case verb == "-n":
		if at := current(s, s.Groups[i]); at != nowhere {
			fmt.Fprintln(c.out, at)
		}
		return nil
	case name == "":
		name = "*"
	}
	if _, err := c.client.Group(c.ctx, api.UnitCommand{Name: name, Verb: unitVerbs[verb], Reason: c.name}); err != nil {
		return err
	}
	return c.succeed()
}

var unitVerbs = map[string]api.UnitVerb{"-s": api.StartUnit, "-t": api.StopUnit}

var clprsc = command{
	name: "clprsc", twin: "shisa resource",
	usage: `-s resource_name [-h host_name] [-f] [--apito time]
		-t resource_name [-h host_name] [-f] [--apito time]
		-n resource_name
		-v resource_name`,
	options: []option{{"-s", with}, {"-t", with}, {"-n", with}, {"-v", with}, hostOption, forceOption, timeoutOption},
	run:     runResource,
}

func runResource(c *call) error {
	verb, err := c.given.which("-s", "-t", "-n", "-v")
	if err != nil {
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
	name := c.given.text(verb)
	r, ok := findResource(s, name)
	switch {
	case !ok:
		return &failure{noName, "Specify a valid resource name in the cluster.", nil}
	case verb == "-n":
		if r.State != api.Stopped {
			fmt.Fprintln(c.out, s.Server)
		}
		return nil
	case verb == "-v":
		c.counters(s, name)
		return nil
	}
	_, err = c.client.Resource(c.ctx, api.UnitCommand{Name: name, Verb: unitVerbs[verb], Reason: c.name})
	switch api.CodeOf(err) {
	case "":
		return c.succeed()
	case api.Conflict: // never an internal error (fix 119)
		what := map[string]string{"-s": "started", "-t": "stopped"}[verb]
		return &failure{unsuccessful, fmt.Sprintf("Resource %s could not be %s: %s", name, what, err), err}
	}
	return err
}

func findResource(s api.Status, name string) (api.Resource, bool) {
	for _, g := range s.Groups {
		for _, r := range g.Resources {
			if r.Name == name {
				return r, true
			}
		}
	}
	return api.Resource{}, false
}

// counters prints how often a resource was restarted, by whom.
func (c *call) counters(s api.Status, name string) {
	fmt.Fprintf(c.out, " Resource : %s\n", name)
	for _, m := range s.Monitors {
		if m.Target == name {
			fmt.Fprintf(c.out, "   %-16s : %d/%d\n", m.Name, m.Counters.Restarts, m.Counters.MaxRestart)
		}
	}
}
