package ipmi_test

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	uroot "github.com/u-root/u-root/pkg/ipmi"
	"golang.org/x/sys/unix"

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

// newest reads the log backwards.
func newest(ctx context.Context, b *ipmi.BMC, tries int) (all []ipmi.Record, err error) {
	for r, err := range b.Newest(ctx, tries) {
		if err != nil {
			return all, err
		}
		all = append(all, r)
	}
	return all, nil
}

func TestEventLog(t *testing.T) {
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	fake := &ipmitest.BMC{Clock: func() time.Time { return at }}
	b := ipmi.NewBMC(fake.Send, nil)
	if r, err := newest(t.Context(), b, 10); err != nil || len(r) != 0 {
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
	r, err := newest(t.Context(), b, 3)
	if err != nil || len(r) != 3 {
		t.Fatalf("%d records, %v", len(r), err)
	}
	if ours := r[0]; !ours.Ours || ours.Code != 7 || !ours.Time.Equal(at) {
		t.Errorf("ours reads %+v", ours)
	}
	if w := r[2]; !w.Watchdog || w.Expiry != 1 || w.ID != 19 {
		t.Errorf("the one before the one before is %+v", w)
	}
	if r, err := newest(t.Context(), b, 1000); err != nil || len(r) != 21 {
		t.Errorf("all: %d, %v", len(r), err)
	}
	if now, err := b.LogTime(); err != nil || !now.Equal(at) {
		t.Errorf("the log's clock shows %v, %v", now, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newest(ctx, b, 3); !errors.Is(err, context.Canceled) {
		t.Errorf("after its deadline: %v", err)
	}
}

// Numbers may have gaps, and 0 may be the first one's own number.
func TestEventLogWithGaps(t *testing.T) {
	numbers := []uint16{0, 7, 16}
	b := ipmi.NewBMC(func(_, _ byte, data []byte) ([]byte, error) {
		id := uint16(data[2]) | uint16(data[3])<<8
		if id == 0xffff {
			id = numbers[len(numbers)-1]
		}
		if !slices.Contains(numbers, id) {
			return nil, uroot.CompletionError(0xcb)
		}
		return []byte{0, 0xff, 0xff, byte(id), byte(id >> 8), 0x02, 16: 0, 18: 0}, nil
	}, nil)
	r, err := newest(t.Context(), b, 64)
	if err != nil || len(r) != 3 || r[0].ID != 16 || r[1].ID != 7 || r[2].ID != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, _ := newest(t.Context(), b, 4); len(r) != 1 {
		t.Errorf("with 4 commands: %+v", r)
	}
}

func TestRestartCause(t *testing.T) {
	fake := &ipmitest.BMC{Restart: 0xf6}
	c, err := ipmi.NewBMC(fake.Send, nil).RestartCause()
	if err != nil || c != ipmi.RestartACAlways || c.String() != "AC power came back" || ipmi.RestartCause(15).String() != "unknown" {
		t.Errorf("%v, %v", c, err)
	}
}

// Who has no time is told at once when the kernel does not take the record.
func TestPostToNoBMC(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := ipmi.Post(int(f.Fd()), 7); !errors.Is(err, unix.ENOTTY) {
		t.Errorf("got %v", err)
	}
}
