package why

import "time"

// Evidence is everything that survived the machine's going down. What is not
// known is zero: no evidence is not evidence of anything.
type Evidence struct {
	Now      Boot
	Run      *Run          // what our journal says of the boot that ended; nil: nothing
	Words    []Words       // last words of the keeper in that boot, oldest first
	Watchdog []Watchdog    // of this machine, as they are now
	BMC      *BMC          // nil: there is none, or it was not asked
	Crashes  []Crash       // what the kernel left in pstore
	Logins   Logins        // login records
	Unclean  []string      // files that other services found unclosed at this boot
	Closed   bool          // systemd's journal was closed at the end of that boot, which it is by the last of all services
	Usual    time.Duration // the longest of the last sound ways of this machine, see [Way]; zero: unknown
}

// Boot is the running kernel.
type Boot struct {
	ID     string
	Booted time.Time // wall clock
}

// A Run is what our journal says of one boot of the machine.
type Run struct {
	Boot    string
	First   time.Time // first record; zero: unknown
	Last    time.Time // last record
	Armed   []Countdown
	Leaving *Leaving // nil: the service ran until the end, or was cut off
	Intents []Intent // oldest first
}

// A Countdown was armed.
type Countdown struct {
	Role     string // "primary", "backstop"
	Driver   string
	Device   string
	Identity string
	Timeout  time.Duration
	Action   string
	Hardware bool
	Shutdown bool // it guarded the shutdown
}

// String returns "softdog at /dev/watchdog0, 90 s, reset".
func (c Countdown) String() string {
	name := c.Identity
	if name == "" {
		name = c.Driver
	}
	if c.Device != "" {
		name += " at " + c.Device
	}
	return name + ", " + seconds(c.Timeout) + ", " + c.Action
}

// Leaving says that the service stopped in an orderly way.
type Leaving struct {
	At     time.Time
	How    string // "stop": the service alone; "reboot", "poweroff", "shutdown": the machine
	By     string
	Reason string
	Phase  string // how far it came
}

// Down reports whether the machine was to go down, not the service alone.
func (l *Leaving) Down() bool { return l != nil && l.How != "stop" }

// An Intent was recorded before acting on the machine.
type Intent struct {
	At      time.Time
	Action  string
	Reason  string
	Subject string
	By      string
	Outcome string // empty: it did what it was meant to, or nothing is known
}

// Words are last words of the keeper, or of its witness. The event log of a BMC
// has room for phase and cause only.
type Words struct {
	At    time.Time
	From  string // where they survived; empty: the keeper's own file
	Phase string // "warning", "final", "recovered", "keeper_starved"
	Stall string // the cause in one word: "realtime_hog", "daemon_stopped", …
	Text  string // the same in a sentence
	Beat  string // that was stale
	Age   time.Duration
	Limit time.Duration
}

// A Watchdog is a device with what it says of this boot.
type Watchdog struct {
	Device   string // "watchdog0"
	Identity string
	Fired    bool   // it caused this boot (WDIOF_CARDRESET)
	Other    string // other causes that it names: "overheated", "power"
	Hardware bool
}

// BMC is what the management controller says.
type BMC struct {
	Expired bool    // its watchdog timer fired since it was armed last
	Restart string  // cause of the last restart in words (IPMI 2.0, 28.11); empty: unknown
	By      Hand    // who that was
	Entries []Entry // of the system event log, of about the time, oldest first
}

// An Entry of the system event log.
type Entry struct {
	At   time.Time // by our clock; zero: unknown
	Text string
	By   Hand
}

// A Hand is who took the machine down, as a BMC sees it from outside.
type Hand string

// Hands.
const (
	ByTimer    Hand = "timer"    // the watchdog timer ran out
	ByPower    Hand = "power"    // power was lost
	ByOperator Hand = "operator" // somebody used a button or a command of the BMC
	ByPanic    Hand = "panic"    // the operating system told the BMC that it panicked
)

// A Crash is a record of the kernel in pstore.
type Crash struct {
	File  string
	At    time.Time
	Kind  string   // "Panic", "Oops", "Emergency", …; empty: unknown
	Lines []string // that say what happened
	Fired bool     // our countdown in the kernel says that it fired
}

// Logins is what wtmp says. Zero times are unknown.
type Logins struct {
	Shutdown time.Time // last orderly shutdown before this boot
	Boot     time.Time // last boot
}
