package ipmi_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	uroot "github.com/u-root/u-root/pkg/ipmi"

	"shisa/ctl/keepalive"
	"shisa/ctl/keepalive/drivers/ipmi"
	"shisa/ctl/keepalive/drivers/ipmi/ipmitest"
	"shisa/ctl/keepalive/keepalivetest"
)

func engine(fake *ipmitest.BMC) *ipmi.Engine {
	return ipmi.New("/dev/ipmi0", func() (*ipmi.BMC, error) { return ipmi.NewBMC(fake.Send, nil), nil })
}

var usual = keepalive.Request{Timeout: 115 * time.Second, Action: keepalive.Reset}

func TestConform(t *testing.T) {
	for _, r := range []keepalive.Request{
		usual,
		{Timeout: 2500 * time.Millisecond, Action: keepalive.PowerOff, Pretimeout: keepalive.SMI, Before: time.Second},
		{Timeout: time.Hour, Action: keepalive.PowerCycle, Pretimeout: keepalive.NMI, Before: 10 * time.Second},
	} {
		t.Run(string(r.Action), func(t *testing.T) {
			var fake *ipmitest.BMC
			keepalivetest.Conform(t, keepalivetest.Case{
				New: func(t *testing.T) keepalive.Engine {
					if fake == nil || !strings.Contains(t.Name(), "closed") {
						fake = new(ipmitest.BMC)
					}
					return engine(fake)
				},
				Request:  r,
				Counting: func() bool { return fake.Running() },
				Slack:    100 * time.Millisecond,
			})
		})
	}
}

func TestBytesOfSet(t *testing.T) {
	var set []byte
	fake := new(ipmitest.BMC)
	e := ipmi.New("", func() (*ipmi.BMC, error) {
		return ipmi.NewBMC(func(netfn, cmd byte, data []byte) ([]byte, error) {
			if netfn == 0x06 && cmd == 0x24 {
				set = append([]byte(nil), data...)
			}
			return fake.Send(netfn, cmd, data)
		}, nil), nil
	})
	r := keepalive.Request{Timeout: 60 * time.Second, Action: keepalive.PowerCycle, Pretimeout: keepalive.NMI, Before: 5 * time.Second}
	if _, err := e.Arm(r); err != nil {
		t.Fatal(err)
	}
	if want := "\x04\x23\x05\x10\x58\x02"; string(set) != want {
		t.Errorf("set % x, want % x", set, want)
	}
	if _, err := e.Arm(r); err != nil {
		t.Fatal(err)
	}
	if set[0] != 0x44 {
		t.Errorf("armed again with %#x: the timer that runs is stopped meanwhile", set[0])
	}
}

func TestForgetfulBMCIsSetAgain(t *testing.T) {
	fake := new(ipmitest.BMC)
	e := engine(fake)
	if _, err := e.Arm(usual); err != nil {
		t.Fatal(err)
	}
	fake.Reset()
	if err := e.Ping(); err != nil {
		t.Fatalf("ping after the BMC was reset: %v", err)
	}
	if !fake.Running() {
		t.Error("the timer does not run again")
	}
}

func TestLyingBMCIsFoundOut(t *testing.T) {
	fake := &ipmitest.BMC{Granted: func(byte) byte { return 1 }}
	g, err := engine(fake).Arm(keepalive.Request{Timeout: time.Minute, Action: keepalive.PowerOff})
	if err != nil || g.Action != keepalive.Reset {
		t.Errorf("asked to power off, it will reset: granted %v, %v", g.Action, err)
	}
}

func TestBMCThatFails(t *testing.T) {
	busy := uroot.CompletionError(0xc0)
	for _, cmd := range []byte{0x22, 0x24, 0x25} {
		fake := &ipmitest.BMC{Fail: func(_, c byte) error {
			if c == cmd {
				return busy
			}
			return nil
		}}
		if _, err := engine(fake).Arm(usual); !errors.Is(err, busy) {
			t.Errorf("command %#x fails: %v", cmd, err)
		}
	}
	e := ipmi.New("/dev/ipmi7", func() (*ipmi.BMC, error) { return nil, io.ErrUnexpectedEOF })
	if _, err := e.Arm(usual); !errors.Is(err, keepalive.ErrAbsent) {
		t.Errorf("no device: %v", err)
	}
	short := ipmi.NewBMC(func(byte, byte, []byte) ([]byte, error) { return []byte{0}, nil }, nil)
	if _, err := short.Timer(); err == nil {
		t.Error("a response without content was accepted")
	}
}

func TestIdentity(t *testing.T) {
	got, err := ipmi.NewBMC(new(ipmitest.BMC).Send, nil).Identity()
	if err != nil || !strings.Contains(got, "IPMI 2.0") {
		t.Errorf("%q, %v", got, err)
	}
}

func TestChassis(t *testing.T) {
	var did []byte
	b := ipmi.NewBMC((&ipmitest.BMC{OnPower: func(c byte) { did = append(did, c) }}).Send, nil)
	for _, c := range []ipmi.Chassis{ipmi.PowerDown, ipmi.PowerCycle, ipmi.HardReset, ipmi.DiagnosticNMI, ipmi.SoftShutdown} {
		if err := b.Control(c); err != nil {
			t.Error(err)
		}
	}
	if string(did) != "\x00\x02\x03\x04\x05" {
		t.Errorf("controls % x", did)
	}
}

func TestEventLog(t *testing.T) {
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	fake := &ipmitest.BMC{Clock: func() time.Time { return at }}
	b := ipmi.NewBMC(fake.Send, nil)
	if r, err := b.Records(t.Context(), 10); err != nil || len(r) != 0 {
		t.Fatalf("an empty log: %v, %v", r, err)
	}
	expired := [16]byte{2: 0x02, 10: 0x23, 13: 0xc1}
	for range 20 {
		fake.Log(expired)
	}
	id, err := b.AddRecord(7)
	if err != nil || id != 21 {
		t.Fatalf("record %d, %v", id, err)
	}
	r, err := b.Records(t.Context(), 3)
	if err != nil || len(r) != 3 {
		t.Fatalf("%d records, %v", len(r), err)
	}
	if w := r[0]; !w.Watchdog || w.Expiry != 1 || w.ID != 19 {
		t.Errorf("the oldest kept is %+v", w)
	}
	if ours := r[2]; !ours.Ours || ours.Code != 7 || !ours.Time.Equal(at) {
		t.Errorf("ours reads %+v", ours)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Records(ctx, 3); !errors.Is(err, context.Canceled) {
		t.Errorf("after its deadline: %v", err)
	}
	endless := ipmi.NewBMC(func(byte, byte, []byte) ([]byte, error) { return make([]byte, 19), nil }, nil)
	if _, err := endless.Records(t.Context(), 3); err == nil {
		t.Error("a log that leads back to its beginning is read for ever")
	}
}
