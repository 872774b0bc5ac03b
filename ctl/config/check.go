package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"shisa/ctl/keepalive"
	"shisa/ctl/monitor"
	"shisa/ctl/param"
	"shisa/ctl/recovery"
)

// checkReferences looks at what no table can know of by itself: names that
// are used twice, names that nobody has, and cycles.
func (r *reader) checkReferences() {
	r.checkKeepalive()
	r.checkProtection()
	c := &names{reader: r}
	c.groupAt = c.unique(groupTable, len(r.m.Groups), func(i int) (string, *place) { return r.m.Groups[i].Name, r.groups[i] })
	c.resourceAt = c.unique(resourceTable, len(r.m.Resources), func(i int) (string, *place) { return r.m.Resources[i].Name, r.resources[i] })
	r.m.monitorAt = c.unique(monitorTable, len(r.m.Monitors), func(i int) (string, *place) { return r.m.Monitors[i].Name, r.monitors[i] })
	c.monitorAt = r.m.monitorAt
	c.checkGroups()
	c.checkResources()
	for i := range r.m.Monitors {
		c.checkMonitor(&r.m.Monitors[i], r.monitors[i], label(monitorTable, r.m.Monitors[i].Name, i))
	}
	c.monitorCycle()
	c.checkMembers()
	if !r.problems.unusable() { // else the members may be among what is wrong
		c.checkEmpty()
	}
}

// checkEmpty warns of groups without a resource.
func (c *names) checkEmpty() {
	filled := make(map[string]bool, len(c.m.Groups))
	for _, res := range c.m.Resources {
		filled[res.Group] = true
	}
	for i, g := range c.m.Groups {
		if !filled[g.Name] {
			c.warn(c.groups[i].line, groupTable+"."+g.Name, "no resource belongs to this group")
		}
	}
}

func (r *reader) checkKeepalive() {
	k, at := r.m.Keepalive, r.root.child("keepalive")
	if k.Device != "" && k.Device == k.BackstopDevice {
		r.add(at.at("backstop_device"), "keepalive.backstop_device", "%s is the device of the primary: each countdown needs one of its own", k.Device)
	}
	r.checkAction("action", k.Action, "method", k.Method, keepalive.ActionsOf(k.Method))
	hardware := strings.Replace(k.Backstop, "auto", "wdt", 1) // all of which can do the same
	r.checkAction("backstop_action", k.BackstopAction, "backstop", k.Backstop, keepalive.ActionsOf(hardware))
	if k.Pretimeout == keepalive.NoPretimeout {
		if k.Before > 0 {
			r.warn(at.at("pretimeout_before"), "keepalive.pretimeout_before", "has no effect with pretimeout = \"none\"")
		}
		return
	}
	switch {
	case k.Before == 0:
		r.add(at.at("pretimeout"), "keepalive.pretimeout", "needs pretimeout_before, the time that the warning comes before the timeout")
	case k.Before >= r.m.Stall.Timeout:
		r.add(at.at("pretimeout_before"), "keepalive.pretimeout_before", "%s must be shorter than stall.timeout %s",
			param.FormatDuration(k.Before), param.FormatDuration(r.m.Stall.Timeout))
	}
}

// checkAction reports an action that no engine can do which the method may take.
// With method none it has no effect.
func (r *reader) checkAction(key string, a keepalive.Action, methodKey, method string, can []keepalive.Action) {
	if method == "none" || slices.Contains(can, a) {
		return
	}
	r.add(r.root.child("keepalive").at(key), "keepalive."+key, "%s is nothing that %s = %q can do; it can: %s", a, methodKey, method, keepalive.List(can))
}

