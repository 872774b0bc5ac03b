package service

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"time"

	"shisa/bpf/timeline"
	"shisa/ctl/api"
	"shisa/ctl/config"
	"shisa/ctl/daemon"
	"shisa/ctl/protect"
	"shisa/ctl/recovery"
	"shisa/ctl/why"
	"shisa/ctl/witness"
)

// kernelDir keeps what is to outlive the daemon in the kernel, where a BPF file
// system is mounted as systemd does it.
const kernelDir = "/sys/fs/bpf/shisa"

// flushLimit bounds the wait for the flight record before an action: the disk may
// be what hangs.
const flushLimit = 2 * time.Second

// scribe runs the program as the scribe of a shutdown, if it was started as one.
func scribe(args []string, out io.Writer) (ran bool, err error) {
	if len(args) != 3 || args[0] != witness.TimelineFlag {
		return false, nil
	}
	return true, witness.Scribe(args[1], args[2], out)
}

// keepIn is kernelDir, unless this daemon is not the one of the machine.
func (p *process) keepIn() string {
	if p.flags.run != DefaultRun {
		return ""
	}
	return kernelDir
}

// kernelPage is the path of the page of beats in the kernel; empty: none.
func (p *process) kernelPage() string {
	if dir := p.keepIn(); dir != "" {
		return filepath.Join(dir, "page")
	}
	return ""
}

// observe makes the witnesses, which do not work yet.
func (p *process) observe(m *config.Model) {
	program, err := os.Executable()
	if err != nil {
		program = "" // the daemon witnesses the shutdown for as long as it lives
	}
	p.armed = make(chan struct{})
	p.witness = witness.New(witness.Options{
		Boot: bootID(), StateDir: m.Store.Dir, Socket: filepath.Join(p.flags.run, "beat.sock"), Keep: p.keepIn(),
		Page: p.protect.Page(), Settings: witness.SettingsOf(m), HandOver: p.protect.HandOver, Program: program, Emit: p.emit,
		Log: func(what string, err error) { p.log.Error(what, err, nil) },
	})
}

// applied is told of every configuration that a reload has put into force.
func (p *process) applied(m *config.Model) {
	p.witness.Configure(witness.SettingsOf(m))
	p.keepGood(m)
}

// trace measures how long tasks wait for a CPU.
func (p *process) trace(ctx context.Context, d time.Duration) (api.Trace, error) {
	begin := time.Now()
	waits, lost, err := p.witness.TraceQueues(ctx, d)
	if err != nil {
		return api.Trace{}, api.Errorf(api.Conflict, "trace run queues: %v", err).Try("shisa doctor says what this kernel accepts")
	}
	t := api.Trace{ForMS: api.Millis(time.Since(begin)), Lost: lost}
	for slot, n := range waits {
		t.Waits = append(t.Waits, api.TraceWait{BelowNS: 1 << slot, Count: n})
	}
	return t.Trimmed(), nil
}

// runWitness begins once everything is armed.
func (p *process) runWitness(ctx context.Context) {
	select {
	case <-p.armed:
		p.witness.Run(ctx)
	case <-ctx.Done():
	}
}

// ready is called when everything is started and armed.
func (p *process) ready() {
	ready()
	close(p.armed)
}

// goingDown has the way down witnessed as soon as it is known.
func (p *process) goingDown(ctx context.Context) string {
	down := goingDown(ctx)
	if down != "" {
		p.witness.Begin()
	}
	return down
}

// A guard tells the witnesses before it ends the judgement of beats.
type guard struct {
	*protect.Protect
	witness *witness.Witness
}

func (g guard) Shutdown(ctx context.Context, reason string) {
	g.witness.Begin()
	g.Protect.Shutdown(ctx, reason)
}

func (g guard) Disarm(ctx context.Context, reason string) error {
	g.witness.StandDown()
	g.witness.Forget()
	return g.Protect.Disarm(ctx, reason)
}

// An actor has the evidence on disk before it takes the machine down.
type actor struct {
	daemon.Actor
	witness *witness.Witness
}

func (a actor) Do(ctx context.Context, action recovery.Action) error {
	within, cancel := context.WithTimeout(ctx, flushLimit)
	a.witness.Flush(within)
	cancel()
	down := action == recovery.Reboot || action == recovery.Shutdown
	if down {
		a.witness.Begin()
	}
	err := a.Actor.Do(ctx, action)
	if err != nil && down {
		a.witness.Abandon()
	}
	return err
}

// backend adds what the witnesses know to what the daemon offers.
type backend struct {
	*daemon.Daemon
	shutdown *api.Timeline // of the boot before; nil: nothing is known
}

// Why explains a subject.
func (b backend) Why(ctx context.Context, subject string) (api.Why, error) {
	if subject != "shutdown" {
		return b.Daemon.Why(ctx, subject)
	}
	w, err := b.Daemon.Why(ctx, "boot")
	w.Subject, w.Boot = subject, nil
	if w.Timeline = b.shutdown; w.Timeline == nil {
		w.Summary = "No shutdown is on record: the machine has not gone down since shisa watches it, or it went down at once."
		return w, err
	}
	w.Summary = sentence(b.shutdown.Summary)
	return w, err
}

// recall adds to a verdict what the witnesses left behind in the boot before, and
// keeps the timeline of its shutdown.
func (p *process) recall(v why.Verdict, dir string) why.Verdict {
	if v.Boot == "" || v.Boot == bootID() {
		return v
	}
	if err := witness.Tidy(dir, bootID(), v.Boot); err != nil {
		p.log.Error("old records of witnesses are left", err, nil)
	}
	var since time.Time
	if v.WentDown != nil {
		since = v.WentDown.Add(-pstoreSlack)
	}
	past := witness.Recall("/", dir, v.Boot, since)
	if r := timeline.Analyse(past.Marks); r.Total > 0 {
		t := api.NewTimeline(v.Boot, r)
		p.shutdown = &t
	}
	v.Evidence = append(past.Lines(), v.Evidence...)
	if culprit := past.Culprit(); culprit != "" && !v.Cause.Clean() {
		v.Summary += " Likely culprit: " + culprit + "."
	}
	return v
}

// pstoreSlack is how long before the last sign of life the kernel may have left a
// record of the same end.
const pstoreSlack = 10 * time.Minute

// sentence makes a clause one.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return string(s[0]&^0x20) + s[1:] + "."
}
