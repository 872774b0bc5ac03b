package config

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"shisa/ctl/keepalive"
	"shisa/ctl/param"
	"shisa/ctl/recovery"
	"shisa/ctl/window"
)

// A section is a table of the configuration file that occurs once. Its keys
// are declared here and nowhere else.
type section struct {
	name    string
	help    string // comment above the table in the default configuration
	declare func(*Model, *param.Set)
}

// FormatVersion is the version of the format that this package reads and writes.
const FormatVersion = 1

const day = 24 * time.Hour

// root declares the keys above the first table.
func root(m *Model, s *param.Set) {
	s.Int(&m.Version, "version", FormatVersion, FormatVersion, FormatVersion, "", "Version of this format.")
	param.Enum(s, &m.Mode, "mode", Observe, []Mode{Observe, Protect},
		"observe decides, records and announces what it would do; protect does it.")
}

// sections lists the tables in the order of the default configuration.
var sections = []section{
	{"server", "The machine.", declareServer},
	{"keepalive", "The countdowns that reset the machine when they are not pinged.", declareKeepalive},
	{"stall", "What counts as progress of user space.", declareStall},
	{"witness", "Programs in the kernel that see who died, what stalls and which disk hangs.", declareWitness},
	{"shutdown", "Guards the way down of the operating system.", declareShutdown},
	{"limiter", "Bounds machine-level actions, counted across boots.", declareLimiter},
	{"reboot", "When recovery may take the machine down.", declareReboot},
	{"api", "Where commands reach the daemon.", declareAPI},
	{"store", "Where state is kept.", declareStore},
	{"log", "How much is logged.", declareLog},
}

func declareServer(m *Model, s *param.Set) {
	v := &m.Server
	s.String(&v.Name, "name", "", "Name of this server; empty takes the host name.").Check(oneLine(&v.Name))
	s.Choice(&v.Autostart, "autostart", "always", []string{"always", "clean", "never"},
		"When groups are started with the service; clean: only if the machine went down cleanly.")
	s.Bool(&v.RecoverySuppress, "suppress_recovery", false, "Decide and announce, but recover nothing.").As("rm/errordetect/norecovery")
	s.Bool(&v.StartSuppress, "suppress_start_failure", false, "No final action when a resource does not start.").As("rc/errordetect/rscact/norecovery")
	s.Bool(&v.StopSuppress, "suppress_stop_failure", false, "No final action when a resource does not stop.").As("rc/errordetect/rscdeact/norecovery")
	param.Enum(s, &v.OnTimeout, "on_resource_timeout", recovery.NoAction, withoutCommand(),
		"Final action when starting or stopping a resource takes too long; none: as when it fails.").As("cluster/rsctimeout/rsctoaction")
	declareWindows(&v.Maintenance, "maintenance", "Windows such as \"sun 02:00-04:00\" in which failures are neither announced nor recovered.", s)
	s.Strings(&v.RescueTargets, "rescue_targets", []string{"rescue.target", "emergency.target"},
		"systemd targets in which nothing is armed and nothing is recovered.")
}

func declareKeepalive(m *Model, s *param.Set) {
	v := &m.Keepalive
	s.Choice(&v.Method, "method", "auto", []string{"auto", "clpka", "keepalive", "softdog", "wdt", "ipmi", "ipmiutil", "none"},
		"Primary countdown; auto takes the first that works of clpka, softdog, wdt, ipmi, ipmiutil; keepalive is the original's word for clpka.")
	s.String(&v.Device, "device", "", "Device of the primary; empty finds it by probing.").Check(absoluteOrEmpty(&v.Device))
	param.Enum(s, &v.Action, "action", keepalive.Reset, keepalive.Actions(), "What the primary does when it fires.")
	s.Choice(&v.Backstop, "backstop", "auto", []string{"auto", "none", "wdt", "ipmi", "ipmiutil"},
		"Second countdown, in hardware, for when the kernel itself is dead.")
	s.String(&v.BackstopDevice, "backstop_device", "", "Device of the backstop; empty finds it by probing.").Check(absoluteOrEmpty(&v.BackstopDevice))
	param.Enum(s, &v.BackstopAction, "backstop_action", keepalive.Reset, keepalive.Actions(), "What the backstop does when it fires.")
	s.Duration(&v.Margin, "backstop_margin", 30*time.Second, time.Second, time.Hour, "By how much the backstop fires later than the primary.")
	param.Enum(s, &v.Pretimeout, "pretimeout", keepalive.NoPretimeout,
		[]keepalive.Pretimeout{keepalive.NoPretimeout, keepalive.SMI, keepalive.NMI, keepalive.Messaging},
		"Warning that a hardware countdown gives before it fires.")
	s.Duration(&v.Before, "pretimeout_before", 0, 0, time.Hour, "How long before the timeout the warning comes.")
	s.Bool(&v.LoadModule, "load_module", true, "Load clpka or softdog when needed and available as a module.")
}

