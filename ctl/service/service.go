// Package service is shisad as a process: it puts the daemon together from the
// parts that reach this machine, tells systemd how it is, and understands
// signals. What the daemon does is in ctl/daemon.
//
// A configuration that cannot be read never keeps the daemon down: the one that
// was in force last goes on, or the embedded default, which only observes.
package service

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/config"
	"shisa/ctl/daemon"
	"shisa/ctl/event"
	"shisa/ctl/keepalive/choose"
	"shisa/ctl/log"
	"shisa/ctl/monitor/types/message"
	"shisa/ctl/protect"
	"shisa/ctl/recovery/actions"
	"shisa/ctl/stall"
	"shisa/ctl/store"
	"shisa/ctl/why"
	"shisa/ctl/witness"
)

// Default places.
const (
	DefaultConfig = "/etc/shisa/shisa.toml"
	DefaultRun    = "/run/shisa"
)

// Exit codes of shisad.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// closeLimit bounds the wait for the disk at the end.
const closeLimit = 5 * time.Second

// flags are the arguments of shisad.
type flags struct {
	config  string
	run     string
	state   string
	keeper  string
	version bool
	front   bool
}

// Main is shisad. It returns the exit status.
func Main(version string, args []string, out, errOut io.Writer) int {
	if len(args) > 0 && args[0] == message.ReceiverArg {
		return message.Receive(args[1:], os.Stdin, os.Stdout, errOut)
	}
	if ran, err := scribe(args, out); ran {
		return said(err, errOut)
	}
	f, err := parse(args, errOut)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case f.version:
		fmt.Fprintln(out, "shisad", version)
		return exitOK
	}
	return said(run(version, f, out, errOut), errOut)
}

// said tells how it ended and returns the exit status.
func said(err error, errOut io.Writer) int {
	if err != nil {
		fmt.Fprintln(errOut, "shisad:", err)
		return exitFailed
	}
	return exitOK
}

func parse(args []string, errOut io.Writer) (flags, error) {
	var f flags
	set := flag.NewFlagSet("shisad", flag.ContinueOnError)
	set.SetOutput(errOut)
	set.StringVar(&f.config, "config", DefaultConfig, "configuration `file`; when it does not exist, the embedded default, which observes")
	set.StringVar(&f.run, "run", DefaultRun, "runtime `directory`, on a tmpfs")
	set.StringVar(&f.state, "state", "", "state `directory`, instead of the configured one")
	set.StringVar(&f.keeper, "keeper", "", "`program` of the keeper, started when none answers; empty: beside shisad")
	set.BoolVar(&f.version, "version", false, "print the version and end")
	set.BoolVar(&f.front, "foreground", false, "run without systemd: print to the terminal, start the keeper ourselves")
	if err := set.Parse(args); err != nil {
		return f, err
	}
	if set.NArg() > 0 {
		fmt.Fprintf(errOut, "shisad: unexpected argument %q; see shisad -help\n", set.Arg(0))
		return f, errors.New("usage")
	}
	// Others are told of these paths, who are somewhere else.
	for _, path := range []*string{&f.config, &f.run, &f.state, &f.keeper} {
		if *path == "" {
			continue
		}
		var err error
		if *path, err = filepath.Abs(*path); err != nil {
			fmt.Fprintln(errOut, "shisad:", err)
			return f, err
		}
	}
	return f, nil
}

// A process is shisad with everything that it has open.
type process struct {
	flags      flags
	version    string
	types      config.Registry
	log        log.Logger
	store      *store.Store
	bus        *event.Bus
	protect    *protect.Protect
	daemon     *daemon.Daemon
	incomplete error      // what the configuration names and is not there; nil: nothing
	degraded   chan error // from the store: nil when it works again
	witness    *witness.Witness
	armed      chan struct{} // closed when the witnesses may begin
	shutdown   *api.Timeline // of the boot before; nil: unknown
}

func run(version string, f flags, out, errOut io.Writer) error {
	p := &process{flags: f, version: version, types: registry(), degraded: make(chan error, 1)}
	model, rejected := p.configuration()
	if f.state != "" {
		model.Store.Dir = f.state
	}
	var err error
	if p.log, err = log.New(errOut, log.Options{Level: model.Log.Level, JSON: model.Log.Format == "json"}); err != nil {
		return err
	}
	if bootID() == "" {
		p.log.Error("processes cannot be looked at, nor boots told apart", errors.New("/proc is not there; mount it: mount -t proc proc /proc"), nil)
	}
	if p.store, err = store.Open(model.Store.Dir, store.Options{JournalSize: model.Store.JournalSize,
		HistorySize: model.Store.HistorySize, Stamp: stamp, Changed: p.storeChanged}); err != nil {
		return err
	}
	defer p.close()
	p.bus = event.NewBus(p.stampEvent)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	reason, up := p.reason(ctx, p.scene(model.Store.Dir))
	if err := p.assemble(model, p.recall(reason, model.Store.Dir), up); err != nil {
		return err
	}
	if rejected != nil {
		p.emit(event.ConfigRejected.New("", "instead", rejected.instead, "error", rejected.why))
	} else {
		p.keepGood(model)
	}
	if p.incomplete != nil {
		p.emit(event.ConfigIncomplete.New("", "error", p.incomplete.Error()))
	}
	return p.serve(ctx, model, out)
}

