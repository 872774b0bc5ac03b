package service

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/coreos/go-systemd/v22/dbus"
	"golang.org/x/sys/unix"

	"shisa/ctl/api"
	own "shisa/ctl/daemon"
	"shisa/ctl/tick"
)

const unit = "shisad.service"

// underSystemd reports whether systemd started this process.
func underSystemd() bool { return os.Getenv("INVOCATION_ID") != "" }

func ready() { notify(daemon.SdNotifyReady) }

func stopping() { notify(daemon.SdNotifyStopping) }

// notify tells systemd something; without systemd it does nothing, and nothing
// depends on it.
func notify(state string) { _, _ = daemon.SdNotify(false, state) }

// listen begins to take the signals that shisad understands.
func listen() chan os.Signal {
	// What resources have left behind may write to a pipe of ours; that it is
	// broken is then an error of theirs and not their death.
	signal.Ignore(unix.SIGPIPE)
	c := make(chan os.Signal, 4)
	signal.Notify(c, unix.SIGHUP, unix.SIGTERM, unix.SIGINT)
	return c
}

// signals understands signals until ctx is done:
//
//	SIGHUP            read the configuration again
//	SIGTERM, SIGINT   stop; what that means depends on who asked, see stop
//
// A reload waits for the resources that it stops, and nothing waits for the reload:
// one that is asked for meanwhile follows it.
func (p *process) signals(ctx context.Context, told <-chan os.Signal) {
	asked := make(chan struct{}, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { p.reloads(ctx, asked) })
	for {
		select {
		case s := <-told:
			if s == unix.SIGHUP {
				select {
				case asked <- struct{}{}:
				default: // one is to come that reads what stands there now
				}
				continue
			}
			p.stop(ctx, s.String())
		case err := <-p.degraded:
			p.daemon.StoreChanged(ctx, err)
		case <-ctx.Done():
			return
		}
	}
}

// reloads reloads whenever it is asked until ctx is done.
func (p *process) reloads(ctx context.Context, asked <-chan struct{}) {
	for {
		select {
		case <-asked:
			p.reload(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (p *process) reload(ctx context.Context) {
	notify(daemon.SdNotifyReloading)
	defer ready()
	ctx = api.WithCaller(ctx, api.Caller{PID: os.Getpid(), Name: "SIGHUP"})
	if _, err := p.daemon.ApplyConfig(ctx, api.ConfigSource{}); err != nil {
		p.log.Error("configuration is not applied", err, nil)
	}
}

// stop ends the daemon. A restart or an upgrade leaves everything running and
// the countdown armed; the operating system going down, and a deliberate stop,
// stop the groups; only a deliberate stop disarms.
func (p *process) stop(ctx context.Context, by string) {
	if underSystemd() {
		if down := p.goingDown(ctx); down != "" {
			p.daemon.StopService(ctx, "systemd", "the operating system is going down", down)
			return
		}
		if job(ctx) == "restart" {
			p.log.Info("leaving for a restart: resources run on, the countdown stays armed", nil)
			p.daemon.Leave()
			return
		}
	}
	p.daemon.StopService(ctx, by, "stopped by "+by, "")
}

// job says what systemd is about with our unit: "restart", or anything else: a
// stop. A system that cannot be asked counts as a stop.
func job(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	conn, err := dbus.NewSystemConnectionContext(ctx)
	if err != nil {
		return "stop"
	}
	defer conn.Close()
	jobs, err := conn.ListJobsContext(ctx)
	if err != nil {
		return "stop"
	}
	for _, j := range jobs {
		if j.Unit == unit {
			return j.JobType
		}
	}
	return "stop"
}

// askLimit bounds a question to systemd.
const askLimit = 5 * time.Second

// goingDown says where systemd is on its way down to, see [destination]; empty: it
// is not (systemctl(1), is-system-running: stopping).
func goingDown(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	conn, err := dbus.NewSystemConnectionContext(ctx)
	if err != nil {
		return ""
	}
	defer conn.Close()
	state, err := conn.SystemStateContext(ctx)
	if err != nil || strings.Trim(state.Value.String(), `"`) != "stopping" {
		return ""
	}
	jobs, err := conn.ListJobsContext(ctx)
	if err != nil {
		return "shutdown"
	}
	return destination(jobs)
}

// destination names what comes after the way down by the job of its target
// (systemd.special(7)): "reboot", "poweroff", or "shutdown" when that is not known.
func destination(jobs []dbus.JobStatus) string {
	for _, j := range jobs {
		if j.JobType != "start" {
			continue
		}
		switch j.Unit {
		case "reboot.target", "kexec.target":
			return "reboot"
		case "poweroff.target", "halt.target":
			return "poweroff"
		}
	}
	return "shutdown"
}

// watchdog tells systemd that we are alive, as long as every beat is fresh.
func (p *process) watchdog(ctx context.Context) {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil || limit == 0 {
		return
	}
	for tick.Wait(ctx, limit/3) {
		fresh := true
		for _, b := range p.protect.View().Stall.Beats {
			fresh = fresh && b.Fresh
		}
		if fresh {
			notify(daemon.SdNotifyWatchdog)
		}
	}
}

// apiEvery returns how often the API has to prove that it answers: once in a
// round of the stall checks, and not so often that it would cost anything.
func apiEvery(interval time.Duration) time.Duration {
	return min(max(interval, 250*time.Millisecond), 3*time.Second)
}

// beatAPI asks the API something and counts any answer as its progress.
func (p *process) beatAPI(ctx context.Context, socket string) {
	beat := p.protect.Beat(own.BeatAPI)
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	defer client.CloseIdleConnections()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://shisa/v1/alive", nil)
		if err == nil {
			var r *http.Response
			if r, err = client.Do(req); err == nil {
				err = r.Body.Close()
			}
		}
		if err == nil {
			beat()
		}
		if !tick.Wait(ctx, apiEvery(p.daemon.Model().Stall.Interval)) {
			return
		}
	}
}
