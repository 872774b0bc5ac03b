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
		-n group_name [-h host_name] [--apito time]`,
	options: []option{{"-s", maybe}, {"-t", maybe}, {"-n", with}, hostOption, forceOption, timeoutOption},
	cluster: []option{{"-m", maybe}, {"-l", maybe}, {"-a", with}},
	run:     runGroup,
}

func runGroup(c *call) error {
	verb, err := c.given.which("-s", "-t", "-n")
	if err != nil {
		return err
	}
	s, err := c.overview()
	if err != nil {
		return err
	}
	name := c.given.text(verb)
	g, known := findGroup(s, name)
	switch {
	case name != "" && !known:
		return noName.say("Specify a valid group name in the cluster.")
	case verb == "-n":
		if at := current(s, g); at != nowhere {
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

func findGroup(s api.Status, name string) (api.Group, bool) {
	i := slices.IndexFunc(s.Groups, func(g api.Group) bool { return g.Name == name })
	if i < 0 {
		return api.Group{}, false
	}
	return s.Groups[i], true
}
