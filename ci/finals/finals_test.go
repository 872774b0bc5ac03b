package finals

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

	"shisa/ci/vm"
	"shisa/ci/vm/wire"
)

const (
	stateDir = "/var/lib/shisa"
	// caseLimit bounds one case, two slow boots included.
	caseLimit = 4 * time.Minute
	// actLimit is how long the action may take to be seen, in emulation.
	actLimit = 90 * time.Second
	// calm is how long nothing more may happen to the machine afterwards.
	calm = 3 * time.Second
)

// A final is a final action with what the hypervisor has to see of it.
type final struct {
	action string
	want   []string
	causes []string // that shisa may name after the next boot
	says   string   // part of its answer
	fails  bool     // this machine cannot do it, which is to be on record
}

// In these guests there is no systemd: an orderly way down is the init's own, as the
// classic commands ask for it.
var finals = []final{
	{action: "shutdown", want: []string{vm.KindStopped}, causes: []string{"our-action", "ordered"}, says: "doomed"},
	{action: "reboot", want: []string{vm.KindReset}, causes: []string{"our-action", "ordered"}, says: "doomed"},
	{action: "reset", want: []string{vm.KindReset}, causes: []string{"our-action"}, says: "doomed"},
	{action: "panic", want: []string{vm.KindPanic, vm.KindReset}, causes: []string{"our-action"}, says: "doomed"},
	{action: "keepalive_reset", want: []string{vm.KindReset}, causes: []string{"our-action"}, says: "doomed"},
	{action: "bmc_reset", want: []string{vm.KindReset}, causes: []string{"our-action"}, says: "doomed"},
	{action: "bmc_power_off", want: []string{vm.KindStopped}, causes: []string{"our-action"}, says: "doomed"},
	// QEMU's BMC knows neither a power cycle nor a diagnostic interrupt: the next
	// harder action is taken, and both are on record.
	{action: "bmc_power_cycle", want: []string{vm.KindReset}, causes: []string{"our-action"}, says: "doomed", fails: true},
	{action: "bmc_nmi", want: []string{vm.KindReset}, causes: []string{"our-action"}, says: "doomed", fails: true},
}

func (f final) config() string {
	return fmt.Sprintf(`mode = "protect"
[keepalive]
method = "softdog"
backstop = "none"
[stall]
timeout = "60s"
[[monitor]]
name = "doomed"
type = "custom"
script = "/bin/doomed"
interval = "1s"
retry = 0
[monitor.recovery]
restarts = 0
final_action = %q
`, f.action)
}

func TestFinals(t *testing.T) {
	if os.Getenv("SHISA_VM") != "1" {
		t.Skip("boots guests only with SHISA_VM=1 (make vm-test)")
	}
	if err := vm.Available(); err != nil {
		t.Fatal(err)
	}
	name := os.Getenv("SHISA_VM_KERNEL")
	if name == "" {
		name = "6.1" // the actions are the same on every kernel; the engines are tried in ci/power
	}
	k, err := vm.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range finals {
		t.Run(f.action, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), caseLimit)
			defer cancel()
			play(ctx, t, k, f)
		})
	}
}

