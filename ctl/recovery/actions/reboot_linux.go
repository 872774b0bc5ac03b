package actions

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Raw is reboot(2). Only the daemon's own command hands it to a Machine.
func Raw(cmd int) error { return unix.Reboot(cmd) }

// settle is how long a reset through sysrq may take before reboot(2) is tried.
const settle = time.Second

// reboot resets through reboot(2), for when sysrq came back. It ends in an
// error in any case: who reads it is still alive.
func (m *Machine) reboot() error {
	if m.Syscall == nil {
		return errors.New("reboot(2) is not available")
	}
	time.Sleep(settle)
	if err := m.Syscall(unix.LINUX_REBOOT_CMD_RESTART); err != nil {
		return fmt.Errorf("reboot(2): %w", err)
	}
	return errors.New("reboot(2) came back")
}
