package bpftest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"shisa/bpf"
	"shisa/ci/vm"
	"shisa/ci/vm/wire"
)

// The daemon in the guest: it only observes, and its limits are short.
const daemonConfig = `mode = "observe"
[stall]
interval = "500ms"
timeout = "9s"
[[monitor]]
name = "worker"
type = "process"
match = "sleep 4711"
interval = "1h"
retry = 0
`

// daemonTime bounds one kernel, eventTime the wait for one event.
const (
	daemonTime = 9 * time.Minute
	eventTime  = 2 * time.Minute
)

// TestDaemon provokes in each guest what the witnesses are for, and asks the
// daemon what it saw; then it resets the guest and asks why.
func TestDaemon(t *testing.T) {
	if os.Getenv("SHISA_VM") != "1" {
		t.Skip("boots guests only with SHISA_VM=1 (make vm-test)")
	}
	for _, kernel := range kernels(t) {
		t.Run(kernel.Name, func(t *testing.T) {
			d := start(t, kernel, "")
			d.doctor()
			d.provoke()
			d.stopped()
			d.asked()
		})
	}
}

// TestDaemonWithoutTypes takes the kernel's type information away, without which no
// program can be loaded: the daemon must do without, and say so.
func TestDaemonWithoutTypes(t *testing.T) {
	if os.Getenv("SHISA_VM") != "1" {
		t.Skip("boots guests only with SHISA_VM=1 (make vm-test)")
	}
	d := start(t, oneKernel(t), "mount --bind /dev/null /sys/kernel/btf/vmlinux")
	said := d.doctor()
	for name, want := range map[string]string{"exits": "only process connector", "stall": "only reading of /proc", "blockio": "none",
		"beats": "programs in the kernel", "blame": "only programs in the kernel for devices-begin"} {
		if !strings.HasPrefix(said[name], want) {
			t.Errorf("%s is done by %q, not by %s", name, said[name], want)
		}
	}
	d.sh("sleep 4711 & sleep 1; shisa monitor test worker; kill $!")
	d.await("monitor-failed", "monitor/worker")
	d.sh("(while pidof modprobe; do sleep 0.1; done; hurt read /dev/nullb0) >/dev/null 2>&1 &")
	d.await("task-stalled", "hurt")
	// No kernel of the list keeps words of user space in memory (PSTORE_PMSG): the disk
	// must have taken the evidence by itself, for nothing is written at the end.
	d.sh("until grep -q hurt /var/lib/shisa/flight.*; do sleep 0.2; done; killall -KILL shisad; sync")
	d.reset()
	d.sh("mount -t pstore pstore /sys/fs/pstore 2>/dev/null; true")
	d.run()
	d.culprit("blocked in the kernel")
}

// oneKernel is 6.1, or the only one asked for.
func oneKernel(t *testing.T) vm.Kernel {
	t.Helper()
	all := kernels(t)
	return all[max(0, slices.IndexFunc(all, func(k vm.Kernel) bool { return k.Name == "6.1" }))]
}

// guestDaemon is shisad in a guest.
type guestDaemon struct {
	*testing.T
	ctx   context.Context
	guest *vm.Guest
}

