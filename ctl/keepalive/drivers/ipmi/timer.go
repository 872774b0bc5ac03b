package ipmi

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"shisa/ctl/keepalive"
)

const (
	tick       = 100 * time.Millisecond // of the timer
	maxTimeout = 0xffff * tick

	useOS       = 0x04 // timer use SMS/OS: what an operating system's watchdog is for
	useMask     = 0x07
	bitRunning  = 0x40 // in the answer to Get
	bitDontStop = 0x40 // in Set: a timer that runs goes on, with the new count
	clearOS     = 0x10 // expiration flag of SMS/OS

	ccNotSet = 0x80 // of Reset: the timer was never set, the BMC itself was reset
)

var timerActions = map[keepalive.Action]byte{
	keepalive.None:       0,
	keepalive.Reset:      1,
	keepalive.PowerOff:   2,
	keepalive.PowerCycle: 3,
}

var timerPretimeouts = map[keepalive.Pretimeout]byte{
	keepalive.NoPretimeout: 0,
	keepalive.SMI:          1,
	keepalive.NMI:          2,
	keepalive.Messaging:    3,
}

// A Timer is the state of a BMC's watchdog timer.
type Timer struct {
	Running    bool
	Use        byte // 1 BIOS FRB2, 2 BIOS POST, 3 OS load, 4 SMS/OS, 5 OEM
	Action     keepalive.Action
	Pretimeout keepalive.Pretimeout
	Before     time.Duration
	Timeout    time.Duration // that it starts from
	Left       time.Duration
	Expired    bool // it has fired as SMS/OS since the flag was cleared last
}

// Timer reads the state of the watchdog timer. It changes nothing.
func (b *BMC) Timer() (Timer, error) {
	r, err := b.command("get watchdog timer", netApp, cmdGetWatchdog, nil, 8)
	if err != nil {
		return Timer{}, err
	}
	t := Timer{
		Running: r[0]&bitRunning != 0,
		Use:     r[0] & useMask,
		Before:  time.Duration(r[2]) * time.Second,
		Expired: r[3]&clearOS != 0,
		Timeout: time.Duration(binary.LittleEndian.Uint16(r[4:])) * tick,
		Left:    time.Duration(binary.LittleEndian.Uint16(r[6:])) * tick,
	}
	for a, code := range timerActions {
		if code == r[1]&0x07 {
			t.Action = a
		}
	}
	for p, code := range timerPretimeouts {
		if code == r[1]>>4&0x07 {
			t.Pretimeout = p
		}
	}
	return t, nil
}

// set configures the timer. A timer that runs stops unless flags tell it not to.
func (b *BMC) set(r keepalive.Request, flags byte) error {
	count := (r.Timeout + tick - 1) / tick
	before := (r.Before + time.Second - 1) / time.Second
	data := []byte{useOS | flags, timerActions[r.Action] | timerPretimeouts[r.Pretimeout]<<4, byte(before), clearOS, byte(count), byte(count >> 8)}
	_, err := b.command("set watchdog timer", netApp, cmdSetWatchdog, data, 0)
	return err
}

// restart starts the timer from its full count.
func (b *BMC) restart() error {
	_, err := b.command("reset watchdog timer", netApp, cmdResetWatchdog, nil, 0)
	return err
}

// Name of the driver.
const Name = "ipmi"

// Open returns the engine of the BMC behind device. The device is opened when
// it is needed first.
func Open(device string) *Engine {
	return New(device, func() (*BMC, error) { return OpenBMC(device) })
}

// New returns the engine of the BMC that open yields.
func New(device string, open func() (*BMC, error)) *Engine {
	return &Engine{device: device, open: open}
}

// An Engine is the watchdog timer of a BMC. It has no descriptor that holds
// the timer: the timer runs in the BMC, whoever opened it, and survives
// everything on this machine, its reset included.
type Engine struct {
	device   string
	open     func() (*BMC, error)
	bmc      *BMC
	identity string
	request  keepalive.Request
	armed    bool
}

// Info asks the BMC who it is the first time; without an answer the identity
// is empty.
func (e *Engine) Info() keepalive.Info {
	if e.identity == "" {
		if b, err := e.controller(); err == nil {
			e.identity, _ = b.Identity() // without it the engine works as well
		}
	}
	return keepalive.Info{
		Driver:      Name,
		Device:      e.device,
		Identity:    e.identity,
		Hardware:    true,
		Actions:     inOrder(timerActions),
		Pretimeouts: []keepalive.Pretimeout{keepalive.SMI, keepalive.NMI, keepalive.Messaging},
		MinTimeout:  time.Second,
		MaxTimeout:  maxTimeout,
		Outlives:    "a dead kernel, and the machine being off",
		FeedEvery:   time.Second,
	}
}

