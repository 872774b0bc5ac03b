package client

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"

	"shisa/ctl/api"
)

// Units of the services of shisa.
const (
	DaemonUnit = "shisad.service"
	WebUnit    = "shisa-web.service" // which no package has yet
)

// A Service starts and stops units through systemd: a daemon that does not run
// cannot be asked to.
type Service struct{}

// denied tells those who may not from everything else that goes wrong: systemd
// asks polkit, which nobody may answer here.
func denied(err error) error {
	var d godbus.Error
	if errors.As(err, &d) && (d.Name == "org.freedesktop.DBus.Error.AccessDenied" || d.Name == "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired") {
		return api.Errorf(api.Forbidden, "%v", err).Try("use sudo")
	}
	return err
}

// Present reports whether systemd runs this machine, as sd_booted(3) does.
func (Service) Present() bool {
	info, err := os.Lstat("/run/systemd/system")
	return err == nil && info.IsDir()
}

// Do starts, stops or restarts a unit and, if wait is set, returns when that is
// done or ctx is. To who may not it says so with an *api.Error, Forbidden.
func (Service) Do(ctx context.Context, verb, unit string, wait bool) error {
	conn, err := dbus.NewSystemConnectionContext(ctx)
	if err != nil {
		return fmt.Errorf("connect to systemd: %w", err)
	}
	defer conn.Close()
	act := map[string]func(context.Context, string, string, chan<- string) (int, error){
		"start": conn.StartUnitContext, "stop": conn.StopUnitContext, "restart": conn.RestartUnitContext}[verb]
	done := make(chan string, 1)
	if _, err := act(ctx, unit, "replace", done); err != nil {
		return denied(fmt.Errorf("%s %s: %w", verb, unit, err))
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