func start(t *testing.T, kernel vm.Kernel, before string) guestDaemon {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), daemonTime)
	t.Cleanup(cancel)
	disk := filepath.Join(t.TempDir(), "state.img")
	if err := vm.MakeDisk(ctx, disk, 64); err != nil {
		t.Fatal(err)
	}
	g, err := vm.Start(ctx, vm.Config{
		Kernel:  kernel,
		Machine: vm.Machine{MemoryMiB: 768, Disks: []string{disk}},
		Cmdline: "psi=1 " + reserved,
		Modules: []string{ramoops},
		Present: []string{"null_blk"},
		Binaries: map[string]string{"/usr/sbin/shisad": "./cmd/shisad", "/usr/sbin/shisa-keeper": "./cmd/shisa-keeper",
			"/usr/sbin/shisa": "./cmd/shisa", "/bin/hurt": "./ci/bpftest/hurt"},
		Files: map[string]vm.File{"/etc/shisa/shisa.toml": {Data: []byte(daemonConfig)}},
		Mounts: []wire.Mount{
			{Source: "/dev/vda", Target: "/var/lib/shisa", Type: "ext4"},
			{Source: "bpf", Target: "/sys/fs/bpf", Type: "bpf"},
			{Source: "debugfs", Target: "/sys/kernel/debug", Type: "debugfs"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	d := guestDaemon{t, ctx, g}
	if before != "" {
		d.sh(before)
	}
	// The kernel looks for partitions on the slow disk meanwhile.
	d.sh("modprobe null_blk irqmode=2 completion_nsec=9000000000 nr_devices=1 gb=1 >/dev/null 2>&1 &")
	d.run()
	return d
}

// run starts the daemon and waits for its witnesses.
func (d guestDaemon) run() {
	d.Helper()
	begin := time.Now()
	if _, err := d.guest.Go("sh", "-c", "exec shisad --foreground >>/run/shisad.log 2>&1"); err != nil {
		d.Fatal(err)
	}
	// The log is of this boot only; the history knows of earlier ones.
	d.sh("until grep -q code=witness-ready /run/shisad.log; do sleep 0.2; done")
	d.Logf("%.1f s: %s", time.Since(begin).Seconds(), d.sh("grep code=witness-ready /run/shisad.log"))
}

func (d guestDaemon) sh(script string) string {
	d.Helper()
	r, err := d.guest.Run(d.ctx, "sh", "-c", script)
	if err != nil {
		d.Fatalf("%s: %v\n%s", script, err, d.guest.Console())
	}
	if r.Exit != 0 && !strings.HasPrefix(script, "shisa ") {
		d.Fatalf("%s: exit state %d\n%s%s", script, r.Exit, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

type guestEvent struct {
	Code, Subject, Text string
	Fields              map[string]string
}

// await waits for an event about something of that name.
func (d guestDaemon) await(code, name string) guestEvent {
	d.Helper()
	return d.awaitText(code, name, "")
}

// task is the process "hurt" whose number is in a file of /run, as events name it: by
// one of its threads.
func (d guestDaemon) task(file string) string {
	d.Helper()
	return "hurt[" + strings.TrimSpace(d.sh("cat /run/"+file))
}

func (d guestDaemon) awaitText(code, name, text string) guestEvent {
	d.Helper()
	for deadline := time.Now().Add(eventTime); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		for _, e := range d.events(code) {
			if strings.Contains(e.Subject, name) && strings.Contains(e.Text, text) {
				return e
			}
		}
	}
	d.Fatalf("no %s of %q that %q\n%s", code, name, text, d.sh("tail -n 30 /run/shisad.log"))
	panic("unreachable")
}

// events returns what the daemon says of one kind; nothing while it is not there.
func (d guestDaemon) events(code string) (all []guestEvent) {
	d.Helper()
	_ = json.Unmarshal([]byte(d.sh("shisa events --json --code "+code)), &all)
	return all
}

// doctor asks what does each job, and which program each part of it.
func (d guestDaemon) doctor() map[string]string {
	d.Helper()
	var doctor struct {
		Checks []struct{ Area, Name, Text string }
	}
	if err := json.Unmarshal([]byte(d.sh("shisa doctor --json")), &doctor); err != nil {
		d.Fatal(err)
	}
	said := map[string]string{}
	for _, c := range doctor.Checks {
		if c.Area == "eBPF" {
			said[c.Name] = c.Text
			d.Logf("doctor: %s: %.160s", c.Name, c.Text)
		}
	}
	for _, name := range bpf.Witnesses() {
		if said[name] == "" {
			d.Errorf("doctor says nothing about %s", name)
		}
	}
	return said
}

// provoke does it all at the same time, for the guest is slow. Of two real-time
// tasks on one CPU the lesser gets nothing: what the kernel leaves to others than
// the first (sched_rt_runtime_us, the fair server) is for ordinary tasks.
func (d guestDaemon) provoke() {
	d.Helper()
	d.sh("(sleep 4711 & echo $! >/run/worker); sleep 0.2; shisa monitor test worker")
	d.sh(`while pidof modprobe >/dev/null; do sleep 0.1; done
		hurt read /dev/nullb0 >/dev/null 2>&1 &
		hurt spin 1 50 120 >/dev/null 2>&1 & echo $! >/run/hog
		hurt spin 1 10 120 >/dev/null 2>&1 & echo $! >/run/starved
		echo "web 500ms" >/run/shisa/beat.pipe
		mkdir -p /cg && mount -t cgroup2 cg /cg && echo +memory >/cg/cgroup.subtree_control && mkdir /cg/small && echo 20M >/cg/small/memory.max
		echo 0 >/cg/small/memory.swap.max
		sh -c 'echo $$ >/cg/small/cgroup.procs; exec tail /dev/zero' >/dev/null 2>&1 &
		true`)
	d.sh("kill -9 $(cat /run/worker)")
	for _, want := range []struct{ code, subject string }{
		{"monitor-failed", "monitor/worker"}, {"beat-missed", "beat/web"}, {"oom-kill", ""}, {"disk-hung", "disk/nullb0"},
		{"disk-goes-on", "disk/nullb0"},
	} {
		d.Log(d.await(want.code, want.subject).Text)
	}
	for _, want := range []struct{ who, text string }{
		{"hurt", "is blocked in the kernel"},
		{d.task("hog"), "takes a CPU for itself"},
		{d.task("starved"), "gets no CPU"},
	} {
		d.Log(d.awaitText("task-stalled", "task/"+want.who, want.text).Text)
	}
	d.trace()
	d.sh("killall hurt || true") // on a busy host their time may be over
	d.Log(d.await("task-goes-on", "task/hurt").Text)
}

// trace measures the run queues of a busy guest.
func (d guestDaemon) trace() {
	d.Helper()
	var t struct {
		Waits []struct{ Count uint64 }
		Lost  uint64
	}
	if err := json.Unmarshal([]byte(d.sh("shisa trace --for 3s --json")), &t); err != nil {
		d.Fatal(err)
	}
	if len(t.Waits) == 0 {
		d.Error("no task waited for a CPU")
	}
	d.Logf("%d bounds of waits, %d lost", len(t.Waits), t.Lost)
}

// stopped stops the whole daemon for longer than its limit: where the kernel judges
// beats, it has noted when each was missed, by itself.
func (d guestDaemon) stopped() {
	d.Helper()
	if !strings.HasPrefix(d.doctor()["beats timer"], "arm_syscall ") {
		d.Log("no timer in this kernel judges the beats")
		return
	}
	d.sh("killall -STOP shisad; sleep 11; killall -CONT shisad")
	for _, beat := range []string{"scheduler", "decisions", "api"} {
		e := d.await("beat-missed", "beat/"+beat)
		d.Log(e.Text)
		if late, err := time.ParseDuration(e.Fields["late"]); err != nil || late > time.Second {
			d.Errorf("%s: noticed late: %v, %v", beat, e.Fields["late"], err)
		}
	}
}

// asked resets the guest: the evidence survives, and says who is to blame.
func (d guestDaemon) asked() {
	d.Helper()
	for d.sh("ls /var/lib/shisa | grep -c ^flight. || true") != "1\n" {
		time.Sleep(200 * time.Millisecond)
	}
	d.sh("sleep 6; sync")
	d.reset()
	d.run()
	d.culprit("")
}

// reset resets the guest and waits for it.
func (d guestDaemon) reset() {
	d.Helper()
	if err := d.guest.QMP(d.ctx, "system_reset", nil); err != nil {
		d.Fatal(err)
	}
	if _, err := d.guest.WaitBoot(d.ctx, 2); err != nil {
		d.Fatal(err)
	}
}

// culprit asks why the guest went down. Whatever the witnesses blame is of some kind.
func (d guestDaemon) culprit(kind string) {
	d.Helper()
	var why struct {
		Boot struct {
			Summary  string
			Evidence []struct{ Source, Text string }
		}
	}
	if err := json.Unmarshal([]byte(d.sh("shisa why --json")), &why); err != nil {
		d.Fatal(err)
	}
	d.Log(why.Boot.Summary)
	_, blamed, found := strings.Cut(why.Boot.Summary, "Likely culprit: ")
	if !found || !strings.Contains(blamed, kind) || !strings.Contains(fmt.Sprint(why.Boot.Evidence), "witness in the kernel") {
		d.Errorf("why does not know of the evidence: %+v\n%s", why.Boot, d.sh("ls -l /sys/fs/pstore /var/lib/shisa"))
	}
}