func declareStall(m *Model, s *param.Set) {
	v := &m.Stall
	s.Bool(&v.Enabled, "enabled", true, "Watch user space for stalls.")
	s.Duration(&v.Interval, "interval", 3*time.Second, 500*time.Millisecond, 999*time.Second, "From one round of checks to the next.").As("polling/interval")
	s.Duration(&v.Timeout, "timeout", 90*time.Second, 3*time.Second, 9999*time.Second,
		"Without progress for this long, the countdown is no longer pinged and fires.").As("polling/timeout").
		Check(func() error { return longer("timeout", v.Timeout, "interval", v.Interval) })
	s.Int(&v.WarnPercent, "warn_percent", 80, 0, 100, "percent", "Of the timeout, from which a delay is announced; 0 announces every round, 100 none.")
	s.Duration(&v.Absence, "absence", 0, 0, time.Hour, "How long the daemon may be away for a restart or an upgrade; 0s: the timeout.")
	s.Bool(&v.OpenFile, "open_file", false, "Open and close a file each round. A full disk then counts as a stall.").As("parameters/repopen")
	s.Bool(&v.WriteFile, "write_file", false, "Write the file, too, and wait until it is on disk.").As("parameters/repwrite").
		Check(func() error {
			if v.WriteFile && !v.OpenFile {
				return errors.New("needs open_file = true")
			}
			return nil
		})
	s.Size(&v.WriteSize, "write_size", 10000, 1, 9999999, "How much to write.").As("parameters/writesize")
	s.String(&v.File, "file", "", "The file; empty: stall.check in the state directory.").Check(absoluteOrEmpty(&v.File))
	s.Bool(&v.CreateThread, "create_thread", false, "Create a thread each round.").As("parameters/mkthread")
}

func declareWitness(m *Model, s *param.Set) {
	v := &m.Witness
	s.Bool(&v.Enabled, "enabled", true, "Let witnesses work. Monitors, resources and the countdown do without, less sharply.")
	s.Strings(&v.Off, "off", nil, "Witnesses that do not work: "+strings.Join(witnesses, ", ")+".").Check(func() error {
		for _, name := range v.Off {
			if !slices.Contains(witnesses, name) {
				return fmt.Errorf("%q is none of %s", name, strings.Join(witnesses, ", "))
			}
		}
		return nil
	})
	s.Strings(&v.Without, "without", nil,
		`Programs that are not tried, as shisa doctor names them, for a kernel that misbehaves with one; "*_kprobe" is all that end so, "*" all. What stands in for them works.`).
		Check(func() error {
			for _, pattern := range v.Without {
				if _, err := path.Match(pattern, ""); err != nil {
					return fmt.Errorf("%q is no pattern for names", pattern)
				}
			}
			return nil
		})
	s.Duration(&v.Interval, "interval", time.Second, 100*time.Millisecond, time.Minute, "From one look at all tasks and disks to the next.")
	s.Duration(&v.Blocked, "blocked", 0, 0, time.Hour, "A task that is blocked in the kernel for this long is stalled; 0s: a third of stall.timeout, at most 10s.")
	s.Duration(&v.Starved, "starved", 0, 0, time.Hour, "A task that wants a CPU and gets none for this long is starved; 0s: a quarter of stall.timeout, at most 5s.")
	s.Duration(&v.Hog, "hog", 0, 0, time.Hour, "A task that takes a CPU for itself for this long is a hog; 0s: two thirds of stall.timeout, at most 1m.")
	s.Duration(&v.Disk, "disk", 0, 0, time.Hour, "A request that a disk does not finish for this long is late; 0s: as blocked.")
}

