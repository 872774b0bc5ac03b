// Package custom declares the monitor that a script carries out.
package custom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/param"
	"shisa/ctl/run"
)

type params struct {
	script  string
	args    []string
	sync    bool
	wait    time.Duration
	normal  []string
	warning []string
	failed  []string
	user    string
	log     string
	rotate  int64

	verdicts map[int]monitor.Verdict // by exit status, of normal, warning and failed
}

// Type runs a script and judges by its exit status.
var Type = monitor.Define(monitor.Spec[params]{
	Name:  "custom",
	Alias: "genw",
	Title: "Custom script",
	Doc: "Runs a script and judges by its exit status.\n\n" +
		"A status that stands in none of the lists, a script that cannot be started and one that is killed by a signal say nothing " +
		"about the target: the probe then could not look, and no recovery follows. That holds for 126 and 127, with which a shell " +
		"says that a command of the script was not found, and for 129 and above, with which it says that one was killed, " +
		"unless you list them. A script that runs into the timeout is killed with all that it has started, and the probe times out.\n\n" +
		"With `sync = false` the script is started once and goes on running. While it runs, all is well; when it ends, its status counts and it is started again, though not more often than every ten seconds.",
	Timing:  monitor.Timing{Interval: 60 * time.Second, Timeout: 120 * time.Second},
	Params:  declare,
	Example: map[string]any{"script": "check-app.sh"},
	New: func(p params, env monitor.Env) (monitor.Prober, error) {
		if !filepath.IsAbs(p.script) {
			p.script = filepath.Join(env.Dir, p.script)
		}
		if p.sync {
			return &prober{p, env}, nil
		}
		return &keeper{prober: prober{p, env}}, nil
	},
})

func declare(p *params, s *param.Set) {
	s.String(&p.script, "script", "", "The script; a relative path starts at the configuration.").Required().File().As("parameters/path")
	s.Strings(&p.args, "args", nil, "Arguments of the script.")
	s.Bool(&p.sync, "sync", true, "Whether a probe waits for the end of the script; otherwise it is kept running.").As("parameters/sync")
	s.Duration(&p.wait, "start_wait", 0, 0, 9999*time.Second, "With sync = false, how long after its start an end of the script is not judged.").As("parameters/waitmonstart")
	s.Strings(&p.normal, "normal", []string{"0"}, `Exit statuses that mean that all is well, such as ["0", "10-19"].`).As("parameters/normalval")
	s.Strings(&p.warning, "warning", nil, "Exit statuses that mean a warning.")
	s.Strings(&p.failed, "failed", []string{failures}, "Exit statuses that mean a failure; the default is without those that the other lists name.").Check(p.judge)
	s.String(&p.user, "user", "", "User to run as; empty: the user of the service.")
	s.String(&p.log, "log", "", "File for the output of the script; empty: the end of it stands in the notes of the probe.").As("parameters/userlog").
		Check(func() error {
			if p.log != "" && !filepath.IsAbs(p.log) {
				return fmt.Errorf("%q must be an absolute path", p.log)
			}
			return nil
		})
	s.Size(&p.rotate, "log_rotate", 0, 0, 999999999, "Size at which the log is rotated, with each line stamped; 0B: never, lines unchanged.").As("parameters/logrotate/size")
}

// failures is the default of failed.
const failures = "1-125"

// judge fills verdicts. It hangs on the last of the three lists.
func (p *params) judge() error {
	p.verdicts = map[int]monitor.Verdict{}
	for _, list := range []struct {
		name    string
		texts   []string
		verdict monitor.Verdict
	}{{"normal", p.normal, monitor.OK}, {"warning", p.warning, monitor.Warning}, {"failed", p.failed, monitor.Failed}} {
		for _, text := range list.texts {
			from, to, err := run.ParseStatus(text)
			if err != nil {
				return err
			}
			for status := from; status <= to; status++ {
				v, dup := p.verdicts[status]
				if dup && list.name == "failed" && len(p.failed) == 1 && text == failures {
					continue
				}
				if dup && v != list.verdict {
					return fmt.Errorf("exit status %d stands in %q and in another list", status, list.name)
				}
				p.verdicts[status] = list.verdict
			}
		}
	}
	return nil
}

// A prober runs the script once a probe.
type prober struct {
	params
	env monitor.Env
}

// Probe implements monitor.Prober.
func (p *prober) Probe(ctx context.Context) (monitor.Finding, error) {
	c, err := p.command()
	if err != nil {
		return monitor.Finding{}, err
	}
	// What is left of the time is for ending the script: the probe itself
	// must be over when its time is.
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		reserve := min(left/10, time.Second)
		c.Timeout, c.Grace = left-reserve, reserve/2
	}
	return p.conclude(ctx, run.Run(ctx, c))
}

func (p *prober) command() (run.Command, error) {
	c := run.Command{
		Name: p.env.Name, Path: p.script, Args: p.args, Dir: filepath.Dir(p.script), User: p.user,
		Env: append(append(run.BaseEnv(), run.UserEnv(p.user)...), "CLP_MONITORNAME="+p.env.Name),
	}
	if p.log == "" {
		return c, nil
	}
	w, err := run.LogTo(p.log, p.rotate)
	c.Output = io.Writer(w)
	return c, err
}

// conclude judges how the script has ended.
func (p *prober) conclude(ctx context.Context, r run.Result) (monitor.Finding, error) {
	monitor.Logf(ctx, "%s %v after %v", filepath.Base(p.script), r, r.Took)
	last := note(ctx, r)
	if r.Stuck {
		monitor.Logf(ctx, "some of its processes cannot be killed: they wait inside the kernel")
	}
	switch r.State {
	case run.TimedOut:
		return monitor.Finding{}, fmt.Errorf("the script %v: %w", r, context.DeadlineExceeded)
	case run.Cancelled:
		return monitor.Finding{}, errors.Join(fmt.Errorf("the script was %v", r), ctx.Err())
	case run.CouldNotStart, run.Signalled:
		return monitor.Finding{}, fmt.Errorf("the script %v", r)
	case run.Exited:
	}
	verdict, known := p.verdicts[r.Code]
	if !known {
		return monitor.Finding{}, fmt.Errorf("the script exited with status %d, which says nothing about the target%s", r.Code, last)
	}
	return monitor.Finding{Verdict: verdict, Detail: fmt.Sprintf("the script exited with status %d%s", r.Code, last)}, nil
}

// noteLines is how many lines of output are noted.
const noteLines = 20

// note notes the end of the output, and returns its last line for the finding.
func note(ctx context.Context, r run.Result) string {
	text := strings.TrimSpace(strings.ToValidUTF8(string(r.Output), "?"))
	if text == "" {
		return ""
	}
	if r.Dropped > 0 {
		monitor.Logf(ctx, "%d bytes of output were dropped", r.Dropped)
	}
	lines := strings.Split(text, "\n")
	for _, line := range lines[max(0, len(lines)-noteLines):] {
		monitor.Logf(ctx, "output: %.300s", line)
	}
	return fmt.Sprintf(": %.300s", lines[len(lines)-1])
}
