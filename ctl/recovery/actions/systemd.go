package actions

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/run"
)

// Systemd asks systemd for an orderly shutdown; where systemd is not PID 1 it
// calls the classic commands.
type Systemd struct{}

// Reboot begins an orderly reboot.
func (Systemd) Reboot(ctx context.Context) error { return order(ctx, "reboot") }

// PowerOff begins an orderly power off.
func (Systemd) PowerOff(ctx context.Context) error { return order(ctx, "poweroff") }

func order(ctx context.Context, verb string) error {
	var all []error
	for _, argv := range [][]string{
		{"/usr/bin/systemctl", "--no-block", verb},
		{"/bin/systemctl", "--no-block", verb},
		{"/usr/sbin/" + verb}, {"/sbin/" + verb},
	} {
		if unix.Access(argv[0], unix.X_OK) != nil {
			continue
		}
		r := run.Run(ctx, run.Command{Path: argv[0], Args: argv[1:], Timeout: 10 * time.Second})
		if r.State == run.Exited && r.Code == 0 {
			return nil
		}
		all = append(all, fmt.Errorf("%s: %s", argv[0], r))
	}
	if len(all) == 0 {
		return fmt.Errorf("%s: neither systemctl nor %s is installed", verb, verb)
	}
	return errors.Join(all...)
}

// Rescue reports whether systemd is in, or on its way to, one of targets: a
// human works on the machine and nothing may be armed.
func Rescue(ctx context.Context, targets []string) bool {
	if len(targets) == 0 {
		return false
	}
	if _, err := os.Lstat("/run/systemd/system"); err != nil {
		return false
	}
	for _, t := range targets {
		r := run.Run(ctx, run.Command{Path: "/usr/bin/systemctl", Args: []string{"is-active", "--quiet", t}, Timeout: 5 * time.Second})
		if r.State == run.Exited && r.Code == 0 {
			return true
		}
	}
	return false
}
