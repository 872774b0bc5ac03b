package compat

import (
	"fmt"
	"slices"
	"strings"

	"shisa/ctl/api"
	"shisa/ctl/config"
)

var clprsc = command{
	name: "clprsc", twin: "shisa resource",
	usage: `-s resource_name [-h host_name] [-f] [--apito time]
		-t resource_name [-h host_name] [-f] [--apito time]
		-n resource_name [-h host_name] [--apito time]
		-v resource_name [-h host_name] [--apito time]`,
	options: []option{{"-s", with}, {"-t", with}, {"-n", with}, {"-v", with}, hostOption, forceOption, timeoutOption},
	run:     runResource,
}

func runResource(c *call) error {
	verb, err := c.given.which("-s", "-t", "-n", "-v")
	if err != nil {
		return err
	}
	ask := c.overview
	if verb == "-v" {
		ask = c.status
	}
	s, err := ask()
	if err != nil {
		return err
	}
	name := c.given.text(verb)
	r, ok := findResource(s, name)
	switch {
	case !ok:
		return noName.say("Specify a valid resource name in the cluster.")
	case verb == "-n":
		if r.State != api.Stopped {
			fmt.Fprintln(c.out, s.Server)
		}
		return nil
	case verb == "-v":
		c.counters(s, name)
		return nil
	}
	if !c.given.has("-f") {
		if err := c.alone(s, name, verb); err != nil {
			return err
		}
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

// alone checks that a start or stop of a resource takes no other along: that is
// for -f to allow.
func (c *call) alone(s api.Status, name, verb string) error {
	m, err := c.model()
	if err != nil {
		return err
	}
	done, text := []api.State{api.Started}, "Resource %s needs %s, which would be started, too; if that is wanted, give -f."
	if verb == "-t" {
		done, text = []api.State{api.Stopped, api.StartFailed}, "Resource %s is needed by %s, which would be stopped, too; if that is wanted, give -f."
	}
	others := slices.DeleteFunc(along(m, name, verb == "-t"), func(other string) bool {
		r, _ := findResource(s, other)
		return slices.Contains(done, r.State)
	})
	if len(others) == 0 {
		return nil
	}
	return badStatus.say(fmt.Sprintf(text, name, strings.Join(others, ", ")))
}

// along lists the resources that go along with one: with a start all that it
// needs, with a stop all that need it, directly or through others.
func along(m *config.Model, name string, stop bool) []string {
	next := map[string][]string{}
	for i, r := range m.Resources {
		for _, need := range m.Needs(i) {
			if stop {
				next[need] = append(next[need], r.Name)
			} else {
				next[r.Name] = append(next[r.Name], need)
			}
		}
	}
	found := []string{name}
	for i := 0; i < len(found); i++ {
		for _, other := range next[found[i]] {
			if !slices.Contains(found, other) {
				found = append(found, other)
			}
		}
	}
	return found[1:]
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
		if m.Recovers == "resource/"+name {
			fmt.Fprintf(c.out, "   %-16s : %d/%d\n", m.Name, m.Counters.Restarts, m.Counters.MaxRestart)
		}
	}
}
