package power

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	configFile = "/etc/shisa/shisa.toml"
	// supervised is there for as long as a daemon that dies is started again.
	supervised = "/run/supervised"
	// armWait is how long the daemon may take to start and arm, in emulation.
	armWait = 2 * time.Minute
	// pollEvery is how often the guest is asked while it starts.
	pollEvery = 300 * time.Millisecond
)

// prepare loads the engine's modules, starts the daemon and waits until it has
// armed.
func (a *act) prepare(ctx context.Context) error {
	modules := a.Engine.Modules
	if a.Fault.Feeder {
		modules = a.Engine.FeedModules
	}
	if err := a.load(ctx, modules); err != nil {
		return err
	}
	if a.Fault.Feeder {
		return nil
	}
	if _, err := a.guest.Sh(ctx, "rm -rf "+stateDir+"/*"); err != nil {
		return err
	}
	if err := a.startDaemon(ctx, "protect"); err != nil {
		return err
	}
	for _, argv := range a.Fault.Before {
		if _, err := a.guest.Go(argv...); err != nil {
			return err
		}
	}
	return a.waitArmed(ctx)
}

func (a *act) load(ctx context.Context, modules []string) error {
	for _, module := range modules {
		if _, err := a.guest.Sh(ctx, "modprobe "+module); err != nil {
			return err
		}
	}
	return nil
}

// startDaemon writes the configuration and starts the daemon with it.
func (a *act) startDaemon(ctx context.Context, mode string) error {
	if _, err := a.guest.Sh(ctx, "mkdir -p "+filepath.Dir(configFile)); err != nil {
		return err
	}
	if err := a.guest.WriteFile(ctx, configFile, []byte(a.config(mode))); err != nil {
		return err
	}
	script := "exec shisad --foreground >>/run/shisad.log 2>&1"
	if a.Fault.Supervise && mode == "protect" {
		script = "touch " + supervised + "; while [ -e " + supervised + " ]; do shisad --foreground >>/run/shisad.log 2>&1; sleep 1; done"
	}
	_, err := a.guest.Go("sh", "-c", script)
	return err
}

// waitArmed waits until the daemon says that it protects the machine.
func (a *act) waitArmed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, armWait)
	defer cancel()
	var last string
	for {
		r, err := a.guest.Run(ctx, "shisa", "status", "--json")
		if err != nil {
			return fmt.Errorf("not armed: %s: %w\n%s", last, err, a.daemonLog())
		}
		state, problem := armed([]byte(r.Stdout))
		if problem == nil {
			return nil
		}
		last = fmt.Sprintf("state %q (%v)", state, problem)
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
			return fmt.Errorf("not armed within %v: %s\n%s", armWait, last, a.daemonLog())
		}
	}
}

// armed reads `shisa status --json`.
func armed(text []byte) (state string, problem error) {
	var status struct {
		Protection struct {
			State   string `json:"state"`
			Primary *struct {
				Armed bool   `json:"armed"`
				Error string `json:"error"`
			} `json:"primary"`
			Keeper struct {
				Holding string `json:"holding"`
			} `json:"keeper"`
		} `json:"protection"`
	}
	if err := json.Unmarshal(text, &status); err != nil {
		return "", errors.New("no status yet")
	}
	p := status.Protection
	switch {
	case p.Primary == nil:
		return p.State, errors.New("no engine")
	case !p.Primary.Armed:
		return p.State, fmt.Errorf("not armed %s", p.Primary.Error)
	case p.Keeper.Holding != "":
		return p.State, fmt.Errorf("the keeper holds: %s", p.Keeper.Holding)
	}
	return p.State, nil
}

// daemonLog returns the end of what the daemon printed, for the report.
func (a *act) daemonLog() string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	text, err := a.guest.Sh(ctx, "tail -n 15 /run/shisad.log")
	if err != nil {
		return ""
	}
	return text
}

