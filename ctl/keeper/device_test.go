package keeper_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"shisa/ctl/beat"
	"shisa/ctl/keepalive"
	"shisa/ctl/keepalive/choose"
	"shisa/ctl/keepalive/drivers/wdt"
	"shisa/ctl/keeper"
	"shisa/ctl/keeper/wire"
)

// armed spawns a keeper that holds softdog and the BMC; in a guest only.
func armed(t *testing.T) (keeper.Client, keeper.Status, *beat.Slot, string) {
	t.Helper()
	if os.Getenv("SHISA_DEVICES") != "1" {
		t.Skip("arms real countdowns: runs in a guest only (TestInGuests)")
	}
	c, _ := spawn(t)
	dir := t.TempDir()
	page, err := beat.Create(filepath.Join(dir, "beats"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { page.Close() })
	slot, err := page.Slot("loop", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	slot.Beat()
	if err := choose.Load(t.Context(), "/", "softdog"); err != nil {
		t.Fatal(err)
	}
	nodes, err := wdt.List("/")
	if err != nil {
		t.Fatal(err)
	}
	o := keeper.Orders{Page: filepath.Join(dir, "beats"), Fresh: 5 * time.Second, LastWords: filepath.Join(dir, "last-words")}
	for _, n := range nodes {
		if n.Identity == wdt.SoftdogIdentity {
			o.Guards = append(o.Guards, keeper.Guard{Role: keepalive.Primary, Driver: "wdt", Device: n.Device,
				Request: keepalive.Request{Timeout: 50 * time.Second, Action: keepalive.Reset}})
		}
	}
	o.Guards = append(o.Guards, keeper.Guard{Role: keepalive.Backstop, Driver: "ipmi", Device: "/dev/ipmi0", Margin: 30 * time.Second,
		Request: keepalive.Request{Timeout: 80 * time.Second, Action: keepalive.Reset}})
	begun := time.Now()
	s, err := c.Arm(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("armed within %v", time.Since(begun))
	t.Cleanup(func() {
		if _, err := c.Disarm(context.Background(), "end of the test"); err != nil && !errors.Is(err, keeper.ErrAbsent) {
			t.Error(err)
		}
	})
	return c, s, slot, o.Guards[0].Device
}

// field returns a line of a process's status file.
func field(t *testing.T, pid int, key string) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(l, key+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("no %s in the status of %d", key, pid)
	return ""
}

func TestOnDevicesKeeperIsRealTimeAndSmall(t *testing.T) {
	_, s, _, _ := armed(t)
	if len(s.Degraded) != 0 || s.State != wire.Guarding || len(s.Engines) != 2 {
		t.Fatalf("status %+v", s)
	}
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", s.PID))
	if err != nil || len(stats) < 4 {
		t.Fatalf("%d threads, %v", len(stats), err)
	}
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		if policy := f[38]; policy != "1" {
			t.Errorf("%s: policy %s, want SCHED_FIFO", name, policy)
		}
	}
	adj, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", s.PID))
	if err != nil || strings.TrimSpace(string(adj)) != "-1000" {
		t.Errorf("oom_score_adj %s, %v", adj, err)
	}
	var kib int
	if _, err := fmt.Sscanf(field(t, s.PID, "VmRSS"), "%d kB", &kib); err != nil || kib > 8<<10 {
		t.Errorf("resident %d KiB, %v; want at most 8 MiB", kib, err)
	}
	t.Logf("resident %d KiB with the test program around it, locked %s, %d threads", kib, field(t, s.PID, "VmLck"), len(stats))
	comm, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, name := range comm {
		cmdline, err := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
		if err != nil || !strings.HasPrefix(string(cmdline), "shisa-keeper\x00witness") {
			continue
		}
		found = true
		end := time.Now().Add(20 * time.Second)
		for ; ; time.Sleep(50 * time.Millisecond) { // it rehearses first
			b, err := os.ReadFile(filepath.Join(filepath.Dir(name), "stat"))
			if err != nil {
				t.Fatal(err)
			}
			f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
			if f[38] == "6" {
				break
			}
			if time.Now().After(end) {
				t.Errorf("the witness has policy %s, want SCHED_DEADLINE", f[38])
				break
			}
		}
	}
	if !found {
		t.Error("no witness runs")
	}
}

func TestOnDevicesUpgradeLeavesNoGap(t *testing.T) {
	c, before, slot, device := armed(t)
	for range 3 {
		slot.Beat()
		after, err := c.Upgrade(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if after.PID != before.PID || after.State != wire.Guarding || len(after.Engines) != 2 {
			t.Fatalf("after the upgrade: %+v", after)
		}
		for i, e := range after.Engines {
			if !e.Armed || e.Error != "" || e.Granted.Timeout != before.Engines[i].Granted.Timeout {
				t.Errorf("after the upgrade: %+v", e)
			}
		}
		n, ok := wdt.Lookup("/", device)
		if h, held := choose.HolderOf("/", device); !ok || !n.Active || !held || h.PID != before.PID {
			t.Errorf("the device is %+v, held by %+v", n, h)
		}
	}
	end := time.Now().Add(20 * time.Second)
	for {
		slot.Beat()
		s, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if e := s.Engines[0]; e.LastPing >= 0 && e.LastPing < 2*time.Second && e.Pings > before.Engines[0].Pings {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no ping after the upgrades: %+v", s.Engines[0])
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// TestOnDevicesDeathLeavesTheCountdown kills the keeper; the next one takes the
// countdown over.
func TestOnDevicesDeathLeavesTheCountdown(t *testing.T) {
	_, s, _, device := armed(t)
	process, err := os.FindProcess(s.PID) // by pidfd
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, held := choose.HolderOf("/", device); !held {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the device is still held")
		}
	}
	if n, ok := wdt.Lookup("/", device); !ok || !n.Active {
		t.Errorf("the countdown stopped when its keeper was killed: %+v", n)
	}
	e := wdt.Open("/", device)
	if _, err := e.Arm(keepalive.Request{Timeout: time.Minute, Action: keepalive.Reset}); err != nil {
		t.Fatalf("it cannot be taken over: %v", err)
	}
	if err := e.Disarm(); err != nil {
		t.Error(err)
	}
}