// assemble makes the daemon.
func (p *process) assemble(model *config.Model, reason why.Verdict, up bool) error {
	if err := os.MkdirAll(p.flags.run, 0o755); err != nil {
		return fmt.Errorf("make the runtime directory: %w; name another one with -run", err)
	}
	p.protect = protect.New(protect.Options{
		Page: filepath.Join(p.flags.run, "beats"), Kernel: p.kernelPage(), Socket: filepath.Join(p.flags.run, "keeper.sock"), Program: p.keeper(), Version: p.version,
		LastWords: filepath.Join(model.Store.Dir, lastWordsName), Machine: choose.Machine{Fired: reason.Cause == why.UserStall || reason.Cause == why.ShutdownStall},
		Emit: p.emit, Armed: p.store.Armed, Checks: stall.Checks{Dir: model.Store.Dir, Fail: p.checkFailed},
	})
	p.observe(model)
	left := p.store.State().Current.Leaving
	machine := &actions.Machine{Root: "/", Init: actions.Systemd{}, BMC: bmc{}, Countdown: p.protect, Syscall: actions.Raw}
	var err error
	p.daemon, err = daemon.New(model, daemon.Parts{
		Version: p.version, Types: p.types, Store: p.store, Bus: p.bus, Log: p.log, Guard: guard{p.protect, p.witness}, Actor: actor{restrained{machine}, p.witness},
		Rescue:    func(ctx context.Context) bool { return actions.Rescue(ctx, model.Server.RescueTargets) },
		GoingDown: p.goingDown, Reason: reason, StillUp: up, Stopped: left != nil && left.Phase == "done", Doctor: p.doctor, Trace: p.trace, Ready: p.ready, Applied: p.applied, Config: p.path(), StateDir: p.flags.state, RunDir: p.flags.run,
	})
	return err
}

// serve runs the daemon and the API until one of them ends.
func (p *process) serve(ctx context.Context, model *config.Model, out io.Writer) error {
	server, err := api.NewServer(backend{p.daemon, p.shutdown}, api.Options{Socket: p.socket(model), Group: model.API.Group, Refused: p.refused})
	if err != nil {
		return err
	}
	l, err := server.Listen()
	if err != nil {
		return err
	}
	told := listen() // before anybody can know that we run
	defer signal.Stop(told)
	serving, endServing := context.WithCancel(ctx)
	defer endServing()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := server.Serve(serving, l); err != nil {
			p.log.Error("the API does not answer any more", err, nil)
		}
	})
	wg.Go(func() { p.beatAPI(serving, p.socket(model)) })
	wg.Go(func() { p.signals(serving, told) })
	wg.Go(func() { p.watchdog(serving) })
	wg.Go(func() { p.runWitness(serving) })
	if p.flags.front {
		wg.Go(func() { p.greet(serving, out) })
	}
	wg.Go(func() { slim(serving) })
	err = p.daemon.Run(ctx)
	stopping()
	endServing()
	p.bus.Close()
	wg.Wait()
	return err
}

// socket is the configured one, or in the runtime directory when that was moved.
func (p *process) socket(m *config.Model) string {
	if p.flags.run != DefaultRun && m.API.Socket == filepath.Join(DefaultRun, "api.sock") {
		return filepath.Join(p.flags.run, "api.sock")
	}
	return m.API.Socket
}

// keeper returns the program to start as keeper, or "" when systemd does.
func (p *process) keeper() string {
	if p.flags.keeper != "" {
		return p.flags.keeper
	}
	if underSystemd() && !p.flags.front {
		return ""
	}
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	return filepath.Join(filepath.Dir(self), "shisa-keeper")
}

func (p *process) emit(e event.Event) {
	e = p.bus.Publish(e)
	p.log.Event(e)
	p.store.AppendEvent(e)
}

func (p *process) checkFailed(check string, err error) {
	if err == nil {
		p.emit(event.StallCheckBack.New("stall/"+check, "check", check))
		return
	}
	p.emit(event.StallCheckFailed.New("stall/"+check, "check", check, "error", err.Error()))
}

func (p *process) refused(c api.Caller, request string, err error) {
	p.emit(event.OperatorRefused.New("", "who", c.String(), "command", request, "error", err.Error()))
}

func (p *process) storeChanged(err error) {
	select {
	case p.degraded <- err:
	default:
	}
}

func (p *process) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	if err := p.store.Close(ctx); err != nil {
		p.log.Error("state is not closed", err, nil)
	}
}
