package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// feed arms a watchdog device, pings it a number of times and then either stops
// pinging and keeps it open, or disarms it: the engine's own proof, without any
// daemon. Each ping is marked before it is done.
func feed(args []string) (func() error, error) {
	flags := flag.NewFlagSet("feed", flag.ContinueOnError)
	device := flags.String("device", "/dev/watchdog", "the device")
	timeout := flags.Duration("timeout", 3*time.Second, "to arm it with")
	interval := flags.Duration("interval", time.Second, "from ping to ping")
	pings := flags.Int("pings", 3, "how many")
	disarm := flags.Bool("disarm", false, "disarm after the last ping, else let it fire")
	if err := parse(flags, args, 0); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(*device, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	fd := int(f.Fd())
	seconds := int(timeout.Seconds())
	if err := unix.IoctlSetPointerInt(fd, unix.WDIOC_SETTIMEOUT, seconds); err != nil {
		return nil, fmt.Errorf("set the timeout: %w", err)
	}
	granted, err := unix.IoctlGetInt(fd, unix.WDIOC_GETTIMEOUT)
	if err != nil {
		return nil, fmt.Errorf("read the timeout back: %w", err)
	}
	if granted != seconds {
		return nil, fmt.Errorf("asked for %d s, granted %d s", seconds, granted)
	}
	return func() error {
		for range *pings {
			if err := mark("ping"); err != nil {
				return err
			}
			if err := unix.IoctlWatchdogKeepalive(fd); err != nil {
				return fmt.Errorf("ping: %w", err)
			}
			time.Sleep(*interval)
		}
		if !*disarm {
			for { // keeps the device open: the kernel pings once more when it is closed
				time.Sleep(time.Hour)
			}
		}
		if _, err := f.WriteString("V"); err != nil { // magic close (Documentation/watchdog/watchdog-api.rst)
			return fmt.Errorf("disarm: %w", err)
		}
		return f.Close()
	}, nil
}