func boot(ctx context.Context, t *testing.T, k vm.Kernel, disk string, f final) *vm.Guest {
	t.Helper()
	g, err := vm.Start(ctx, vm.Config{
		Kernel:  k,
		Machine: vm.Machine{BMC: true, Pvpanic: true, Disks: []string{disk}},
		Cmdline: "panic=1 unknown_nmi_panic",
		Present: []string{"softdog"},
		Binaries: map[string]string{
			"/usr/sbin/shisad": "./cmd/shisad", "/usr/sbin/shisa-keeper": "./cmd/shisa-keeper", "/usr/sbin/shisa": "./cmd/shisa",
		},
		Files: map[string]vm.File{
			"/bin/doomed":           {Data: []byte("#!/bin/sh\ntest ! -e /run/doom\n"), Mode: 0o755},
			"/etc/shisa/shisa.toml": {Data: []byte(f.config()), Mode: 0o644},
		},
		Mounts: []wire.Mount{{Source: "/dev/vda", Target: stateDir, Type: "ext4"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// start starts the daemon and waits until it answers what cond accepts.
func start(ctx context.Context, t *testing.T, g *vm.Guest, args string, cond func(status) bool) {
	t.Helper()
	if _, err := g.Sh(ctx, "modprobe softdog"); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Go("sh", "-c", "exec shisad -foreground "+args+" >/run/shisad.log 2>&1"); err != nil {
		t.Fatal(err)
	}
	var s status
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		r, err := g.Run(ctx, "shisa", "status", "--json")
		if err != nil {
			t.Fatal(err)
		}
		if json.Unmarshal([]byte(r.Stdout), &s) == nil && cond(s) {
			return
		}
	}
	log, err := g.Sh(ctx, "tail -n 20 /run/shisad.log")
	t.Fatalf("not ready: %+v\n%s %v", s, log, err)
}

type status struct {
	Protection struct {
		State string `json:"state"`
	} `json:"protection"`
	Monitors []struct {
		Verdict string `json:"verdict"`
	} `json:"monitors"`
}

func play(ctx context.Context, t *testing.T, k vm.Kernel, f final) {
	disk := filepath.Join(t.TempDir(), "state.img")
	if err := vm.MakeDisk(ctx, disk, 64); err != nil {
		t.Fatal(err)
	}
	g := boot(ctx, t, k, disk, f)
	defer func() { g.Close() }()
	start(ctx, t, g, "", func(s status) bool {
		return s.Protection.State == "protected" && len(s.Monitors) == 1 && s.Monitors[0].Verdict == "ok"
	})
	before := time.Now()
	if _, err := g.Go("touch", "/run/doom"); err != nil {
		t.Fatal(err)
	}
	last := f.want[len(f.want)-1]
	limit, cancel := context.WithTimeout(ctx, actLimit)
	defer cancel()
	_, err := g.WaitEvent(limit, func(e vm.Event) bool { return e.Time.After(before) && e.Kind == last })
	if err != nil {
		log, lerr := g.Sh(ctx, "tail -n 20 /run/shisad.log")
		t.Fatalf("no %s: %v; seen %v\n%s %v", last, err, seen(g, before), log, lerr)
	}
	if last == vm.KindStopped {
		g.Close()
		g = boot(ctx, t, k, disk, f)
	} else if _, err := g.WaitBoot(ctx, 2); err != nil {
		t.Fatalf("the boot afterwards: %v", err)
	} else {
		time.Sleep(calm)
		if got := seen(g, before); !slices.Equal(got, f.want) {
			t.Errorf("the hypervisor saw %v, want %v", got, f.want)
		}
	}
	why(ctx, t, g, f)
}

// seen are the kinds of what happened to the machine.
func seen(g *vm.Guest, since time.Time) []string {
	var kinds []string
	for _, e := range g.Events() {
		if e.Time.After(since) && slices.Contains([]string{vm.KindReset, vm.KindPanic, vm.KindWDT, vm.KindStopped}, e.Kind) {
			kinds = append(kinds, e.Kind)
		}
	}
	return kinds
}

// why asks the daemon, which only observes now, what happened.
func why(ctx context.Context, t *testing.T, g *vm.Guest, f final) {
	t.Helper()
	start(ctx, t, g, "-config /none -state "+stateDir, func(s status) bool { return s.Protection.State != "" })
	r, err := g.Run(ctx, "shisa", "why", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Boot struct {
			Cause   string `json:"cause"`
			Summary string `json:"summary"`
		} `json:"boot"`
	}
	if err := json.Unmarshal([]byte(r.Stdout), &answer); err != nil {
		t.Fatalf("%v: %s", err, r.Stdout)
	}
	if f.fails && !strings.Contains(r.Stdout, ": "+f.action+"; failed: ") {
		t.Errorf("that %s failed is not told:\n%s", f.action, r.Stdout)
	}
	t.Logf("%s: %s", answer.Boot.Cause, answer.Boot.Summary)
	if !slices.Contains(f.causes, answer.Boot.Cause) || !strings.Contains(r.Stdout, f.says) {
		t.Errorf("shisa names %s, want %v, with %q in\n%s", answer.Boot.Cause, f.causes, f.says, r.Stdout)
	}
}