// witnesses are what the doctor names them, and package bpf.
var witnesses = []string{"exits", "stall", "blockio", "beats", "blame"}

func declareShutdown(m *Model, s *param.Set) {
	v := &m.Shutdown
	s.Choice(&v.Watch, "watch", "on_failure", []string{"always", "on_failure", "never"},
		"Which shutdowns are guarded; on_failure: those in which stopping a group failed.").As("haltp/condition")
	s.Duration(&v.Timeout, "timeout", 0, 0, 9999*time.Second, "How long a shutdown may take; 0s: stall.timeout.").As("haltp/timeout")
	param.Enum(s, &v.Action, "action", keepalive.Reset, keepalive.Actions(), "What is done to a shutdown that hangs.").As("haltp/action")
	s.Bool(&v.ReleaseOnSIGTERM, "release_on_sigterm", false,
		"Stop guarding when the operating system terminates all processes; a later hang is then not seen.").As("haltp/sigterm")
}

func declareLimiter(m *Model, s *param.Set) {
	v := &m.Limiter
	s.Bool(&v.Enabled, "enabled", true, "Limit machine-level actions; beyond the limit none is taken.")
	s.Int(&v.Max, "max", 3, 1, 99, "actions", "Machine-level actions without calm between.")
	s.Duration(&v.Calm, "calm", time.Hour, 0, 30*day, "Running time without such an action that resets the count; 0s: only the operator does.")
}

func declareReboot(m *Model, s *param.Set) {
	v := &m.Reboot
	declareWindows(&v.Windows, "windows", "Windows such as \"daily 02:00-04:00\" outside of which recovery leaves the machine up and waits; none: at any time.", s)
	s.String(&v.Blocker, "blocker", "", "Program that is asked first; any exit state but 0 forbids it for now.").File()
	s.Strings(&v.BlockerFiles, "blocker_files", nil, "Files that forbid it while they exist.").Check(func() error {
		for _, path := range v.BlockerFiles {
			if err := absolute(&path)(); err != nil {
				return err
			}
		}
		return nil
	})
	s.Duration(&v.AskTimeout, "blocker_timeout", 10*time.Second, time.Second, time.Hour, "Longest time that the program may take; one that takes longer forbids it.")
	s.Duration(&v.BlockLimit, "blocker_limit", time.Hour, time.Second, day, "After this long, it happens in spite of program and files.")
}

// declareWindows declares a list of calendar windows.
func declareWindows(p *[]string, name, help string, s *param.Set) {
	s.Strings(p, name, nil, help).Check(func() error {
		_, err := window.ParseAll(*p)
		return err
	})
}

func declareAPI(m *Model, s *param.Set) {
	v := &m.API
	s.String(&v.Socket, "socket", "/run/shisa/api.sock", "Unix socket of the API.").Check(socketPath(&v.Socket))
	s.String(&v.Group, "group", "", "System group whose members may read status and events; the packages bring one called shisa. Empty: root only.")
}

func declareStore(m *Model, s *param.Set) {
	v := &m.Store
	s.String(&v.Dir, "dir", "/var/lib/shisa", "State directory.").Check(absolute(&v.Dir))
	s.Size(&v.HistorySize, "history_size", 64<<20, 1<<20, 10<<30, "History kept for queries.")
	s.Size(&v.JournalSize, "journal_size", 1<<20, 64<<10, 1<<30, "Safety journal kept.")
}

func declareLog(m *Model, s *param.Set) {
	v := &m.Log
	s.Choice(&v.Level, "level", "info", []string{"debug", "info", "warning", "error"}, "Least severity that is logged.")
	s.Choice(&v.Format, "format", "text", []string{"text", "json"}, "Form of a log line.")
}

