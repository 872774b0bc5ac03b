// Package wdt drives every countdown that speaks the Linux watchdog API:
// softdog, i6300esb, iTCO_wdt, hpwdt, ipmi_watchdog, and our own kernel module.
//
// What a device can do is read from sysfs, never by opening it: opening it
// starts the countdown on most drivers. Closing it without the magic letter
// leaves the countdown running; so does the death of the process that holds it.
package wdt

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/keepalive"
)

// Name of the driver.
const Name = "wdt"

// Open returns the engine of device. It neither opens the device nor fails
// when there is none: that is for Arm to find out. Root is "/" but in tests.
func Open(root, device string) *Engine {
	e := &Engine{root: root, device: device, fd: -1, calls: kernel(root)}
	if n, ok := Lookup(root, device); ok {
		e.node = n
	}
	return e
}

// An Engine is one watchdog device.
type Engine struct {
	root   string
	device string
	node   Node
	calls  calls

	fd      int // -1: not held
	armed   bool
	magic   bool // the driver stops on the magic letter only
	request keepalive.Request
}

// Info tells what sysfs and, once armed, the driver say.
func (e *Engine) Info() keepalive.Info {
	n := e.node
	i := keepalive.Info{
		Driver:      Name,
		Device:      e.device,
		Identity:    n.Identity,
		Hardware:    n.Hardware(),
		Actions:     e.actions(),
		Pretimeouts: e.pretimeouts(),
		MinTimeout:  max(n.MinTimeout, time.Second),
		MaxTimeout:  n.MaxTimeout,
		NoWayOut:    n.NoWayOut,
		Outlives:    "a dead user space; not a kernel with interrupts off",
	}
	if i.Hardware {
		i.Outlives = "a dead kernel"
	}
	if n.Module == "ipmi_watchdog" {
		i.FeedEvery = 10 * time.Second // each ping is a command on the BMC's slow bus
	}
	return i
}

// Arm opens the device unless it is held already, sets its timeout in whole
// seconds, rounded up, pings it, and reads back what was granted. When it fails
// the countdown is stopped again if it was this call that started it.
func (e *Engine) Arm(r keepalive.Request) (keepalive.Granted, error) {
	if err := r.Check(e.Info()); err != nil {
		return keepalive.Granted{}, err
	}
	fresh := e.fd < 0
	if fresh {
		if err := e.hold(); err != nil {
			return keepalive.Granted{}, fmt.Errorf("arm %s: %w", e.device, err)
		}
	}
	g, err := e.start(r)
	if err != nil {
		if fresh {
			err = errors.Join(err, e.release())
		}
		return keepalive.Granted{}, fmt.Errorf("arm %s: %w", e.device, err)
	}
	e.armed, e.request = true, r
	return g, nil
}

// Adopt takes over fd, which the previous program image held.
func (e *Engine) Adopt(fd int, r keepalive.Request) (keepalive.Granted, error) {
	e.fd, e.armed, e.request = fd, true, r
	if err := e.identify(); err != nil {
		return keepalive.Granted{}, fmt.Errorf("adopt %s: %w", e.device, err)
	}
	return e.granted(r)
}

// FD returns the descriptor that holds the device; -1: none.
func (e *Engine) FD() int { return e.fd }

// Ping restarts the countdown. It allocates nothing.
func (e *Engine) Ping() error {
	if !e.armed {
		return keepalive.ErrNotArmed
	}
	return e.calls.ping(e.fd)
}

// Disarm stops the countdown and gives up the device, then looks whether it
// has really stopped where the kernel tells.
func (e *Engine) Disarm() error {
	if e.fd < 0 {
		return nil
	}
	if e.node.NoWayOut {
		return fmt.Errorf("disarm %s: %w", e.device, keepalive.ErrNoWayOut)
	}
	if err := e.release(); err != nil {
		return fmt.Errorf("disarm %s: %w", e.device, err)
	}
	if n, ok := Lookup(e.root, e.device); ok && n.Active {
		return fmt.Errorf("disarm %s: still counting: %w", e.device, keepalive.ErrNoWayOut)
	}
	return nil
}

