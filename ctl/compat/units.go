package compat

import (
	"context"
	"fmt"
	"os"

	"github.com/coreos/go-systemd/v22/dbus"
)

// Units of the services that the original's operators start and stop.
const (
	daemonUnit = "shisad.service"
	webUnit    = "shisa-web.service"
)

// units starts and stops services of the operating system. Tests have their own.
type units interface {
	// present reports whether there is anybody to ask.
	present() bool
	// do starts, stops or restarts a unit and, if wait is set, waits until
	// that is done or ctx is.
	do(ctx context.Context, verb, unit string, wait bool) error
}

type systemd struct{}

// present is sd_booted(3).
func (systemd) present() bool {
	info, err := os.Lstat("/run/systemd/system")
	return err == nil && info.IsDir()
}

func (systemd) do(ctx context.Context, verb, unit string, wait bool) error {
	conn, err := dbus.NewSystemConnectionContext(ctx)
	if err != nil {
		return fmt.Errorf("connect to systemd: %w", err)
	}
	defer conn.Close()
	act := map[string]func(context.Context, string, string, chan<- string) (int, error){
		"start": conn.StartUnitContext, "stop": conn.StopUnitContext, "restart": conn.RestartUnitContext}[verb]
	done := make(chan string, 1)
	if _, err := act(ctx, unit, "replace", done); err != nil {
		return fmt.Errorf("%s %s: %w", verb, unit, err)
	}
	if !wait {
		return nil
	}
	select {
	case result := <-done:
		if result != "done" {
			return fmt.Errorf("%s %s: systemd says %s; journalctl -u %s", verb, unit, result, unit)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
