// Package choose picks the countdowns that guard this machine: a primary, which
// fires first and can leave evidence, and a backstop in hardware for when the
// kernel itself is dead. It probes without opening a watchdog device, because
// opening one starts it, and says of every candidate why it was taken or not.
//
// The order is: clpka, softdog, wdt, ipmi, ipmiutil for the primary; wdt, ipmi,
// ipmiutil for the backstop. The kernel comes first for the primary because a
// countdown in the kernel can still write down what it saw; for the backstop a
// chip behind the kernel's watchdog API comes before the BMC, because pinging
// it takes microseconds and pinging a BMC many milliseconds.
package choose

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/keepalive"
	"shisa/ctl/keepalive/drivers"
	"shisa/ctl/keepalive/drivers/none"
)

// Orders in which drivers are tried by method auto.
var (
	PrimaryOrder  = []string{"clpka", "softdog", "wdt", "ipmi", "ipmiutil"}
	BackstopOrder = []string{"wdt", "ipmi", "ipmiutil"}
)

// A Candidate is one countdown that was considered for one role.
type Candidate struct {
	Role     keepalive.Role `json:"role"`
	Method   string         `json:"method"` // of the configuration: "softdog"
	Driver   string         `json:"driver"` // "wdt"
	Device   string         `json:"device,omitempty"`
	Identity string         `json:"identity,omitempty"`
	Chosen   bool           `json:"chosen"`
	Why      string         `json:"why"`            // why it was chosen or not, for the operator
	Mend     string         `json:"mend,omitempty"` // what would make it one to choose; empty: nothing known
}

// A Choice is a countdown with the way it is to be armed.
type Choice struct {
	Role    keepalive.Role
	Info    keepalive.Info
	Request keepalive.Request
	Margin  time.Duration // by which it fires later than the beats' limit
}

// A Result is what was chosen, and why.
type Result struct {
	Primary    *Choice // nil: none works
	Backstop   *Choice // nil: none wanted or none works
	Candidates []Candidate
}

// Choices returns the primary and the backstop, as far as there are any.
func (r Result) Choices() []Choice {
	var c []Choice
	for _, p := range []*Choice{r.Primary, r.Backstop} {
		if p != nil {
			c = append(c, *p)
		}
	}
	return c
}

// Lesser returns the primary that is used and the better one that comes before it and
// cannot be had, with the reason and what would bring it back. False: what is used
// is the best there is, or is what the configuration names.
func (r Result) Lesser() (used, wanted Candidate, ok bool) {
	primary := slices.DeleteFunc(slices.Clone(r.Candidates), func(c Candidate) bool { return c.Role != keepalive.Primary })
	i := slices.IndexFunc(primary, func(c Candidate) bool { return c.Chosen })
	if i < 1 || primary[0].Method == primary[i].Method {
		return Candidate{}, Candidate{}, false
	}
	return primary[i], primary[0], true
}

// Fresh returns the age at which a beat is always still good: one and a half
// intervals, so that an ordinary round is never late.
func Fresh(s config.Stall) time.Duration { return s.Interval * 3 / 2 }

// Choose picks the countdowns that k wants for beats with the limits of s.
//
// Method auto takes the first candidate that works; when none does, Primary is
// nil and there is no error. A method or device that is named and does not work
// is an error, as is an action or a pretimeout that nothing on this machine can
// do; the error lists what it can. The result is complete even then.
func Choose(ctx context.Context, k config.Keepalive, s config.Stall, m Machine) (Result, error) {
	c := &chooser{ctx: ctx, keepalive: k, stall: s, machine: m.complete()}
	c.primary()
	c.backstop()
	return c.result, errors.Join(c.errs...)
}

type chooser struct {
	ctx       context.Context
	keepalive config.Keepalive
	stall     config.Stall
	machine   Machine
	result    Result
	used      []string // devices that are chosen already
	errs      []error
}

// wish is what the configuration wants of one role.
type wish struct {
	role    keepalive.Role
	key     string // of the configuration, for errors
	methods []string
	device  string
	request keepalive.Request // of an engine without pretimeout
	margin  time.Duration
	auto    bool
}

func (c *chooser) primary() {
	k := c.keepalive
	w := wish{
		role: keepalive.Primary, key: "keepalive.method", device: k.Device,
		request: keepalive.Request{Timeout: c.timeout(0), Action: k.Action},
	}
	if k.Method == none.Name {
		w.request.Action = keepalive.None
		c.result.Primary = &Choice{Role: w.role, Info: none.New().Info(), Request: w.request}
		c.note(Candidate{Role: w.role, Method: none.Name, Driver: none.Name, Chosen: true, Why: "configured; only measures"})
		return
	}
	w.methods, w.auto = methods(k.Method, k.Device, PrimaryOrder)
	c.result.Primary = c.pick(w)
}

