// Package wire is what the daemon and the keeper say to each other: one
// request and one reply, each a packet on a unix socket. It is a small binary
// form because the keeper is to stay small; whoever looks in from outside asks
// the daemon, which speaks JSON.
package wire

import (
	"time"

	"shisa/ctl/keepalive"
)

// Socket is where the keeper listens unless told otherwise.
const Socket = "/run/shisa/keeper.sock"

// Version of the protocol. A keeper answers a request of another version with
// an error, so that an upgrade of one side is noticed and not misread.
const Version = 1

// A Verb is what a request asks for.
type Verb int

// Verbs.
const (
	Hello    Verb = iota + 1 // tell the status
	Arm                      // guard as ordered, from what is armed now
	Disarm                   // stop the countdowns on purpose and only measure
	Shutdown                 // re-arm for a shutdown: count down without pings
	Upgrade                  // go on as the program at Request.Program
	Stop                     // end; refused while a countdown is armed
)

var verbs = map[Verb]string{Hello: "hello", Arm: "arm", Disarm: "disarm", Shutdown: "shutdown", Upgrade: "upgrade", Stop: "stop"}

// String returns the verb in lower case.
func (v Verb) String() string { return verbs[v] }

// A State is what the keeper is doing.
type State int

// States.
const (
	Idle      State = iota // holds no countdown and has no page to judge
	Measuring              // judges beats, no engine is armed that acts
	Guarding               // judges beats and pings
	Withheld               // a beat is stale: the countdown runs and is not pinged
	Down                   // the machine is going down: the countdown runs and is not pinged
)

var states = [...]string{"idle", "measuring", "guarding", "withheld", "shutdown"}

// String returns the state in lower case.
func (s State) String() string {
	if s < 0 || int(s) >= len(states) {
		return "unknown"
	}
	return states[s]
}

// A Guard is one countdown that the keeper is to hold.
type Guard struct {
	Role    keepalive.Role
	Driver  string
	Device  string
	Request keepalive.Request
	Margin  time.Duration // by which it is to fire later than the beats' limits
}

// Orders are how the keeper is to guard.
type Orders struct {
	Page    string        // of beats; empty: none, then Guards must be of driver none
	Guards  []Guard       // at most two; the first is the primary
	Fresh   time.Duration // age at which a beat is always still good: more than the interval of the slowest
	Absence time.Duration // that the daemon may be away; 0: each beat's own limit
	Warn    int           // percent of a beat's limit at which last words are prepared; 0: 80

	LastWords        string // file that the witness writes to; empty: none
	ReleaseOnSIGTERM bool   // of Shutdown: disarm when SIGTERM comes
}

// A Request is what a client sends.
type Request struct {
	Verb    Verb
	Attach  bool   // the sender is the daemon: its death means that the daemon is absent
	Reason  string // of Disarm and Stop, for the log
	Program string // of Upgrade
	Orders  Orders // of Arm and Shutdown
}

// A Reply is what the keeper answers.
type Reply struct {
	Error  string // empty: done
	Status Status // after the request
}

// Status is what the keeper knows. Ages are of the moment of the reply.
type Status struct {
	Version  string
	PID      int
	State    State
	Page     string
	Degraded []string // what it could not set up for itself, with the consequence

	Daemon int  // process that attached last; 0: none
	Absent bool // it has ended

	Largest     time.Duration // largest delay of any beat so far
	LargestBeat string
	Stale       string        // beat for which pings are withheld; empty: none
	StaleFor    time.Duration // age of that beat
	StaleLimit  time.Duration // its limit
	Lateness    time.Duration // largest by which a wake-up of the keeper itself was late
	Witness     string        // state of the writer of last words; empty: none wanted

	Engines []Engine
}

// Engine is the status of one countdown.
type Engine struct {
	Role     keepalive.Role
	Driver   string
	Device   string
	Identity string
	Hardware bool
	NoWayOut bool
	Outlives string
	Margin   time.Duration
	Asked    keepalive.Request
	Granted  keepalive.Granted
	Armed    bool
	LastPing time.Duration // ago; -1: never
	Took     time.Duration // of the last ping
	Longest  time.Duration // ping so far
	Hung     time.Duration // that the ping under way takes already; 0: none under way
	Pings    int64
	Errors   int64
	Error    string // of arming or of the last ping; empty: none
}

// Encode writes r.
func (r *Request) Encode() ([]byte, error) { return encode(r.code) }

// Decode reads r, and fails on anything that is not a whole request of this Version.
func (r *Request) Decode(b []byte) error { return decode(b, r.code) }

// Encode writes r.
func (r *Reply) Encode() ([]byte, error) { return encode(r.code) }

// Decode reads r.
func (r *Reply) Decode(b []byte) error { return decode(b, r.code) }

func (r *Request) code(c *codec) {
	version(c)
	number(c, &r.Verb)
	flag(c, &r.Attach)
	text(c, &r.Reason)
	text(c, &r.Program)
	r.Orders.code(c)
}

func (o *Orders) code(c *codec) {
	text(c, &o.Page)
	list(c, &o.Guards, func(c *codec, g *Guard) { g.code(c) })
	span(c, &o.Fresh)
	span(c, &o.Absence)
	number(c, &o.Warn)
	text(c, &o.LastWords)
	flag(c, &o.ReleaseOnSIGTERM)
}

func (g *Guard) code(c *codec) {
	text(c, &g.Role)
	text(c, &g.Driver)
	text(c, &g.Device)
	request(c, &g.Request)
	span(c, &g.Margin)
}

func (r *Reply) code(c *codec) {
	version(c)
	text(c, &r.Error)
	r.Status.code(c)
}

func (s *Status) code(c *codec) {
	text(c, &s.Version)
	number(c, &s.PID)
	number(c, &s.State)
	text(c, &s.Page)
	list(c, &s.Degraded, text[string])
	number(c, &s.Daemon)
	flag(c, &s.Absent)
	span(c, &s.Largest)
	text(c, &s.LargestBeat)
	text(c, &s.Stale)
	span(c, &s.StaleFor)
	span(c, &s.StaleLimit)
	span(c, &s.Lateness)
	text(c, &s.Witness)
	list(c, &s.Engines, func(c *codec, e *Engine) { e.code(c) })
}

func (e *Engine) code(c *codec) {
	text(c, &e.Role)
	text(c, &e.Driver)
	text(c, &e.Device)
	text(c, &e.Identity)
	flag(c, &e.Hardware)
	flag(c, &e.NoWayOut)
	text(c, &e.Outlives)
	span(c, &e.Margin)
	request(c, &e.Asked)
	granted(c, &e.Granted)
	flag(c, &e.Armed)
	span(c, &e.LastPing)
	span(c, &e.Took)
	span(c, &e.Longest)
	span(c, &e.Hung)
	number(c, &e.Pings)
	number(c, &e.Errors)
	text(c, &e.Error)
}

func request(c *codec, r *keepalive.Request) {
	span(c, &r.Timeout)
	text(c, &r.Action)
	text(c, &r.Pretimeout)
	span(c, &r.Before)
}

func granted(c *codec, g *keepalive.Granted) {
	span(c, &g.Timeout)
	text(c, &g.Action)
	text(c, &g.Pretimeout)
	span(c, &g.Before)
}

// version stands first in every message.
func version(c *codec) {
	v := Version
	number(c, &v)
	if c.reading && c.err == nil && v != Version {
		c.err = errVersion
	}
}
