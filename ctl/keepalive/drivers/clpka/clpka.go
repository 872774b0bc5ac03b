// Package clpka drives our own kernel module: the watchdog API through package
// wdt, and what that API lacks through the calls of kmod/include/clpka.h, that is
// timeouts in milliseconds, the action, reading back all of it, and a note.
package clpka

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"shisa/ctl/keepalive"
	"shisa/ctl/keepalive/drivers/wdt"
	"shisa/kmod/uapi"
)

// Name of the driver and of the module.
const Name = "clpka"

// actions are what the module calls the actions of the contract. Its oops in
// interrupt context has no name there: a panic does the same and is cleaner.
var actions = map[keepalive.Action]uint32{
	keepalive.None:     uapi.ActionNone,
	keepalive.Reset:    uapi.ActionReset,
	keepalive.Panic:    uapi.ActionPanic,
	keepalive.PowerOff: uapi.ActionPowerOff,
}

// Open returns the engine of device. It neither opens the device nor fails when
// there is none: that is for Arm to find out. Root is "/" but in tests.
func Open(root, device string) *Engine {
	return &Engine{Engine: wdt.Open(root, device), device: device, call: setConfig}
}

// An Engine is the module's main countdown.
type Engine struct {
	*wdt.Engine
	device string
	call   func(fd int, c *uapi.Config) error // a test puts its own here
}

// Info tells what the module can do.
func (e *Engine) Info() keepalive.Info {
	i := e.Engine.Info()
	i.Driver, i.Identity, i.Hardware = Name, "countdown in the kernel", false
	i.Actions = []keepalive.Action{keepalive.None, keepalive.Reset, keepalive.Panic, keepalive.PowerOff}
	i.Pretimeouts = []keepalive.Pretimeout{keepalive.Messaging}
	i.MinTimeout = uapi.TimeoutMinMs * time.Millisecond
	i.MaxTimeout = uapi.TimeoutMaxMs * time.Millisecond
	i.Outlives = "a dead user space, real-time hogs, a CPU stuck with interrupts off, a hang in the kernel's shutdown; " +
		"not all CPUs with interrupts off"
	return i
}

// Arm opens the device unless it is held already, and sets timeout, pretimeout and
// action in one call. When it fails the countdown is stopped again if it was this
// call that started it.
func (e *Engine) Arm(r keepalive.Request) (keepalive.Granted, error) {
	if err := r.Check(e.Info()); err != nil {
		return keepalive.Granted{}, err
	}
	fresh := e.FD() < 0
	if _, err := e.Engine.Arm(standard(r)); err != nil {
		return keepalive.Granted{}, err
	}
	g, err := e.configure(r)
	if err != nil && fresh {
		_ = e.Disarm() // with nowayout it goes on, as it must
	}
	return g, err
}

// standard is as much of r as the watchdog API can say: it rounds up to seconds, and
// knows one action only.
func standard(r keepalive.Request) keepalive.Request {
	return keepalive.Request{Timeout: max(r.Timeout, time.Second), Action: keepalive.Reset}
}

// Adopt takes over fd, which the previous program image held.
func (e *Engine) Adopt(fd int, r keepalive.Request) (keepalive.Granted, error) {
	if _, err := e.Engine.Adopt(fd, standard(r)); err != nil {
		return keepalive.Granted{}, err
	}
	return e.configure(r)
}

// configure restarts the countdown with what r asks for.
func (e *Engine) configure(r keepalive.Request) (keepalive.Granted, error) {
	c := config(r)
	if err := e.call(e.FD(), &c); err != nil {
		return keepalive.Granted{}, fmt.Errorf("arm %s with %v and %s: %w", e.device, r.Timeout, r.Action, err)
	}
	g := keepalive.Granted{
		Timeout:    time.Duration(c.TimeoutMs) * time.Millisecond,
		Action:     r.Action,
		Pretimeout: keepalive.NoPretimeout,
		Before:     time.Duration(c.PretimeoutMs) * time.Millisecond,
	}
	if g.Before > 0 {
		g.Pretimeout = keepalive.Messaging
	}
	if c.Action != actions[r.Action] {
		return g, fmt.Errorf("arm %s: granted action %d instead of %s", e.device, c.Action, r.Action)
	}
	return g, nil
}

// config is r in the module's words; parts of a millisecond are rounded up.
func config(r keepalive.Request) uapi.Config {
	ms := func(d time.Duration) uint32 { return uint32((d + time.Millisecond - 1) / time.Millisecond) }
	c := uapi.Config{TimeoutMs: ms(r.Timeout), Action: actions[r.Action]}
	// A pretimeout rounded up may reach the timeout, which the module refuses.
	c.PretimeoutMs = min(ms(r.Before), c.TimeoutMs-1)
	return c
}

// Note leaves words that the module prints when it fires. What is longer than
// [uapi.NoteMax] bytes is cut. It fails with [keepalive.ErrNotArmed] while the device
// is not held.
func (e *Engine) Note(text string) error {
	fd := e.FD()
	if fd < 0 {
		return fmt.Errorf("leave a note with %s: %w", e.device, keepalive.ErrNotArmed)
	}
	n := note(text)
	if err := ioctl(fd, uapi.IoctlSetnote, &n); err != nil {
		return fmt.Errorf("leave a note with %s: %w", e.device, err)
	}
	return nil
}

// note is text in the module's form.
func note(text string) uapi.Note {
	var n uapi.Note
	n.Length = uint32(copy(n.Text[:], text))
	return n
}

func setConfig(fd int, c *uapi.Config) error { return ioctl(fd, uapi.IoctlSetconfig, c) }

func ioctl[T any](fd int, request uintptr, arg *T) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(arg)))
	if errno != 0 {
		return errno
	}
	return nil
}
