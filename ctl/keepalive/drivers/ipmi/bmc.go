// Package ipmi drives the watchdog timer of a baseboard management controller
// (BMC) through the kernel's /dev/ipmi0, and offers what else shisa wants of a
// BMC: chassis control and the system event log.
//
// The transport is u-root's; it has no command to arm or feed the timer, so
// those are built here on its SendRecv. Commands are those of IPMI 2.0 (revision
// 1.1), chapters 27 (watchdog timer), 28 (chassis) and 31 (event log).
package ipmi

import (
	"errors"
	"fmt"
	"sync"

	uroot "github.com/u-root/u-root/pkg/ipmi"
)

// Network functions and commands.
const (
	netChassis = 0x00
	netApp     = 0x06
	netStorage = 0x0a

	cmdDeviceID       = 0x01
	cmdChassisControl = 0x02
	cmdRestartCause   = 0x07
	cmdResetWatchdog  = 0x22
	cmdSetWatchdog    = 0x24
	cmdGetWatchdog    = 0x25
	cmdGetSEL         = 0x43
	cmdAddSEL         = 0x44
	cmdSELTime        = 0x48
)

// A Send carries out one command and returns the response from its completion
// code on. A completion code other than 0 is a [uroot.CompletionError].
type Send func(netfn, cmd byte, data []byte) ([]byte, error)

// A BMC is an open management controller. Any number of goroutines may use it;
// it answers one at a time, each in milliseconds to seconds, and gives up
// after ten seconds.
type BMC struct {
	mu    sync.Mutex
	send  Send
	close func() error
}

// OpenBMC opens the controller behind device, "/dev/ipmi0". That has no effect
// on its watchdog timer.
func OpenBMC(device string) (*BMC, error) {
	dev, err := uroot.OpenPath(device)
	if err != nil {
		return nil, err
	}
	return NewBMC(func(netfn, cmd byte, data []byte) ([]byte, error) {
		return dev.SendRecv(uroot.NetFn(netfn), uroot.Command(cmd), data)
	}, dev.Close), nil
}

// NewBMC returns a controller behind another transport.
func NewBMC(send Send, close func() error) *BMC { return &BMC{send: send, close: close} }

// Close gives up the controller and leaves its timer as it is.
func (b *BMC) Close() error {
	if b.close == nil {
		return nil
	}
	return b.close()
}

// command returns the response without its completion code; it has at least
// want bytes.
func (b *BMC) command(name string, netfn, cmd byte, data []byte, want int) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, err := b.send(netfn, cmd, data)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case len(r) < 1+want:
		return nil, fmt.Errorf("%s: response of %d bytes, want %d", name, len(r), 1+want)
	}
	return r[1:], nil
}

// completion reports whether err is the completion code cc.
func completion(err error, cc byte) bool {
	var code uroot.CompletionError
	return errors.As(err, &code) && byte(code) == cc
}

// Identity describes the controller: device, firmware and IPMI version.
func (b *BMC) Identity() (string, error) {
	r, err := b.command("get device id", netApp, cmdDeviceID, nil, 11)
	if err != nil {
		return "", err
	}
	vendor := uint32(r[6]) | uint32(r[7])<<8 | uint32(r[8]&0x0f)<<16
	product := uint16(r[9]) | uint16(r[10])<<8
	return fmt.Sprintf("BMC of vendor %d product %d, firmware %d.%02x, IPMI %d.%d",
		vendor, product, r[2]&0x7f, r[3], r[4]&0x0f, r[4]>>4), nil
}

// A Chassis control is what a BMC does to the power of its machine.
type Chassis byte

// Chassis controls.
const (
	PowerDown     Chassis = 0 // at once
	PowerCycle    Chassis = 2 // off and on again
	HardReset     Chassis = 3
	DiagnosticNMI Chassis = 4 // NMI
	SoftShutdown  Chassis = 5 // as if somebody pressed the power button
)

// Control does c to the machine that this runs on. The answer may never come,
// since the machine may be gone by then.
func (b *BMC) Control(c Chassis) error {
	_, err := b.command("chassis control", netChassis, cmdChassisControl, []byte{byte(c)}, 0)
	return err
}
