// Package exec declares the resource that scripts start and stop.
package exec

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"shisa/ctl/param"
	"shisa/ctl/proc"
	"shisa/ctl/resource"
	"shisa/ctl/run"
)

type params struct {
	start     string
	stop      string
	startSync bool
	stopSync  bool
	user      string
	limits    []string
	log       string
	rotate    int64
	kill      bool
	startOK   []string
	stopOK    []string

	parsed    []run.Limit  // of limits
	startedBy map[int]bool // exit statuses, of startOK
	stoppedBy map[int]bool // exit statuses, of stopOK
}

// Type is anything that a script starts and another one stops.
var Type = resource.Define(resource.Spec[params]{
	Name:  "exec",
	Alias: "exec",
	Title: "Start and stop scripts",
	Doc: "Runs a script to start an application and another one to stop it. Exit status 0 is success, any other a failure, unless `start_success` and `stop_success` say otherwise.\n\n" +
		"With `start_sync = true` the start script must come to its end, and may leave processes behind: the application. " +
		"With `start_sync = false` the script is the application: it counts as started as soon as it runs, the monitor type `pid` watches it, " +
		"and when the stop script is done it is ended, too, unless it has ended by itself.\n\n" +
		"`shisa template exec` writes scripts to begin with. They find the environment variables of the original (`CLP_EVENT`, `CLP_FACTOR`, `CLP_RESOURCENAME` …), and nothing of the daemon's own environment. " +
		"A script that exceeds its time is killed with all that it has started. " +
		"What the application leaves running after the stop script is killed, unless `kill_remaining = false`; nothing else ever is.",
	Timing:  resource.Timing{Start: 1800 * time.Second, Stop: 1800 * time.Second},
	Params:  declare,
	Example: map[string]any{"start": "start.sh", "stop": "stop.sh"},
	New: func(p params, env resource.Env) (resource.Resource, error) {
		s := &script{params: p, env: env, state: stateFile(env)}
		s.adopt() // an earlier daemon may have left it running
		return s, nil
	},
})

func declare(p *params, s *param.Set) {
	s.String(&p.start, "start", "", "The start script; a relative path starts at the configuration.").Required().File().As("parameters/act/path")
	s.String(&p.stop, "stop", "", "The stop script; empty: what was started is ended by signals alone.").File().As("parameters/deact/path")
	s.Bool(&p.startSync, "start_sync", true, "Whether to wait for the end of the start script.").As("parameters/act/sync")
	s.Bool(&p.stopSync, "stop_sync", true, "Whether to wait for the end of the stop script.").As("parameters/deact/sync")
	s.Strings(&p.startOK, "start_success", []string{"0"}, `Exit statuses of the start script that mean success, such as ["0", "10-19"].`).
		Check(func() (err error) { p.startedBy, err = statuses(p.startOK); return err })
	s.Strings(&p.stopOK, "stop_success", []string{"0"}, `Exit statuses of the stop script that mean success, such as ["0", "7"].`).
		Check(func() (err error) { p.stoppedBy, err = statuses(p.stopOK); return err })
	s.String(&p.user, "user", "", "User to run as; empty: the user of the service.")
	s.Strings(&p.limits, "limits", nil, `Resource limits, such as ["nofile=65536", "stack=unlimited", "core=0"]; sizes in bytes, times in seconds.`).Check(p.parseLimits)
	s.String(&p.log, "log", "", "File for the output of both scripts; empty: it is thrown away, but for the end of it when a script fails.").As("parameters/userlog").
		Check(func() error {
			if p.log != "" && !filepath.IsAbs(p.log) {
				return fmt.Errorf("%q must be an absolute path", p.log)
			}
			return nil
		})
	s.Size(&p.rotate, "log_rotate", 0, 0, 999999999, "Size at which the log is rotated, with each line stamped; 0B: never, lines unchanged.").As("parameters/logrotate/size")
	s.Bool(&p.kill, "kill_remaining", true, "Whether to kill what the start script has left running when the stop script is done.")
}

