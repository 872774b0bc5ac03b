package compat

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"shisa/ctl/api"
)

var clprexec = command{
	name: "clprexec", twin: "shisa script run, shisa group, shisa notify",
	usage: `--failover [group_name | -r resource_name] [-h ip_address] [-w time] [-p port] [-o logfile]
		--script script_file [-h ip_address] [-w time] [-p port] [-o logfile]
		--notice [mrw_name | -k category[.keyword]] [-h ip_address] [-w time] [-p port] [-o logfile]
		--clear [mrw_name | -k category[.keyword]] [-h ip_address] [-w time] [-p port] [-o logfile]`,
	options: []option{{"--failover", maybe}, {"--script", with}, {"--notice", maybe}, {"--clear", maybe}, {"-r", with}, {"-k", with},
		hostOption, waitOption, {"-p", with}, {"-o", with}},
	run: runRemote,
}

var clptrnreq = command{
	name: "clptrnreq", twin: "shisa script run, shisa group",
	usage: `-t GRP_FAILOVER -h ip_address -r resource_name [-w time]
		-t EXEC_SCRIPT -h ip_address -s script_file [-w time]`,
	options: []option{{"-t", with}, hostOption, {"-r", with}, {"-s", with}, waitOption},
	run:     runRequest,
}

func runRemote(c *call) error {
	verb, err := c.given.which("--failover", "--script", "--notice", "--clear")
	if err != nil {
		return err
	}
	// The original's default was 30 s at first, which was too short (enhancement 32).
	limit, err := c.given.seconds("-w", 1, 3600, 180)
	if err != nil {
		return err
	}
	if _, err := c.given.number("-p", 1, 65535, 29002); err != nil {
		return err
	}
	log, err := c.logFile()
	if err != nil {
		return err
	}
	defer log.Close()
	switch name := c.given.text(verb); verb {
	case "--script":
		return c.script(name, limit, log)
	case "--failover":
		return c.restartGroup(name, c.given.text("-r"), limit)
	default:
		return c.notify(name, verb == "--clear", limit)
	}
}

// logFile opens the file that -o names, or one in the folder that it names;
// without -o it is one that forgets.
func (c *call) logFile() (*os.File, error) {
	path := cmp.Or(c.given.text("-o"), os.DevNull)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, c.name+".log")
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, &failure{badOption, "-o: " + err.Error() + ".", err}
	}
	return f, nil
}

func runRequest(c *call) error {
	limit, err := c.given.seconds("-w", 1, 3600, 30)
	if err != nil {
		return err
	}
	if !c.given.has("-h") {
		return badOption.say("-h is missing: which server?")
	}
	switch kind := c.given.text("-t"); {
	case kind == "EXEC_SCRIPT" && c.given.has("-s"):
		return c.script(c.given.text("-s"), limit, io.Discard)
	case kind == "GRP_FAILOVER" && c.given.has("-r"):
		return c.restartGroup("", c.given.text("-r"), limit)
	case kind == "EXEC_SCRIPT", kind == "GRP_FAILOVER":
		return badOption.say("EXEC_SCRIPT needs -s, GRP_FAILOVER needs -r.")
	}
	return badOption.say("-t takes GRP_FAILOVER or EXEC_SCRIPT.")
}

// script has the daemon run a script of its folder and copies what it printed.
func (c *call) script(name string, limit time.Duration, log io.Writer) error {
	defer c.limit(limit + grace)()
	if _, err := c.overview(); err != nil {
		return err
	}
	r, err := c.client.Script(c.ctx, api.ScriptCommand{Name: name, TimeMS: api.Millis(limit), Reason: c.name + " script request"})
	if err != nil {
		return err
	}
	if _, err := io.WriteString(log, r.Output); err != nil {
		return &failure{unsuccessful, "The script ran; its output is lost: " + err.Error(), err}
	}
	if !r.OK {
		return unsuccessful.say(r.Text + ".")
	}
	return c.succeed()
}

// grace is how much longer than the script itself its request may take.
const grace = 10 * time.Second

// restartGroup does what a failover comes to on a server that has no other: the
// group, or that of a resource, is stopped and started again.
func (c *call) restartGroup(group, resource string, limit time.Duration) error {
	defer c.limit(limit)()
	if (group == "") == (resource == "") {
		return badOption.say("Give the name of a group, or -r with a resource of it.")
	}
	s, err := c.overview()
	if err != nil {
		return err
	}
	r, isResource := findResource(s, resource)
	switch _, isGroup := findGroup(s, group); {
	case isResource:
		group = r.Group
	case resource != "":
		return noName.say("Specify a valid resource name in the cluster.")
	case !isGroup:
		return noName.say("Specify a valid group name in the cluster.")
	}
	for _, verb := range []api.UnitVerb{api.StopUnit, api.StartUnit} {
		if _, err := c.client.Group(c.ctx, api.UnitCommand{Name: group, Verb: verb, Reason: c.name + " failover request"}); err != nil {
			return err
		}
	}
	fmt.Fprintln(c.err, "There is no other server: the group was restarted on this one.")
	return c.succeed()
}

// notify hands a message to the monitors of type message.
func (c *call) notify(monitor string, clear bool, limit time.Duration) error {
	defer c.limit(limit)()
	category, keyword, _ := strings.Cut(c.given.text("-k"), ".")
	if (monitor == "") == (category == "") {
		return badOption.say("Give the name of a monitor, or -k with a category.")
	}
	if _, err := c.overview(); err != nil {
		return err
	}
	n := api.NotifyCommand{Monitor: monitor, Category: category, Keyword: keyword, Text: c.name + " notice request", Clear: clear}
	if _, err := c.client.Notify(c.ctx, n); err != nil {
		return err
	}
	return c.succeed()
}