// checkProtection warns of settings that take protection away, which must
// never happen unseen. Who only observes knows that nothing is protected.
func (r *reader) checkProtection() {
	m := r.m
	if m.Mode != Protect {
		return
	}
	for _, c := range []struct {
		bad                bool
		section, key, text string
	}{
		{!m.Stall.Enabled, "stall", "enabled", "nothing resets the machine when user space stalls"},
		{m.Keepalive.Method == "none" && m.Keepalive.Backstop == "none", "keepalive", "method", "nothing resets the machine when user space stalls"},
		{m.Keepalive.Action == keepalive.None, "keepalive", "action", "nothing happens to the machine when user space stalls"},
		{m.Server.RecoverySuppress, "server", "suppress_recovery", "nothing is recovered, though the mode is protect"},
		{!m.Limiter.Enabled, "limiter", "enabled", "nothing ends a loop of reboots"},
	} {
		if c.bad {
			r.warn(r.root.child(c.section).at(c.key), c.section+"."+c.key, "%s", c.text)
		}
	}
}

// names knows where in the model groups and resources stand.
type names struct {
	*reader
	groupAt    map[string]int
	resourceAt map[string]int
	monitorAt  map[string]int
}

// unique returns the index of each of n names; the first of equal ones stands.
func (c *names) unique(kind string, n int, get func(int) (string, *place)) map[string]int {
	all := make(map[string]int, n)
	for i := range n {
		name, at := get(i)
		if name == "" {
			continue // reported as missing
		}
		if first, ok := all[name]; ok {
			_, firstAt := get(first)
			c.add(at.at("name"), kind+"."+name, "there are two with this name; the first is in line %d", firstAt.at("name"))
			continue
		}
		all[name] = i
	}
	return all
}

// known reports name when kind has none of that name.
func (c *names) known(kind string, all map[string]int, name string, line int, key string) bool {
	if _, ok := all[name]; ok {
		return true
	}
	text := ""
	if n := param.Nearest(name, slices.Sorted(maps.Keys(all))); n != "" { // sorted: one answer for equal distances
		text = fmt.Sprintf("; did you mean %q?", n)
	}
	c.add(line, key, "there is no %s %q%s", kind, name, text)
	return false
}

// each calls f with every item of a list of names and its line; it warns of
// names that stand twice.
func (c *names) each(list []string, at *place, key, path string, f func(name string, line int)) {
	for i, name := range list {
		line := at.at(key)
		if item := at.child(key).item(i); item != nil {
			line = item.line
		}
		if slices.Contains(list[:i], name) {
			c.warn(line, path, "%q stands there twice", name)
			continue
		}
		f(name, line)
	}
}

func (c *names) checkGroups() {
	for i, g := range c.m.Groups {
		at, prefix := c.groups[i], label(groupTable, g.Name, i)
		c.each(g.StartAfter, at, "start_after", prefix+".start_after", func(name string, line int) {
			if c.known(groupTable, c.groupAt, name, line, prefix+".start_after") && g.Auto && !c.m.Groups[c.groupAt[name]].Auto {
				c.warn(line, prefix+".start_after", "group %q is not started with the service, so this one waits %s for it", name, param.FormatDuration(g.StartWait))
			}
		})
		c.each(g.StopAfter, at, "stop_after", prefix+".stop_after", func(name string, line int) {
			c.known(groupTable, c.groupAt, name, line, prefix+".stop_after")
		})
	}
	c.groupCycle("start_after", func(i int) []string { return c.m.Groups[i].StartAfter })
	c.groupCycle("stop_after", func(i int) []string { return c.m.Groups[i].StopAfter })
}

func (c *names) groupCycle(key string, after func(int) []string) {
	name := func(i int) string { return c.m.Groups[i].Name }
	if first, path := cyclePath(len(c.m.Groups), name, c.groupAt, after); path != "" {
		c.add(c.groups[first].at(key), groupTable+"."+name(first)+"."+key, "groups wait for each other: %s", path)
	}
}

func (c *names) monitorCycle() {
	name := func(i int) string { return c.m.Monitors[i].Name }
	parents := func(i int) []string { return c.m.Monitors[i].Parents }
	if first, path := cyclePath(len(c.m.Monitors), name, c.monitorAt, parents); path != "" {
		c.add(c.monitors[first].at("parents"), monitorTable+"."+name(first)+".parents", "monitors wait for each other: %s", path)
	}
}

