package ipmiutil_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	uroot "github.com/u-root/u-root/pkg/ipmi"

	"shisa/ctl/keepalive"
	"shisa/ctl/keepalive/drivers/ipmi/ipmitest"
	"shisa/ctl/keepalive/drivers/ipmi/ipmiutil"
	"shisa/ctl/keepalive/keepalivetest"
)

// program answers on the command line as the real ones do, from a BMC in memory.
func program(fake *ipmitest.BMC) ipmiutil.Runner {
	return func(path string, args ...string) ([]byte, error) {
		tool := strings.HasSuffix(path, "ipmitool")
		var raw []byte
		for _, a := range args[1:] {
			n, err := strconv.ParseUint(strings.TrimPrefix(a, "0x"), 16, 8)
			if err != nil {
				return []byte("usage"), errors.New("exited with status 1")
			}
			raw = append(raw, byte(n))
		}
		if !tool {
			raw = append([]byte{raw[2] >> 2}, raw[3:]...)
		}
		r, err := fake.Send(raw[0], raw[1], raw[2:])
		var code uroot.CompletionError
		switch {
		case errors.As(err, &code) && tool:
			return fmt.Appendf(nil, "Unable to send RAW command (channel=0x0 netfn=0x%x lun=0x0 cmd=0x%x rsp=0x%x): Unknown (0x%x)\n", raw[0], raw[1], byte(code), byte(code)), errors.New("exited with status 1")
		case errors.As(err, &code):
			return fmt.Appendf(nil, "ipmiutil cmd ver 3.18\nipmi_cmd: ret = -1, ccode %02x Invalid\n", byte(code)), errors.New("exited with status 255")
		case err != nil:
			return nil, err
		case tool:
			return fmt.Appendf(nil, " % x\n", r[1:]), nil
		case len(r) == 1:
			return []byte("ipmiutil cmd ver 3.18\nsend_icmd ret = 0\n"), nil
		}
		return fmt.Appendf(nil, "ipmiutil cmd ver 3.18\n-- BMC version 3.13, IPMI version 2.0\nrespData[len=%d]: % x \nsend_icmd ret = 0\n", len(r)-1, r[1:]), nil
	}
}

func TestConform(t *testing.T) {
	for _, path := range []string{"/usr/bin/ipmitool", "/usr/sbin/ipmiutil"} {
		t.Run(path, func(t *testing.T) {
			var fake *ipmitest.BMC
			keepalivetest.Conform(t, keepalivetest.Case{
				New: func(t *testing.T) keepalive.Engine {
					if fake == nil || !strings.Contains(t.Name(), "closed") {
						fake = new(ipmitest.BMC)
					}
					return ipmiutil.New(path, program(fake))
				},
				Request:  keepalive.Request{Timeout: time.Minute, Action: keepalive.PowerCycle, Pretimeout: keepalive.NMI, Before: 5 * time.Second},
				Counting: func() bool { return fake.Running() },
				Slack:    100 * time.Millisecond,
			})
		})
	}
}

func TestForgetfulBMC(t *testing.T) {
	for _, path := range []string{"/usr/bin/ipmitool", "/usr/sbin/ipmiutil"} {
		fake := new(ipmitest.BMC)
		e := ipmiutil.New(path, program(fake))
		if _, err := e.Arm(keepalive.Request{Timeout: time.Minute, Action: keepalive.Reset}); err != nil {
			t.Fatal(err)
		}
		fake.Reset()
		if err := e.Ping(); err != nil || !fake.Running() {
			t.Errorf("%s: the BMC was reset: %v, timer running %v", path, err, fake.Running())
		}
		if e.Info().Driver != "ipmiutil" || e.Info().Identity == "" {
			t.Errorf("%s: %v", path, e.Info())
		}
	}
}

func TestProgramThatFails(t *testing.T) {
	for name, r := range map[string]ipmiutil.Runner{
		"Could not open device": func(string, ...string) ([]byte, error) {
			return []byte("Could not open device at /dev/ipmi0\n"), errors.New("exited with status 1")
		},
		"not bytes in hex": func(string, ...string) ([]byte, error) { return []byte("hello"), nil },
	} {
		_, err := ipmiutil.BMC("/usr/bin/ipmitool", r).Timer()
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %q", err, name)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(" 04 01 00 00 58 02 58 02\n"))
	f.Add([]byte("respData[len=8]: 04 01 00 00 58 02 58 02 \n"))
	f.Add([]byte("ipmi_cmd: ret = -1, ccode 80 x\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		for _, path := range []string{"ipmitool", "ipmiutil"} {
			b := ipmiutil.BMC(path, func(string, ...string) ([]byte, error) { return out, nil })
			b.Timer()
			b.Identity()
		}
	})
}