func declareGroup(g *Group, s *param.Set) {
	s.String(&g.Name, "name", "", "Name of the group.").Required().Check(wellNamed(&g.Name))
	s.String(&g.Comment, "comment", "", "What it is for.").Check(plainLines(&g.Comment))
	s.Bool(&g.Auto, "auto_start", true, "Start it with the service.").As("start")
	s.Strings(&g.StartAfter, "start_after", nil, "Groups that must be started first.").As("depend/act/depend")
	s.Duration(&g.StartWait, "start_wait", 1800*time.Second, 0, 9999*time.Second, "How long to wait for them.").As("depend/act/timeout")
	s.Bool(&g.StartGoOn, "start_anyway", false, "Start all the same when the wait is over.")
	s.Strings(&g.StopAfter, "stop_after", nil, "Groups that must be stopped first.").As("depend/deact/depend")
	s.Duration(&g.StopWait, "stop_wait", 1800*time.Second, 0, 9999*time.Second, "How long to wait for them.").As("depend/deact/timeout")
	s.Bool(&g.StopGoOn, "stop_anyway", true, "Stop all the same when the wait is over.")
	s.Strings(&g.StopWhen, "stop_after_when", []string{"service", "shutdown"},
		`Which stops wait for them: of the "service", the "shutdown" of the machine, of this "group" alone.`).As("depend/deact").
		Check(func() error {
			for _, when := range g.StopWhen {
				if !slices.Contains(stopCauses, when) {
					return fmt.Errorf("%q is none of %s", when, strings.Join(stopCauses, ", "))
				}
			}
			return nil
		})
}

// withoutCommand lists the final actions that need no monitor.
func withoutCommand() []recovery.Action {
	return slices.DeleteFunc(recovery.FinalActions(), func(a recovery.Action) bool { return a == recovery.Command })
}

// stopCauses are what may make a group stop.
var stopCauses = []string{"service", "shutdown", "group"}

// declareResource declares the keys that every resource has. The default
// timing is that of its type and already stands in r.
func declareResource(r *Resource, s *param.Set) {
	s.String(&r.Name, "name", "", "Name of the resource.").Required().Check(wellNamed(&r.Name))
	s.String(&r.Type, "type", "", "Type of the resource.").Required()
	s.String(&r.Group, "group", "", "Group that it belongs to.").Required()
	s.String(&r.Comment, "comment", "", "What it is for.").Check(plainLines(&r.Comment))
	s.Strings(&r.DependsOn, "depends_on", nil, "Resources of the group that it needs; when absent, all that stand before it.").NoDefault().As("depend")
	s.Duration(&r.Timing.Start, "start_timeout", r.Timing.Start, time.Second, 9999*time.Second, "Longest time to start.").As("act/timeout")
	s.Duration(&r.Timing.Stop, "stop_timeout", r.Timing.Stop, time.Second, 9999*time.Second, "Longest time to stop.").As("deact/timeout")
	s.Int(&r.StartRetry, "start_retry", 0, 0, 99, "times", "Further attempts to start.").As("act/retry")
	s.Int(&r.StopRetry, "stop_retry", 0, 0, 99, "times", "Further attempts to stop.").As("deact/retry")
	param.Enum(s, &r.OnStartFailure, "on_start_failure", recovery.NoAction, recovery.FinalActions(), "Final action when it does not start.").As("act/action")
	s.Bool(&r.StartGoOn, "start_anyway", false, "Start the following resources all the same when it does not start.")
	param.Enum(s, &r.OnStopFailure, "on_stop_failure", recovery.NoAction, recovery.FinalActions(), "Final action when it does not stop.").As("deact/action")
	s.String(&r.BeforeFinal, "before_final", "", "Script that runs before either of these.").File().As("act/preaction/path")
	s.Duration(&r.ScriptTimeout, "script_timeout", 5*time.Second, time.Second, 9999*time.Second, "Longest time that this script may take.").As("act/preaction/timeout")
}