// Close gives up the device without the magic letter. The countdown goes on
// with every driver that has one; the few that have none stop.
func (e *Engine) Close() error {
	if e.fd < 0 {
		return nil
	}
	fd := e.fd
	e.fd, e.armed = -1, false
	return e.calls.close(fd)
}

const (
	releaseTime = 500 * time.Millisecond // that a busy device is tried for
	releaseStep = 20 * time.Millisecond
)

// hold opens the device.
func (e *Engine) hold() error {
	fd, err := e.calls.open(e.device)
	// The kernel may take a moment to release what a killed keeper held.
	for waited := time.Duration(0); errors.Is(err, unix.EBUSY) && waited < releaseTime; waited += releaseStep {
		e.calls.pause(releaseStep)
		fd, err = e.calls.open(e.device)
	}
	switch {
	case errors.Is(err, unix.EBUSY):
		return keepalive.ErrBusy
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("%w: %w", keepalive.ErrAbsent, err)
	case err != nil:
		return err
	}
	e.fd = fd
	return e.identify()
}

// identify asks the driver what it is.
func (e *Engine) identify() error {
	w, err := e.calls.info(e.fd)
	if err != nil {
		return fmt.Errorf("ask what it is: %w", err)
	}
	e.magic = w.Options&unix.WDIOF_MAGICCLOSE != 0
	identity, _, _ := strings.Cut(string(w.Identity[:]), "\x00")
	if e.node.Identity == "" {
		e.node.Identity = identity
	}
	return nil
}

// start sets up and starts the countdown on the held device.
func (e *Engine) start(r keepalive.Request) (keepalive.Granted, error) {
	if err := e.configure(r); err != nil {
		return keepalive.Granted{}, err
	}
	want := int((r.Timeout + time.Second - 1) / time.Second)
	_, err := e.calls.set(e.fd, unix.WDIOC_SETTIMEOUT, want)
	if err != nil && !unsupported(err) {
		return keepalive.Granted{}, fmt.Errorf("set timeout %d s: %w", want, err)
	}
	if r.Before > 0 {
		before := int((r.Before + time.Second - 1) / time.Second)
		if _, err := e.calls.set(e.fd, unix.WDIOC_SETPRETIMEOUT, before); err != nil {
			return keepalive.Granted{}, fmt.Errorf("set pretimeout %d s: %w", before, err)
		}
	}
	if err := e.calls.ping(e.fd); err != nil {
		return keepalive.Granted{}, fmt.Errorf("ping: %w", err)
	}
	return e.granted(r)
}

// granted reads back what the driver made of r.
func (e *Engine) granted(r keepalive.Request) (keepalive.Granted, error) {
	g := keepalive.Granted{Action: r.Action, Pretimeout: keepalive.NoPretimeout}
	s, err := e.calls.get(e.fd, unix.WDIOC_GETTIMEOUT)
	if err != nil || s <= 0 {
		return g, fmt.Errorf("read back the timeout: %d s, %w", s, err)
	}
	g.Timeout = time.Duration(s) * time.Second
	if r.Before > 0 {
		if s, err := e.calls.get(e.fd, unix.WDIOC_GETPRETIMEOUT); err == nil && s > 0 {
			g.Pretimeout, g.Before = r.Pretimeout, time.Duration(s)*time.Second
		}
	}
	return g, nil
}

// release stops the countdown and closes the device.
func (e *Engine) release() error {
	fd := e.fd
	e.fd, e.armed = -1, false
	var err error
	if e.magic {
		_, err = e.calls.write(fd, []byte("V"))
	} else if _, err = e.calls.set(fd, unix.WDIOC_SETOPTIONS, unix.WDIOS_DISABLECARD); unsupported(err) {
		err = nil // closing it is what stops it
	}
	return errors.Join(err, e.calls.close(fd))
}

// unsupported tells a driver that lacks a call from one that refuses it.
func unsupported(err error) bool {
	return slices.ContainsFunc([]error{unix.EOPNOTSUPP, unix.ENOTTY, unix.ENOSYS},
		func(e error) bool { return errors.Is(err, e) })
}