// askWhy starts the daemon after the reset, only observing, and compares the cause
// that it names.
func (a *act) askWhy(ctx context.Context, panicked bool) error {
	// A real machine would have loaded its watchdog's driver by itself, and that
	// driver knows whether it fired.
	if err := a.load(ctx, a.Engine.Modules); err != nil {
		return err
	}
	if err := a.startDaemon(ctx, "observe"); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, armWait)
	defer cancel()
	var said string
	for {
		r, err := a.guest.Run(wait, "shisa", "why", "--json")
		if err != nil {
			return fmt.Errorf("ask why: %w\n%s", err, a.daemonLog())
		}
		if cause, ok := cause([]byte(r.Stdout)); ok {
			a.result.Cause, said = cause, r.Stdout
			break
		}
		select {
		case <-time.After(pollEvery):
		case <-wait.Done():
			return fmt.Errorf("ask why: no answer within %v: %s%s\n%s", armWait, r.Stdout, r.Stderr, a.daemonLog())
		}
	}
	if err := a.leave(ctx); err != nil {
		return err
	}
	want := a.Fault.Causes
	if panicked {
		want = []string{"kernel-panic"}
	}
	switch {
	case !a.Fault.Reset: // that it was reset is the error, this is what it says to that
		return fmt.Errorf("shisa says why: %s", compact(said))
	case !slices.Contains(want, a.result.Cause):
		return fmt.Errorf("shisa names the cause %q; %s is right: %s", a.result.Cause, strings.Join(want, " or "), compact(said))
	}
	return nil
}

// compact takes the white space out of JSON, so that a reason is one line.
func compact(text string) string {
	var b bytes.Buffer
	if json.Compact(&b, []byte(text)) != nil {
		return text
	}
	return b.String()
}

// alarming are the codes of events that say that something failed.
const alarming = "monitor-failed,monitor-warning,process-died,resource-start-failed,group-start-failed,recovery-restart,recovery-final," +
	"action-intent,keeper-lost,keepalive-absent,stall-missed"

// askCalm makes sure that the daemon still protects the machine and found no
// failure where there was none.
func (a *act) askCalm(ctx context.Context) error {
	if err := a.waitArmed(ctx); err != nil {
		return err
	}
	r, err := a.guest.Run(ctx, "shisa", "events", "--json", "--code", alarming)
	if err != nil {
		return fmt.Errorf("ask for events: %w", err)
	}
	var events []struct {
		Code string `json:"code"`
		Text string `json:"text"`
	}
	if err := json.Unmarshal([]byte(r.Stdout), &events); err != nil {
		return fmt.Errorf("ask for events: %w: %s%s", err, r.Stdout, r.Stderr)
	}
	if len(events) > 0 {
		return fmt.Errorf("shisa calls it a failure: %s: %s", events[0].Code, events[0].Text)
	}
	return nil
}

// leave makes the guest as good as new for the next case. The daemon only observed:
// nothing is armed, so it may die without a word.
func (a *act) leave(ctx context.Context) error {
	return a.clear(ctx, "killall -9 shisad shisa-keeper", a.Engine.Modules)
}

// retire ends a case after which the guest still runs: a deliberate stop of the
// daemon disarms. An engine that counts on does not let its module go, or resets the
// guest, and both count against the case.
func (a *act) retire(ctx context.Context) error {
	if a.Fault.Feeder {
		return a.clear(ctx, ":", a.Engine.FeedModules) // it has disarmed
	}
	if err := a.clear(ctx, "rm -f "+supervised+"; killall shisad; while pidof shisad >/dev/null; do sleep 0.1; done; killall -9 shisa-keeper", a.Engine.Modules); err != nil {
		return fmt.Errorf("a deliberate stop: %w\n%s", err, a.daemonLog())
	}
	_, err := a.guest.Sh(ctx, fmt.Sprintf("date -u -s @%d", time.Now().Unix())) // the case may have set it
	return err
}

// clear ends the daemon by a script and takes the modules away: a driver that stays
// would give its device's name to the next case's engine.
func (a *act) clear(ctx context.Context, script string, modules []string) error {
	ctx, cancel := context.WithTimeout(ctx, armWait)
	defer cancel()
	script += "\nwhile pidof shisad shisa-keeper >/dev/null; do sleep 0.1; done\n"
	for _, module := range slices.Backward(modules) {
		script += "rmmod " + module + " || exit 1\n"
	}
	_, err := a.guest.Sh(ctx, script)
	return err
}

// cause reads `shisa why --json`.
func cause(text []byte) (string, bool) {
	var why struct {
		Boot *struct {
			Cause string `json:"cause"`
		} `json:"boot"`
	}
	if err := json.Unmarshal(text, &why); err != nil || why.Boot == nil {
		return "", false
	}
	return why.Boot.Cause, true
}