func inOrder(actions map[keepalive.Action]byte) []keepalive.Action {
	all := slices.Collect(maps.Keys(actions))
	slices.SortFunc(all, func(a, b keepalive.Action) int {
		return slices.Index(keepalive.Actions(), a) - slices.Index(keepalive.Actions(), b)
	})
	return all
}

func (e *Engine) controller() (*BMC, error) {
	if e.bmc == nil {
		b, err := e.open()
		if err != nil {
			return nil, err
		}
		e.bmc = b
	}
	return e.bmc, nil
}

// Arm sets the timer in steps of 100 ms, rounded up, starts it, and reads back
// what the BMC made of it. A timer that runs already goes on meanwhile.
func (e *Engine) Arm(r keepalive.Request) (keepalive.Granted, error) {
	if err := r.Check(e.Info()); err != nil {
		return keepalive.Granted{}, err
	}
	b, err := e.controller()
	if err != nil {
		return keepalive.Granted{}, fmt.Errorf("arm %s: %w: %w", e.device, keepalive.ErrAbsent, err)
	}
	var flags byte
	if e.armed {
		flags = bitDontStop
	}
	if err := b.set(r, flags); err != nil {
		return keepalive.Granted{}, fmt.Errorf("arm %s: %w", e.device, err)
	}
	if err := b.restart(); err != nil {
		return keepalive.Granted{}, fmt.Errorf("arm %s: %w", e.device, err)
	}
	g, err := e.granted(b)
	if err != nil {
		return keepalive.Granted{}, fmt.Errorf("arm %s: %w", e.device, err)
	}
	e.request, e.armed = r, true
	return g, nil
}

// granted reads back what the timer really does. BMCs are known to take other
// actions than they were told.
func (e *Engine) granted(b *BMC) (keepalive.Granted, error) {
	t, err := b.Timer()
	switch {
	case err != nil:
		return keepalive.Granted{}, err
	case !t.Running && t.Left == 0: // QEMU's BMC counts without saying that it runs
		return keepalive.Granted{}, fmt.Errorf("the BMC did not start its timer")
	}
	return keepalive.Granted{Timeout: t.Timeout, Action: t.Action, Pretimeout: t.Pretimeout, Before: t.Before}, nil
}

// FD returns -1: nothing has to be held.
func (e *Engine) FD() int { return -1 }

// Adopt goes on with a timer that the previous program image started.
func (e *Engine) Adopt(_ int, r keepalive.Request) (keepalive.Granted, error) {
	b, err := e.controller()
	if err != nil {
		return keepalive.Granted{}, fmt.Errorf("adopt %s: %w", e.device, err)
	}
	e.request, e.armed = r, true
	return e.granted(b)
}

// Ping restarts the timer. A BMC that was itself reset has forgotten the timer
// and says so: then it is set anew.
func (e *Engine) Ping() error {
	if !e.armed {
		return keepalive.ErrNotArmed
	}
	b, err := e.controller()
	if err != nil {
		return err
	}
	err = b.restart()
	if completion(err, ccNotSet) {
		if err = b.set(e.request, 0); err == nil {
			err = b.restart()
		}
	}
	return err
}

// Disarm stops the timer and looks whether it has stopped.
func (e *Engine) Disarm() error {
	if !e.armed {
		return nil
	}
	b, err := e.controller()
	if err == nil {
		off := e.request
		off.Action, off.Pretimeout, off.Before = keepalive.None, keepalive.NoPretimeout, 0
		err = b.set(off, 0)
	}
	if err != nil {
		return fmt.Errorf("disarm %s: %w", e.device, err)
	}
	t, err := b.Timer()
	switch {
	case err != nil:
		return fmt.Errorf("disarm %s: %w", e.device, err)
	case t.Running && t.Action != keepalive.None:
		return fmt.Errorf("disarm %s: the timer still runs: %w", e.device, keepalive.ErrNoWayOut)
	}
	e.armed = false
	return nil
}

// Close gives up the device and leaves the timer as it is.
func (e *Engine) Close() error {
	b := e.bmc
	e.bmc, e.armed = nil, false
	if b == nil {
		return nil
	}
	return b.Close()
}