// cyclePath looks for a cycle among n things that name others; it returns the
// first of it and all of it in words, which are empty when there is none.
func cyclePath(n int, name func(int) string, at map[string]int, names func(int) []string) (int, string) {
	cycle := findCycle(n, func(i int) []int {
		var to []int
		for _, other := range names(i) {
			if j, ok := at[other]; ok {
				to = append(to, j)
			}
		}
		return to
	})
	if cycle == nil {
		return 0, ""
	}
	path := make([]string, len(cycle))
	for i, n := range cycle {
		path[i] = name(n)
	}
	return cycle[0], strings.Join(path, " → ")
}

func (c *names) checkResources() {
	members := make(map[string][]int, len(c.m.Groups)) // in order of the file
	for i, res := range c.m.Resources {
		at, prefix := c.resources[i], label(resourceTable, res.Name, i)
		if res.Group != "" {
			c.known(groupTable, c.groupAt, res.Group, at.at("group"), prefix+".group")
		}
		c.each(res.DependsOn, at, "depends_on", prefix+".depends_on", func(name string, line int) {
			if !c.known(resourceTable, c.resourceAt, name, line, prefix+".depends_on") {
				return
			}
			if other := c.m.Resources[c.resourceAt[name]]; other.Group != res.Group {
				c.add(line, prefix+".depends_on", "resource %q is in group %q, this one in %q; order groups with start_after", name, other.Group, res.Group)
			}
		})
		members[res.Group] = append(members[res.Group], i)
		c.checkResourceActions(res, at, prefix)
	}
	c.resourceCycle(members)
}

func (c *names) checkResourceActions(res Resource, at *place, prefix string) {
	for _, a := range []struct {
		key    string
		action recovery.Action
	}{{"on_start_failure", res.OnStartFailure}, {"on_stop_failure", res.OnStopFailure}} {
		if a.action == recovery.Command {
			c.add(at.at(a.key), prefix+"."+a.key, `"command" is possible for monitors only; use a script of the resource`)
		}
	}
	if res.BeforeFinal != "" && res.OnStartFailure == recovery.NoAction && res.OnStopFailure == recovery.NoAction {
		c.warn(at.at("before_final"), prefix+".before_final", "never runs: there is no on_start_failure or on_stop_failure")
	}
	if res.StartGoOn && res.OnStartFailure != recovery.NoAction {
		c.warn(at.at("start_anyway"), prefix+".start_anyway", "has no effect with on_start_failure = %q", res.OnStartFailure)
	}
}

func (c *names) resourceCycle(members map[string][]int) {
	cycle := findCycle(len(c.m.Resources), func(i int) []int {
		res := c.m.Resources[i]
		if res.DependsOn == nil {
			all := members[res.Group]
			n, _ := slices.BinarySearch(all, i)
			return all[:n]
		}
		var to []int
		for _, name := range res.DependsOn {
			if j, ok := c.resourceAt[name]; ok && c.m.Resources[j].Group == res.Group {
				to = append(to, j)
			}
		}
		return to
	})
	if cycle == nil {
		return
	}
	path, implied := make([]string, len(cycle)), ""
	for i, n := range cycle {
		path[i] = c.m.Resources[n].Name
		if c.m.Resources[n].DependsOn == nil {
			implied = fmt.Sprintf(" (%s has no depends_on and so needs all that stand before it)", path[i])
		}
	}
	first := cycle[0]
	c.add(c.resources[first].at("depends_on"), resourceTable+"."+path[0]+".depends_on", "resources need each other: %s%s", strings.Join(path, " → "), implied)
}

