// Package systemd declares the resource that is a systemd unit.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	sd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"

	"shisa/ctl/param"
	"shisa/ctl/proc"
	"shisa/ctl/resource"
)

type params struct{ unit string }

// Type is a unit that systemd starts and stops for us.
var Type = resource.Define(resource.Spec[params]{
	Name:  "systemd",
	Title: "systemd unit",
	Doc: "Has systemd start and stop a unit, over D-Bus, and waits for the result of the job. " +
		"Its main process can be watched by the monitor type `pid`.\n\n" +
		"Disable the unit (`systemctl disable`), so that systemd does not start it by itself at boot, and consider `Restart=no`, so that " +
		"the two do not both restart it.",
	Timing: resource.Timing{Start: 120 * time.Second, Stop: 120 * time.Second},
	Needs:  []string{"systemd"},
	Params: func(p *params, s *param.Set) {
		s.String(&p.unit, "unit", "", `Name of the unit, such as "httpd.service".`).Required().Check(func() error {
			if i := strings.LastIndexByte(p.unit, '.'); i <= 0 || strings.ContainsAny(p.unit, "/ \t\n*?[") {
				return fmt.Errorf("%q is no unit: write its whole name, such as \"httpd.service\"", p.unit)
			}
			return nil
		})
	},
	Example: map[string]any{"unit": "httpd.service"},
	New:     func(p params, _ resource.Env) (resource.Resource, error) { return unit(p.unit), nil },
})

// A unit is the name of one.
type unit string

// Start implements resource.Resource.
func (u unit) Start(ctx context.Context, _ resource.Request) error {
	return u.job(ctx, "start", (*sd.Conn).StartUnitContext)
}

// Stop implements resource.Resource. A unit that systemd does not know is not
// running.
func (u unit) Stop(ctx context.Context, _ resource.Request) error {
	err := u.job(ctx, "stop", (*sd.Conn).StopUnitContext)
	var e dbus.Error
	if errors.As(err, &e) && (strings.HasSuffix(e.Name, ".NoSuchUnit") || strings.HasSuffix(e.Name, ".LoadFailed")) {
		return nil
	}
	return err
}

type method func(c *sd.Conn, ctx context.Context, name, mode string, result chan<- string) (int, error)

// job has systemd do something and waits until it is done. Giving up does not
// end the job: systemd has limits of its own, and the job may yet succeed.
func (u unit) job(ctx context.Context, what string, do method) error {
	conn, err := connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.Subscribe(); err != nil {
		return fmt.Errorf("listen to systemd: %w", err)
	}
	result := make(chan string, 1)
	if _, err := do(conn, ctx, string(u), "replace", result); err != nil {
		return fmt.Errorf("%s %s: %w", what, u, err)
	}
	select {
	case r := <-result:
		if r != "done" {
			return fmt.Errorf("%s %s: the job ended with %q%s; see journalctl -u %s", what, u, r, u.reason(ctx, conn), u)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s %s: systemd is still at it: %w", what, u, ctx.Err())
	}
}

// reason returns what systemd says of the end of the service, such as
// " (exit-code)"; empty when it says nothing.
func (u unit) reason(ctx context.Context, conn *sd.Conn) string {
	p, err := conn.GetServicePropertyContext(ctx, string(u), "Result")
	if err != nil {
		return ""
	}
	text, ok := p.Value.Value().(string)
	if !ok || text == "" || text == "success" {
		return ""
	}
	return " (" + text + ")"
}

// processWait bounds the question for the main process.
const processWait = time.Second

// Process implements resource.Processer: systemd's word for the main process of
// a service. It changes when systemd restarts the service by itself.
func (u unit) Process() (pid int, start uint64, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), processWait)
	defer cancel()
	conn, err := connect(ctx)
	if err != nil {
		return 0, 0, false
	}
	defer conn.Close()
	p, err := conn.GetServicePropertyContext(ctx, string(u), "MainPID")
	if err != nil {
		return 0, 0, false
	}
	n, isNumber := p.Value.Value().(uint32)
	if !isNumber || n == 0 {
		return 0, 0, false
	}
	id, err := proc.Identify(int(n))
	return id.PID, id.Start, err == nil
}

// connect connects to the system bus, or, when there is none, as root to
// systemd itself.
func connect(ctx context.Context) (*sd.Conn, error) {
	conn, err := sd.NewWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to systemd: %w", errors.Join(ctx.Err(), err))
	}
	return conn, nil
}
