package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"shisa/ctl/keepalive"
	"shisa/ctl/keepalive/drivers/clpka"
)

// driverNote is what the driver leaves with the module.
const driverNote = "written by the driver"

// engine goes through the Go driver on the real module and compares with sysfs. In the
// end it lets the countdown run out, with action none and a note.
func engine([]string) error {
	e := clpka.Open("/", device)
	r := keepalive.Request{Timeout: 1500 * time.Millisecond, Action: keepalive.Panic, Pretimeout: keepalive.Messaging, Before: 250 * time.Millisecond}
	g, err := e.Arm(r)
	if err != nil {
		return err
	}
	if want := (keepalive.Granted(r)); g != want {
		err = fmt.Errorf("granted %+v, want %+v", g, want)
	}
	err = errors.Join(err, e.Ping(),
		attribute("state", "active"), attribute("timeout_ms", "1500"), attribute("pretimeout_ms", "250"), attribute("action", "panic"))
	if err := e.Disarm(); err != nil {
		return err
	}
	err = errors.Join(err, attribute("state", "inactive"))
	const short = 300 * time.Millisecond
	_, armed := e.Arm(keepalive.Request{Timeout: short, Action: keepalive.None})
	noted := e.Note(driverNote)
	time.Sleep(2 * short)
	return errors.Join(err, armed, noted, attribute("state", "expired"), e.Disarm())
}

// attribute compares one of the module's attributes.
func attribute(name, want string) error {
	got, err := os.ReadFile("/sys/class/misc/clpka/" + name)
	if err == nil && strings.TrimSpace(string(got)) != want {
		err = fmt.Errorf("%s is %q, want %q", name, got, want)
	}
	return err
}
