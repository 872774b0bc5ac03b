package service

import (
	"context"
	"fmt"

	"github.com/godbus/dbus/v5"
)

const (
	systemdName = "org.freedesktop.systemd1"
	systemdPath = "/org/freedesktop/systemd1"
	// rebootWatchdog is how long systemd lets a watchdog count on the way down
	// (systemd-system.conf(5), RebootWatchdogSec=, 10 minutes by default), by its name
	// on the bus since 243 and before that.
	rebootWatchdog, shutdownWatchdog = systemdName + ".Manager.RebootWatchdogUSec", systemdName + ".Manager.ShutdownWatchdogUSec"
)

// holdOff keeps systemd from taking over the countdown of a shutdown. Once it has
// killed the keeper it would open the first watchdog, which is then free, and give
// it its own time instead of ours.
func holdOff(ctx context.Context) error {
	conn, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("ask systemd to leave the watchdog alone: %w", err)
	}
	defer conn.Close()
	manager := conn.Object(systemdName, systemdPath)
	never := dbus.MakeVariant(uint64(0))
	if err = manager.SetProperty(rebootWatchdog, never); err != nil {
		err = manager.SetProperty(shutdownWatchdog, never)
	}
	if err != nil {
		return fmt.Errorf("ask systemd to leave the watchdog alone: %w; set RebootWatchdogSec=off in /etc/systemd/system.conf", err)
	}
	return nil
}