// A script is one resource.
type script struct {
	params
	env   resource.Env
	state string // file with the identity of the process; empty: none is kept

	mu      sync.Mutex
	started *run.Process // by the last Start; nil: none, or before a restart of the daemon
	main    proc.ID      // of an asynchronous start; zero: none
}

// Start implements resource.Resource.
func (s *script) Start(ctx context.Context, r resource.Request) error {
	if !s.startSync && s.adopt() {
		return nil
	}
	c, err := s.command(s.start, r)
	if err != nil {
		return err
	}
	c.Leave = true
	if !s.startSync && s.log == "" {
		// It outlives us: a pipe to us would break with our end.
		if c.Output, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0); err != nil {
			return fmt.Errorf("start script: %w", err)
		}
	}
	if s.startSync {
		p, err := run.Start(ctx, c)
		if err != nil {
			return fmt.Errorf("start script: %w", err)
		}
		s.keep(p, proc.ID{})
		return failure("start script", p.Wait(), s.startedBy)
	}
	p, err := run.Start(context.WithoutCancel(ctx), c)
	if err != nil {
		return fmt.Errorf("start script: %w", err)
	}
	s.keep(p, p.ID())
	return s.save(p.ID())
}

// Stop implements resource.Resource. The script always runs, even if nothing
// was started by us: it may have been before a restart of the daemon.
func (s *script) Stop(ctx context.Context, r resource.Request) error {
	var errs []error
	if s.stop != "" {
		errs = append(errs, s.runStop(ctx, r))
	}
	if err := s.end(ctx); err != nil {
		errs = append(errs, err)
	} else {
		s.keep(nil, proc.ID{})
		errs = append(errs, s.forget())
	}
	return errors.Join(errs...)
}

func (s *script) runStop(ctx context.Context, r resource.Request) error {
	c, err := s.command(s.stop, r)
	if err != nil {
		return err
	}
	c.Leave = true
	if s.stopSync {
		return failure("stop script", run.Run(ctx, c), s.stoppedBy)
	}
	if _, err := run.Start(context.WithoutCancel(ctx), c); err != nil {
		return fmt.Errorf("stop script: %w", err)
	}
	return nil
}

// end sees to it that nothing of the application is left.
func (s *script) end(ctx context.Context) error {
	s.mu.Lock()
	p, id := s.started, s.main
	s.mu.Unlock()
	switch {
	case p == nil && id.PID != 0:
		return endAdopted(ctx, id)
	case p == nil:
		return nil
	case id.PID != 0:
		p.Stop()
		if r := p.Wait(); r.Stuck {
			return fmt.Errorf("end process %d: it or a child of it cannot be killed", id.PID)
		}
	}
	if s.kill && !p.KillRemains() {
		return errors.New("some of its processes cannot be killed: they wait inside the kernel")
	}
	return nil
}

func (s *script) keep(p *run.Process, id proc.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started, s.main = p, id
}

// Process implements resource.Processer: the process of an asynchronous start,
// alive or not, until it is stopped.
func (s *script) Process() (pid int, start uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.main.PID, s.main.Start, s.main.PID != 0
}

// statuses returns the set of exit statuses that a list names.
func statuses(list []string) (map[int]bool, error) {
	set := map[int]bool{}
	for _, text := range list {
		from, to, err := run.ParseStatus(text)
		if err != nil {
			return nil, err
		}
		for n := from; n <= to; n++ {
			set[n] = true
		}
	}
	if len(set) == 0 {
		return nil, errors.New("name at least one exit status that means success")
	}
	return set, nil
}

// failure turns the end of a script into an error that quotes its last words,
// unless its exit status is one of success.
func failure(what string, r run.Result, success map[int]bool) error {
	if r.State == run.Exited && success[r.Code] {
		return nil
	}
	err := r.AsError()
	if err == nil {
		err = fmt.Errorf("exited with status %d, which is no success here", r.Code)
	}
	if r.State == run.TimedOut {
		err = fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return fmt.Errorf("%s: %w%s", what, err, lastLine(r.Output))
}
