package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/event"
	"shisa/ctl/keepalive/drivers/ipmi"
	"shisa/ctl/recovery"
	"shisa/ctl/recovery/actions"
	"shisa/ctl/store"
)

// bootID identifies the running kernel; empty where /proc is missing. Every event and
// every record of the journal carries it, so it is read once.
var bootID = sync.OnceValue(func() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
})

// uptime is the time since boot, suspended time included (clock_gettime(2),
// CLOCK_BOOTTIME).
func uptime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

func stamp() store.Stamp { return store.Stamp{Time: time.Now(), Uptime: uptime(), Boot: bootID()} }

func (p *process) stampEvent(e *event.Event) {
	s := stamp()
	e.Seq, e.Time, e.Uptime, e.Boot = p.store.NextSeq(), s.Time, s.Uptime, s.Boot
}

// restrained is the machine for an ordinary user: it cannot be taken down.
type restrained struct{ *actions.Machine }

// Unable adds the lack of rights to the reasons for not acting.
func (r restrained) Unable() string {
	if os.Geteuid() != 0 {
		return "shisad does not run as root"
	}
	return r.Machine.Unable()
}

// bmcDevice is the first BMC, as the kernel's ipmi_devintf names it.
const bmcDevice = "/dev/ipmi0"

// bmc acts through the first BMC of the machine.
type bmc struct{}

var chassis = map[recovery.Action]ipmi.Chassis{
	recovery.BMCReset: ipmi.HardReset, recovery.BMCPowerOff: ipmi.PowerDown,
	recovery.BMCCycle: ipmi.PowerCycle, recovery.BMCNMI: ipmi.DiagnosticNMI,
}

// Chassis has the BMC carry out a. It waits for the answer until ctx is done; a
// BMC that never answers is left to its own time limit.
func (bmc) Chassis(ctx context.Context, a recovery.Action) error {
	c, ok := chassis[a]
	if !ok {
		return fmt.Errorf("a BMC cannot do %s", a)
	}
	answer := make(chan error, 1)
	go func() {
		b, err := ipmi.OpenBMC(bmcDevice)
		if err == nil {
			err = errors.Join(b.Control(c), b.Close())
		}
		answer <- err
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the BMC does not answer: %w", ctx.Err())
	}
}
