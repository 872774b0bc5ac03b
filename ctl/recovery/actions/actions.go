// Package actions takes the machine down: orderly through the init system, at
// once through the kernel, or through the BMC. Nothing here decides anything;
// whoever calls has recorded the intent and checked the condition once more.
//
// The safety catch: every action goes through [Machine], which is only made by
// the daemon's own command, refuses in a container and refuses where the
// operator has set a brake (a file, or a word on the kernel command line).
package actions

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"shisa/ctl/recovery"
	"shisa/hwcompat/host"
)

// BrakeFile and BrakeWord force observing whatever the configuration says: a
// file for the running system, a word on the kernel command line for a machine
// that cannot be reached between two resets.
const (
	BrakeFile = "/etc/shisa/observe-only"
	BrakeWord = "shisa.observe"
)

// ErrBrake says that the operator forbids actions on this machine.
var ErrBrake = errors.New("the operator's brake is set")

// Timeout bounds one attempt at an action. An orderly shutdown has begun by
// then, or something harder is called for.
const Timeout = 30 * time.Second

// A BMC acts on the machine from outside the processor. Its methods return
// when the BMC has acknowledged the command.
type BMC interface {
	Chassis(ctx context.Context, a recovery.Action) error
}

// A Countdown makes the keeper's countdown fire soon.
type Countdown interface {
	Fire(ctx context.Context, a recovery.Action) error
}

// An Init asks the init system for an orderly shutdown.
type Init interface {
	Reboot(ctx context.Context) error
	PowerOff(ctx context.Context) error
}

// A Machine is the machine that the program runs on, with the means to take it
// down. Means that are nil do not exist.
type Machine struct {
	Root      string // of the file system; "/" except in tests
	Init      Init
	BMC       BMC
	Countdown Countdown
	Syscall   func(cmd int) error // reboot(2); nil in tests

	words atomic.Pointer[[]string] // see commandLine
}

// Brake returns why no action may be taken, or "".
func (m *Machine) Brake() string {
	if _, err := os.Lstat(m.path(BrakeFile)); err == nil {
		return BrakeFile + " exists"
	}
	if slices.Contains(m.commandLine(), BrakeWord) {
		return BrakeWord + " stands on the kernel command line"
	}
	return ""
}

// commandLine returns the words of the kernel's command line, which never changes.
func (m *Machine) commandLine() []string {
	if words := m.words.Load(); words != nil {
		return *words
	}
	line, err := os.ReadFile(m.path("/proc/cmdline"))
	if err != nil {
		return nil
	}
	words := strings.Fields(string(line))
	m.words.Store(&words)
	return words
}

// Unable returns why this machine cannot be taken down at all, whatever the
// operator wants, or "".
func (m *Machine) Unable() string {
	if kind := host.Container(os.DirFS(m.Root)); kind != "" {
		return "this is a container (" + kind + "), not a machine"
	}
	return ""
}

// Do carries out a. When it returns nil the machine is going down, or the means
// have promised so; it may well never return.
func (m *Machine) Do(ctx context.Context, a recovery.Action) error {
	if why := m.Brake(); why != "" {
		return fmt.Errorf("%s: %w: %s", a, ErrBrake, why)
	}
	if why := m.Unable(); why != "" {
		return fmt.Errorf("%s: %s", a, why)
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	switch a {
	case recovery.Reboot, recovery.Shutdown:
		return m.orderly(ctx, a)
	case recovery.Reset:
		return errors.Join(m.sysrq('b'), m.reboot())
	case recovery.Panic:
		return m.panic()
	case recovery.Keepalive, recovery.KeepalivePan:
		if m.Countdown == nil {
			return fmt.Errorf("%s: no countdown is armed", a)
		}
		return m.Countdown.Fire(ctx, a)
	case recovery.BMCReset, recovery.BMCPowerOff, recovery.BMCCycle, recovery.BMCNMI:
		if m.BMC == nil {
			return fmt.Errorf("%s: there is no BMC", a)
		}
		return m.BMC.Chassis(ctx, a)
	case recovery.NoAction, recovery.Script, recovery.Restart, recovery.Command,
		recovery.StopResource, recovery.StopGroup, recovery.StopService:
	}
	return fmt.Errorf("%s is no action on the machine", a)
}

func (m *Machine) orderly(ctx context.Context, a recovery.Action) error {
	if m.Init == nil {
		return fmt.Errorf("%s: no init system answers", a)
	}
	if a == recovery.Reboot {
		return m.Init.Reboot(ctx)
	}
	return m.Init.PowerOff(ctx)
}

// panic crashes the kernel. With kernel.panic = 0 and no crash kernel a panic
// stands still for ever, so a time to the reset is set first (kernel
// Documentation/admin-guide/sysctl/kernel.rst, "panic").
func (m *Machine) panic() error {
	const after = "/proc/sys/kernel/panic"
	if b, err := os.ReadFile(m.path(after)); err == nil && strings.TrimSpace(string(b)) == "0" {
		if err := os.WriteFile(m.path(after), []byte("10"), 0); err != nil {
			return fmt.Errorf("panic: set the time to the reset: %w", err)
		}
	}
	return m.sysrq('c')
}

// sysrq triggers a magic key. Writing to the trigger file works whatever
// kernel.sysrq allows at the keyboard (Documentation/admin-guide/sysrq.rst).
func (m *Machine) sysrq(key byte) error {
	if err := os.WriteFile(m.path("/proc/sysrq-trigger"), []byte{key}, 0); err != nil {
		return fmt.Errorf("sysrq %c: %w", key, err)
	}
	return nil
}

func (m *Machine) path(name string) string { return filepath.Join(m.Root, name) }