func declareMonitor(m *Monitor, s *param.Set) {
	s.String(&m.Name, "name", "", "Name of the monitor.").Required().Check(wellNamed(&m.Name))
	s.String(&m.Type, "type", "", "Type of the monitor.").Required()
	s.String(&m.Comment, "comment", "", "What it is for.").Check(plainLines(&m.Comment))
	param.Enum(s, &m.When, "when", m.When, whens, "Probe always, or only while the target is active.").As("polling/timing")
	s.String(&m.Target, "target", "", "Resource that it watches over.").As("target")
	s.Strings(&m.Parents, "parents", nil, "Monitors of what it needs: while one of them fails, this one neither announces nor recovers.")
	declareWindows(&m.Maintenance, "maintenance", "Windows such as \"sun 02:00-04:00\" in which its failures are neither announced nor recovered.", s)
	s.Duration(&m.Timing.Interval, "interval", m.Timing.Interval, 100*time.Millisecond, day, "From the start of one probe to the start of the next.").As("polling/interval")
	s.Duration(&m.Timing.Timeout, "timeout", m.Timing.Timeout, 10*time.Millisecond, day, "Longest time that one probe may take.").As("polling/timeout")
	s.Int(&m.Timing.Retry, "retry", m.Timing.Retry, 0, 999, "failures", "Consecutive failures that are tolerated.").As("polling/reconfirmation")
	s.Duration(&m.Timing.FirstWait, "first_wait", m.Timing.FirstWait, 0, 9999*time.Second, "Wait before the first probe.").As("firstmonwait")
}

func declareRecovery(r *Recovery, target *string, s *param.Set) {
	p := &r.Policy
	s.String(target, "target", "", `What is recovered: "resource/NAME", "group/NAME", "groups" or "server"; when absent, the monitor's target.`).As("relation")
	s.Int(&p.MaxScript, "scripts", 0, 0, 99, "times", "Runs of the recovery script before restarts begin.").As("emergency/threshold/script")
	s.String(&r.Script, "script", "", "The recovery script.").File().As("emergency/preaction/path")
	s.Int(&p.MaxRestart, "restarts", -1, -1, 99, "times", "Restarts of the target before the final action; -1: 3 for a resource or group, 0 for the server.").As("emergency/threshold/restart")
	param.Enum(s, &p.FinalAction, "final_action", recovery.NoAction, recovery.FinalActions(), "What is done at the end.").As("emergency/action")
	s.String(&r.Command, "command", "", "Script or program that the final action command runs.").File()
	s.String(&r.BeforeRestart, "before_restart", "", "Script that runs before a restart.").File().As("emergency/preaction/userestart")
	s.String(&r.BeforeFinal, "before_final", "", "Script that runs before the final action.").File().As("emergency/preaction/use")
	s.Duration(&r.ScriptTimeout, "script_timeout", 5*time.Second, time.Second, 9999*time.Second, "Longest time that each of these scripts may take.").As("emergency/preaction/timeout")
	s.Bool(&p.NoRetryOnTimeout, "no_retry_on_timeout", false, "A probe that times out uses up the tolerated failures at once.").As("emergency/timeout/notreconfirmation/use")
	s.Bool(&p.NoRecoveryOnTimeout, "no_recovery_on_timeout", false, "A probe that times out counts as a failure, but does not act.").As("emergency/timeout/notrecovery/use")
	s.Duration(&r.Backoff, "backoff", time.Second, 0, time.Hour, "Least time between two restarts, doubled at each; the first is immediate.")
	s.Duration(&r.BackoffMax, "backoff_max", 5*time.Minute, 0, day, "Longest time between two restarts.").
		Check(func() error {
			if r.BackoffMax < r.Backoff {
				return fmt.Errorf("%s must not be shorter than backoff %s", param.FormatDuration(r.BackoffMax), param.FormatDuration(r.Backoff))
			}
			return nil
		})
	s.Int(&r.BackoffJitter, "backoff_jitter_percent", 10, 0, 100, "percent", "Part of that time that is added at random, so that many servers do not restart at once.")
	s.Duration(&r.Grace, "grace", 0, 0, day, "After a start of the target, failures within this time do not count.")
	s.Bool(&r.Suppress, "suppress", false, "Decide and announce, but recover nothing.")
}

func longer(a string, av time.Duration, b string, bv time.Duration) error {
	if av <= bv {
		return fmt.Errorf("%s %s must be longer than %s %s", a, param.FormatDuration(av), b, param.FormatDuration(bv))
	}
	return nil
}
