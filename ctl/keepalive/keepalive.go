// Package keepalive is the contract between the keeper and the countdowns in
// ctl/keepalive/drivers that reset the machine when nobody pings them.
package keepalive

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// An Engine is a countdown held outside this process, in the kernel or in the
// machine, that acts on the machine when it is not pinged in time. It is used
// by one goroutine at a time.
type Engine interface {
	Info() Info                   // identity; what it can do; what it outlives
	Arm(Request) (Granted, error) // start or restart; the engine may grant other values than asked
	Ping() error                  // restart the countdown
	Disarm() error                // wraps ErrNoWayOut when the countdown cannot be stopped
	Close() error                 // give up the device, leave the countdown as it is
}

// ErrNoWayOut says that a countdown cannot be stopped once it is armed.
var ErrNoWayOut = errors.New("the countdown cannot be stopped (nowayout)")

// ErrBusy says that another process holds the device.
var ErrBusy = errors.New("held by another process")

// ErrAbsent says that the device or program is not there.
var ErrAbsent = errors.New("not present")

// ErrNotArmed says that a countdown was to be pinged that is not armed.
var ErrNotArmed = errors.New("not armed")

// A Holder is an engine that holds its device through a file descriptor, which
// it can pass on to the next program image without letting go of the countdown.
type Holder interface {
	Engine
	FD() int // -1 while it holds none

	// Adopt goes on with an armed countdown that fd holds and owns fd from
	// then on. An fd below 0 goes on with one that needs none.
	Adopt(fd int, r Request) (Granted, error)
}

// An Action is what an engine does to the machine when it fires.
type Action string

// Actions.
const (
	None       Action = "none"        // only measures, or only logs
	Reset      Action = "reset"       // at once, no sync
	Panic      Action = "panic"       // kernel panic, for kdump
	PowerOff   Action = "power_off"   //
	PowerCycle Action = "power_cycle" // off, pause, on; BMC only
)

// Actions lists every action in order of severity.
func Actions() []Action { return []Action{None, Reset, Panic, PowerOff, PowerCycle} }

// ActionsOf lists the actions that an engine can do at most which a method of the
// configuration may take, whatever the machine. What the very engine can do, its
// Info says. Nil: the method is not known.
func ActionsOf(method string) []Action {
	switch method {
	case "none":
		return []Action{None}
	case "softdog":
		return []Action{Reset}
	case "clpka", "keepalive":
		return []Action{None, Reset, Panic, PowerOff}
	case "wdt", "ipmi", "ipmiutil": // of the watchdog API only ipmi_watchdog lets one choose
		return []Action{None, Reset, PowerOff, PowerCycle}
	case "auto":
		return Actions()
	}
	return nil
}

// A Pretimeout is the warning that an engine gives some time before it fires.
type Pretimeout string

// Pretimeouts, as IPMI 2.0 section 27.6 names them.
const (
	NoPretimeout Pretimeout = "none"
	SMI          Pretimeout = "smi"       // to the firmware
	NMI          Pretimeout = "nmi"       // to the kernel, which may panic on it
	Messaging    Pretimeout = "messaging" // interrupt on the messaging channel
)

// Info is what is known of an engine before it is armed.
type Info struct {
	Driver      string        // "wdt", "ipmi", "ipmiutil", "none", "clpka"
	Device      string        // "/dev/watchdog0"; empty when there is none
	Identity    string        // what the device calls itself: "Software Watchdog"
	Hardware    bool          // goes on counting when the kernel is dead
	Actions     []Action      // that Arm accepts
	Pretimeouts []Pretimeout  // that Arm accepts beside none
	MinTimeout  time.Duration // 0: unknown
	MaxTimeout  time.Duration // 0: unknown
	NoWayOut    bool          // Disarm is impossible
	Outlives    string        // what stalls it survives, in a few words for the operator
	FeedEvery   time.Duration // shortest useful distance between two pings; 0: any (a BMC is fed gently)
}

// String returns driver, device and identity.
func (i Info) String() string {
	parts := []string{i.Driver}
	if i.Device != "" {
		parts = append(parts, i.Device)
	}
	if i.Identity != "" {
		parts = append(parts, "("+i.Identity+")")
	}
	return strings.Join(parts, " ")
}

// Can reports whether the engine supports a.
func (i Info) Can(a Action) bool { return slices.Contains(i.Actions, a) }

// A Noter is an Engine that keeps words for the operator: they are printed, and dumped
// where the kernel dumps its log, when it fires. A note replaces the one before.
type Noter interface {
	Note(text string) error
}

// A Request is how a countdown is to be armed.
type Request struct {
	Timeout    time.Duration // from the last ping to the action; must be positive
	Action     Action
	Pretimeout Pretimeout    // empty counts as none
	Before     time.Duration // of the pretimeout before the timeout; 0 without one
}

// Check returns an error that lists what the engine can do when r asks for
// something else.
func (r Request) Check(i Info) error {
	switch {
	case r.Timeout <= 0:
		return fmt.Errorf("timeout %v must be positive", r.Timeout)
	case !i.Can(r.Action):
		return fmt.Errorf("%s cannot %s; it can: %s", i, r.Action, List(i.Actions))
	case r.Pretimeout != "" && r.Pretimeout != NoPretimeout && !slices.Contains(i.Pretimeouts, r.Pretimeout):
		return fmt.Errorf("%s has no pretimeout %s; it has: %s", i, r.Pretimeout, List(append([]Pretimeout{NoPretimeout}, i.Pretimeouts...)))
	case r.Before < 0 || r.Before >= r.Timeout:
		return fmt.Errorf("pretimeout %v must come before the timeout %v", r.Before, r.Timeout)
	case i.MinTimeout > 0 && r.Timeout < i.MinTimeout:
		return fmt.Errorf("timeout %v is less than %s can do: %v", r.Timeout, i, i.MinTimeout)
	case i.MaxTimeout > 0 && r.Timeout > i.MaxTimeout:
		return fmt.Errorf("timeout %v is more than %s can do: %v", r.Timeout, i, i.MaxTimeout)
	}
	return nil
}

// Granted is what the engine really does, read back from it after arming.
type Granted struct {
	Timeout    time.Duration
	Action     Action
	Pretimeout Pretimeout
	Before     time.Duration
}

// A Role is the place of an engine beside another.
type Role string

// Roles.
const (
	Primary  Role = "primary"  // fires first, can leave evidence
	Backstop Role = "backstop" // fires later by a margin, when the kernel itself is dead
)

// List writes actions or pretimeouts for the operator: "none, reset".
func List[T ~string](items []T) string {
	s := make([]string, len(items))
	for i, item := range items {
		s[i] = string(item)
	}
	return strings.Join(s, ", ")
}
