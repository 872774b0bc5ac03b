package compat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/client"
	"shisa/ctl/tick"
)

var clpcl = command{
	name: "clpcl", twin: "shisa service, shisa suspend, shisa resume",
	usage: `-s [-a] [-h host_name] [-w time] [--apito time] [--web] [--alert] [--ib] [--api] [--md]
		-t [-a] [-h host_name] [-w time] [--apito time] [--web] [--alert] [--ib] [--api] [--md]
		-r [-a] [-h host_name] [-w time] [--apito time] [--web] [--alert] [--ib] [--api] [--md]
		--suspend [--force] [-w time] [--apito time] [-a] [-h host_name]
		--resume [-w time] [--apito time] [-a] [-h host_name]`,
	options: []option{{"-s", alone}, {"-t", alone}, {"-r", alone}, {"--suspend", alone}, {"--resume", alone}, {"--force", alone},
		{"--web", alone}, {"--alert", alone}, {"--ib", alone}, {"--api", alone}, {"--md", alone}, allOption, hostOption, waitOption, timeoutOption},
	run: runCluster,
}

// defaultWait is how long clpcl waits for a stop when -w does not say: the
// original took twice the heartbeat timeout.
const defaultWait = 180

func runCluster(c *call) error {
	verb, err := c.given.which("-s", "-t", "-r", "--suspend", "--resume")
	if err != nil {
		return err
	}
	wait, err := c.given.seconds("-w", 0, 9999, defaultWait)
	if err != nil {
		return err
	}
	s, down := c.soon(c.client.Overview)
	server := s.Server
	if down != nil {
		if server, err = os.Hostname(); err != nil {
			return err
		}
	}
	if err := c.here(server); err != nil {
		return err
	}
	switch verb {
	case "--suspend", "--resume":
		err = c.hold(s, down, verb == "--suspend")
	default:
		err = c.service(verb, down, wait)
	}
	if err != nil {
		return err
	}
	if c.given.has("-a") {
		fmt.Fprintf(c.out, "%s %s : %s\n", clusterVerbs[verb], server, succeeded)
		return nil
	}
	return c.succeed()
}

var clusterVerbs = map[string]string{"-s": "Start", "-t": "Stop", "-r": "Restart", "--suspend": "Suspend", "--resume": "Resume"}

func (c *call) hold(s api.Status, down error, suspend bool) error {
	if down != nil {
		return down
	}
	if s.Suppression.Suspended == suspend {
		if suspend {
			return suspended.say("It was suspended before.")
		}
		return badStatus.say("Resumed the daemon that is not suspended.")
	}
	do := c.client.Resume
	if suspend {
		do = c.client.Suspend
	}
	_, err := do(c.ctx, api.SuspendCommand{Reason: c.name})
	return err
}

// partOptions are those for services of the original that are parts of the
// daemon.
var partOptions = []string{"--alert", "--ib", "--api", "--md"}

// service starts or stops the daemon, or a service beside it: the web manager
// has its own, the others are parts of the daemon.
func (c *call) service(verb string, down error, wait time.Duration) error {
	switch {
	case c.given.has("--web"):
		act := map[string]string{"-s": "start", "-t": "stop", "-r": "restart"}[verb]
		return c.unit(c.ctx, act, client.WebUnit, true)
	case len(c.given.among(partOptions)) > 0:
		fmt.Fprintln(c.err, "This service is a part of the daemon and runs as long as it does: nothing to do.")
		return nil
	}
	hangs := errors.Is(down, context.DeadlineExceeded) && c.ctx.Err() == nil
	running := down == nil || hangs || api.CodeOf(down) == api.NotReady
	if !running && api.CodeOf(down) != api.Unreachable {
		return down
	}
	switch {
	case verb == "-s" && running:
		return badStatus.say("Performed startup processing to the active cluster daemon.")
	case verb == "-t" && !running:
		return badStatus.say("Performed stop processing to the stopped cluster daemon.")
	}
	if verb != "-s" && running {
		if err := c.stopDaemon(wait, verb == "-t"); err != nil {
			return err
		}
	}
	if verb == "-t" {
		return nil
	}
	if !c.units.Present() {
		return badStatus.say("systemd does not run here, and nobody else can be asked to start the daemon: start shisad.")
	}
	return c.unit(c.ctx, "start", client.DaemonUnit, true)
}

// unit has systemd do something. That it does not succeed is no internal error.
func (c *call) unit(ctx context.Context, verb, unit string, wait bool) error {
	err := c.units.Do(ctx, verb, unit, wait)
	if err == nil || ctx.Err() != nil || api.CodeOf(err) == api.Forbidden {
		return err
	}
	return &failure{unsuccessful, err.Error() + ".", err}
}

// stopDaemon stops the groups and the daemon. Where there is no systemd, as in
// containers, the daemon is asked itself. Stopping must have ended before a
// start that follows; otherwise a wait of 0 asks only.
func (c *call) stopDaemon(wait time.Duration, last bool) error {
	patient := wait > 0 || !last
	ctx, cancel := c.ctx, func() {}
	if wait > 0 {
		ctx, cancel = context.WithTimeout(c.ctx, wait)
	}
	defer cancel()
	if c.units.Present() {
		return c.unit(ctx, "stop", client.DaemonUnit, patient)
	}
	if _, err := c.client.Stop(ctx, api.StopCommand{Reason: c.name}); err != nil || !patient {
		return cmp.Or(ctx.Err(), err)
	}
	for {
		if _, err := c.client.Overview(ctx); api.CodeOf(err) == api.Unreachable && ctx.Err() == nil {
			return nil
		}
		if !tick.Sleep(ctx, pollEvery) {
			return ctx.Err()
		}
	}
}

// pollEvery is the time between two looks at whether the daemon has gone.
const pollEvery = 100 * time.Millisecond

var (
	clpdown = command{name: "clpdown", twin: "shisa shutdown", usage: "[-r] [-h host_name]", options: []option{{"-r", alone}, hostOption}, run: runDown}
	clpstdn = command{name: "clpstdn", twin: "shisa shutdown", usage: "[-r] [-h host_name]", options: []option{{"-r", alone}, hostOption}, run: runDown}
)

// runDown takes this server down: the cluster of clpstdn has no other. An
// observing daemon refuses; then it is said what would have been done.
func runDown(c *call) error {
	s, err := c.overview()
	if err != nil {
		return err
	}
	cmd, what := api.ShutdownCommand{How: api.PowerOff, Reason: c.name}, "powered off"
	if c.given.has("-r") {
		cmd.How, what = api.Reboot, "restarted"
	}
	_, err = c.client.Shutdown(c.ctx, cmd)
	if api.CodeOf(err) == api.Refused && s.Mode == "observe" {
		fmt.Fprintf(c.out, "Observing only, so nothing was done: every group would have been stopped and %s would have been %s.\n", s.Server, what)
	}
	if err != nil {
		return err
	}
	return c.succeed()
}
