package drivers_test

import (
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"shisa/ctl/keepalive"
	"shisa/ctl/keepalive/choose"
	"shisa/ctl/keepalive/drivers"
	"shisa/ctl/keepalive/drivers/ipmi"
	"shisa/ctl/keepalive/drivers/wdt"
	"shisa/ctl/keepalive/keepalivetest"
)

// onDevices skips a test that arms real countdowns unless it runs in the guest
// that TestInGuests boots.
func onDevices(t *testing.T) {
	t.Helper()
	if os.Getenv("SHISA_DEVICES") != "1" {
		t.Skip("arms real countdowns: runs in a guest only (TestInGuests)")
	}
}

func open(t *testing.T, driver, device string) keepalive.Engine {
	t.Helper()
	e, err := drivers.Open(driver, device)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// node returns the watchdog device with an identity.
func node(t *testing.T, identity string) wdt.Node {
	t.Helper()
	nodes, err := wdt.List("/")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if n.Identity == identity {
			return n
		}
	}
	t.Fatalf("no device %q among %+v", identity, nodes)
	return wdt.Node{}
}

func TestOnSoftdog(t *testing.T) {
	onDevices(t)
	if err := choose.Load(t.Context(), "/", "softdog", "soft_noboot=0", "soft_panic=0", "nowayout=0"); err != nil {
		t.Fatal(err)
	}
	conformWDT(t, node(t, wdt.SoftdogIdentity))
}

func TestOnI6300ESB(t *testing.T) {
	onDevices(t)
	conformWDT(t, node(t, "i6300ESB timer"))
}

// TestOnIPMIWatchdog loads a driver outside the watchdog core when the core has
// given /dev/watchdog away already: it gets no device, and none is listed for it.
func TestOnIPMIWatchdog(t *testing.T) {
	onDevices(t)
	if err := choose.Load(t.Context(), "/", "ipmi_watchdog", "start_now=0"); err != nil {
		t.Fatal(err)
	}
	nodes, err := wdt.List("/")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if !n.Core || n.Active {
			t.Errorf("listed %+v", n)
		}
	}
	if n, ok := wdt.Lookup("/", "/dev/watchdog"); !ok || n.Name != "watchdog0" {
		t.Errorf("/dev/watchdog is %+v", n)
	}
}

func conformWDT(t *testing.T, n wdt.Node) {
	keepalivetest.Conform(t, keepalivetest.Case{
		New:     func(t *testing.T) keepalive.Engine { return open(t, wdt.Name, n.Device) },
		Request: keepalive.Request{Timeout: 60 * time.Second, Action: keepalive.Reset},
		Counting: func() bool {
			now, ok := wdt.Lookup("/", n.Device)
			return ok && now.Active
		},
	})
}

func TestOnBMC(t *testing.T) {
	onDevices(t)
	b, err := ipmi.OpenBMC("/dev/ipmi0")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, r := range []keepalive.Request{
		{Timeout: 60 * time.Second, Action: keepalive.Reset},
		{Timeout: 60 * time.Second, Action: keepalive.PowerOff, Pretimeout: keepalive.NMI, Before: 5 * time.Second}, // QEMU has no power cycle
	} {
		keepalivetest.Conform(t, keepalivetest.Case{
			New:     func(t *testing.T) keepalive.Engine { return open(t, ipmi.Name, "/dev/ipmi0") },
			Request: r,
			Slack:   100 * time.Millisecond,
			Counting: func() bool {
				timer, err := b.Timer()
				return err == nil && timer.Left > 0 && timer.Action != keepalive.None
			},
		})
	}
	eventLog(t, b)
	begun := time.Now()
	for range 20 {
		if _, err := b.Timer(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("one command takes %v", time.Since(begun)/20)
}

// eventLog writes into the log of the BMC in both ways and reads it back.
func eventLog(t *testing.T, b *ipmi.BMC) {
	t.Helper()
	id, err := b.AddRecord(7)
	if err != nil {
		t.Fatal(err)
	}
	dev, err := os.OpenFile("/dev/ipmi0", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(ipmi.Post(int(dev.Fd()), 8), dev.Close()); err != nil { // who posts does not stay
		t.Fatal(err)
	}
	var last []ipmi.Record // commands are carried out in order: it is there when this one is answered
	for r, err := range b.Newest(t.Context(), 5) {
		if err != nil {
			t.Fatal(err)
		}
		last = append(last, r)
	}
	if len(last) < 2 || last[1].ID != id || !last[1].Ours || last[1].Code != 7 || !last[0].Ours || last[0].Code != 8 {
		t.Errorf("after record %d the log ends with %+v", id, last)
	}
	if now, err := b.LogTime(); err != nil || len(last) > 0 && now.Before(last[0].Time) {
		t.Errorf("the log's clock shows %v, %v", now, err)
	}
}

// TestActionsOf: a configuration is refused for what no engine of its method can
// do, so that list must hold all that any engine says it can.
func TestActionsOf(t *testing.T) {
	for _, method := range drivers.Names() {
		can := keepalive.ActionsOf(method)
		for _, a := range open(t, method, "").Info().Actions {
			if !slices.Contains(can, a) {
				t.Errorf("%s can %s, which a configuration may not ask for", method, a)
			}
		}
	}
	if can := keepalive.ActionsOf("softdog"); slices.Contains(can, keepalive.Panic) {
		t.Error("softdog is loaded with soft_panic=0 and cannot panic")
	}
}