func (c *chooser) backstop() {
	k := c.keepalive
	if k.Backstop == none.Name || c.result.Primary == nil || c.result.Primary.Info.Driver == none.Name {
		return
	}
	w := wish{
		role: keepalive.Backstop, key: "keepalive.backstop", device: k.BackstopDevice,
		request: keepalive.Request{Timeout: c.timeout(k.Margin), Action: k.BackstopAction},
		margin:  k.Margin,
	}
	w.methods, w.auto = methods(k.Backstop, k.BackstopDevice, BackstopOrder)
	c.result.Backstop = c.pick(w)
}

// methods returns what is to be tried. A device that is named tells the method.
func methods(method, device string, order []string) (try []string, auto bool) {
	switch {
	case method == "keepalive": // the original's name of it
		return []string{"clpka"}, false
	case method != "auto":
		return []string{method}, false
	case device == "":
		return order, true
	case device == clpkaDevice:
		return []string{"clpka"}, false
	case strings.HasPrefix(device, "/dev/ipmi"):
		return []string{"ipmi"}, false
	}
	return []string{"wdt"}, false
}

// timeout returns the countdown's own timeout: less than the beats' limit by
// one and a half intervals, so that each ordinary beat allows a ping, in whole
// seconds, which is all that the Linux watchdog API knows.
func (c *chooser) timeout(margin time.Duration) time.Duration {
	t := c.stall.Timeout + margin - Fresh(c.stall)
	return max(t.Truncate(time.Second), time.Second)
}

// pick takes the first candidate that works.
func (c *chooser) pick(w wish) *Choice {
	var refused []error
	for _, method := range w.methods {
		for _, f := range c.find(method, w) {
			choice, err := c.suits(f, w)
			cand := Candidate{Role: w.role, Method: method, Driver: f.driver, Device: f.device, Identity: f.identity}
			if err != nil {
				cand.Why, cand.Mend = err.Error(), mend(err)
				refused = append(refused, fmt.Errorf("%s: %w", method, err))
				c.note(cand)
				continue
			}
			cand.Chosen, cand.Why = true, w.reason(f)
			c.note(cand)
			c.used = append(c.used, f.claims...)
			c.skipRest(w, method)
			return choice
		}
	}
	// With auto it is no mistake that there is nothing; that what there is
	// cannot do what is wanted is one.
	if !w.auto || slices.ContainsFunc(refused, func(err error) bool { return errors.Is(err, errUnable) }) {
		c.errs = append(c.errs, fmt.Errorf("%s: no %s countdown: %w", w.key, w.role, errors.Join(refused...)))
	}
	return nil
}

// reason says why f is taken.
func (w wish) reason(f find) string {
	why := "first that works"
	if !w.auto {
		why = "configured"
	}
	if f.note != "" {
		why += "; " + f.note
	}
	return why
}

// skipRest notes the methods that came after the one that was chosen.
func (c *chooser) skipRest(w wish, chosen string) {
	for _, method := range w.methods[slices.Index(w.methods, chosen)+1:] {
		c.note(Candidate{Role: w.role, Method: method, Why: "not tried: " + chosen + " comes first"})
	}
}

func (c *chooser) note(cand Candidate) { c.result.Candidates = append(c.result.Candidates, cand) }

// errUnable marks an engine that works and cannot do what is configured.
var errUnable = errors.New("cannot do what is configured")

// suits decides about one find.
func (c *chooser) suits(f find, w wish) (*Choice, error) {
	if f.err != nil {
		return nil, f.err
	}
	for _, claim := range f.claims {
		if slices.Contains(c.used, claim) {
			return nil, fmt.Errorf("the primary uses it already")
		}
	}
	engine, err := c.machine.open(f.driver, f.device)
	if err != nil {
		return nil, err
	}
	info := engine.Info()
	if w.role == keepalive.Backstop && !info.Hardware {
		return nil, fmt.Errorf("not hardware: it dies with the kernel")
	}
	r := w.request
	if info.MaxTimeout > 0 {
		r.Timeout = min(r.Timeout, info.MaxTimeout)
	}
	r.Timeout = max(r.Timeout, info.MinTimeout)
	if info.Hardware {
		r.Pretimeout, r.Before = c.keepalive.Pretimeout, c.keepalive.Before
	}
	if err := r.Check(info); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnable, err)
	}
	return &Choice{Role: w.role, Info: info, Request: r, Margin: w.margin}, nil
}

// Drivers returns the methods that a configuration may name and this build has
// a driver for.
func Drivers() []string { return drivers.Names() }