// findCycle returns a cycle of the graph with nodes 0 to n-1, its first node
// again at the end, or nil. It does not recurse: a chain may be thousands long.
func findCycle(n int, edges func(int) []int) []int {
	const (
		unseen = iota
		open   // on the path
		done
	)
	type step struct {
		node int
		rest []int // edges not yet followed
	}
	state := make([]byte, n)
	var path []step
	enter := func(i int) {
		state[i] = open
		path = append(path, step{i, edges(i)})
	}
	for start := range n {
		if state[start] == unseen {
			enter(start)
		}
		for len(path) > 0 {
			top := &path[len(path)-1]
			if len(top.rest) == 0 {
				state[top.node] = done
				path = path[:len(path)-1]
				continue
			}
			to := top.rest[0]
			top.rest = top.rest[1:]
			switch state[to] {
			case unseen:
				enter(to)
			case open:
				i := slices.IndexFunc(path, func(s step) bool { return s.node == to })
				var cycle []int
				for _, s := range path[i:] {
					cycle = append(cycle, s.node)
				}
				return append(cycle, to)
			}
		}
	}
	return nil
}

func (c *names) checkMonitor(m *Monitor, at *place, prefix string) {
	if m.Target != "" {
		c.known(resourceTable, c.resourceAt, m.Target, at.at("target"), prefix+".target")
	} else {
		switch t, ok := c.reg.Monitors[m.Type]; {
		case ok && t.NeedsTarget:
			c.add(at.line, prefix+".target", "required: a monitor of type %q watches over a resource", m.Type)
		case m.When == monitor.WhileActive:
			c.add(at.at("when"), prefix+".when", `%q needs a target, the resource that is active`, m.When)
		}
	}
	c.each(m.Parents, at, "parents", prefix+".parents", func(name string, line int) {
		c.known(monitorTable, c.monitorAt, name, line, prefix+".parents")
	})
	c.checkRecovery(m, at, prefix+"."+recoveryTable)
}

func (c *names) checkRecovery(m *Monitor, at *place, prefix string) {
	where := at.child(recoveryTable)
	if where == nil {
		where = at
	}
	rec := &m.Recovery
	switch ref := rec.Target; {
	case ref.Kind == resourceTarget && ref.Name != m.Target: // the monitor's own is checked already
		c.known(resourceTable, c.resourceAt, ref.Name, where.at("target"), prefix+".target")
	case ref.Kind == groupTarget:
		c.known(groupTable, c.groupAt, ref.Name, where.at("target"), prefix+".target")
	case ref.Kind == serverTarget && rec.Policy.MaxRestart > 0:
		c.add(where.at("restarts"), prefix+".restarts", `the server is not restarted step by step: set final_action = "reboot", or name a resource or group as target`)
	}
	c.checkFinalAction(rec, where, prefix)
	c.checkScripts(rec, where, prefix)
}

func (c *names) checkFinalAction(rec *Recovery, where *place, prefix string) {
	kind, line, key := rec.Target.Kind, where.at("final_action"), prefix+".final_action"
	switch a := rec.Policy.FinalAction; a {
	case recovery.Command:
		if rec.Command == "" {
			c.add(line, key, "%q needs command, the script or program to run", a)
		}
		return
	case recovery.StopResource:
		if kind != resourceTarget {
			c.add(line, key, "%q needs a resource as target, which here is %q", a, rec.Target)
		}
	case recovery.StopGroup:
		if kind == serverTarget {
			c.add(line, key, "%q needs a resource or group as target, which here is %q", a, rec.Target)
		}
	default:
	}
	if rec.Command != "" {
		c.warn(where.at("command"), prefix+".command", "never runs: set final_action = \"command\"")
	}
}

func (c *names) checkScripts(rec *Recovery, where *place, prefix string) {
	p := rec.Policy
	switch {
	case p.MaxScript > 0 && rec.Script == "":
		c.add(where.at("scripts"), prefix+".scripts", "needs script, the recovery script to run")
	case p.MaxScript == 0 && rec.Script != "":
		c.warn(where.at("script"), prefix+".script", "never runs: set scripts to the number of runs")
	}
	if rec.BeforeRestart != "" && p.MaxRestart == 0 {
		c.warn(where.at("before_restart"), prefix+".before_restart", "never runs: there are no restarts")
	}
	if rec.BeforeFinal != "" && p.FinalAction == recovery.NoAction {
		c.warn(where.at("before_final"), prefix+".before_final", "never runs: there is no final_action")
	}
}
