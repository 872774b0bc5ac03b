package wdt

import (
	"time"

	"golang.org/x/sys/unix"
)

// Fake is a device in memory that behaves like the kernel's watchdog core.
type Fake struct {
	Identity string
	Options  uint32
	NoWayOut bool
	Min, Max int
	OpenErr  error
	Busy     time.Duration // that it is still held by somebody else
	SetErr   error

	Open     bool
	Counting bool
	Seconds  int
	Before   int
	Pings    int
	magic    bool
	State    func(counting bool) // mirrors the state into a fixture
}

// Use makes e talk to f instead of the kernel.
func (e *Engine) Use(f *Fake) {
	e.calls = calls{open: f.open, info: f.info, get: f.get, set: f.set, ping: f.ping, write: f.write, close: f.close, pause: f.pause}
}

func (f *Fake) count(on bool) {
	f.Counting = on
	if f.State != nil {
		f.State(on)
	}
}

func (f *Fake) open(string) (int, error) {
	switch {
	case f.OpenErr != nil:
		return -1, f.OpenErr
	case f.Open, f.Busy > 0:
		return -1, unix.EBUSY
	}
	f.Open, f.magic = true, false
	f.count(true)
	return 7, nil
}

func (f *Fake) pause(d time.Duration) { f.Busy -= d }

func (f *Fake) info(int) (*unix.WatchdogInfo, error) {
	w := &unix.WatchdogInfo{Options: f.Options}
	copy(w.Identity[:], f.Identity)
	return w, nil
}

func (f *Fake) get(_ int, req uint) (int, error) {
	switch req {
	case unix.WDIOC_GETTIMEOUT:
		return f.Seconds, nil
	case unix.WDIOC_GETPRETIMEOUT:
		return f.Before, nil
	}
	return 0, unix.ENOTTY
}

func (f *Fake) set(_ int, req uint, v int) (int, error) {
	switch req {
	case unix.WDIOC_SETTIMEOUT:
		switch {
		case f.SetErr != nil:
			return 0, f.SetErr
		case v < f.Min || f.Max > 0 && v > f.Max:
			return 0, unix.EINVAL
		}
		f.Seconds = v
		return v, nil
	case unix.WDIOC_SETPRETIMEOUT:
		f.Before = v
		return v, nil
	case unix.WDIOC_SETOPTIONS:
		if v&unix.WDIOS_DISABLECARD != 0 {
			if f.NoWayOut {
				return 0, unix.EBUSY
			}
			f.count(false)
		}
		return 0, nil
	}
	return 0, unix.ENOTTY
}

func (f *Fake) ping(int) error { f.Pings++; f.magic = false; f.count(true); return nil }

func (f *Fake) write(_ int, b []byte) (int, error) {
	f.magic = len(b) > 0 && b[len(b)-1] == 'V'
	return len(b), nil
}

func (f *Fake) close(int) error {
	f.Open = false
	if (f.magic || f.Options&unix.WDIOF_MAGICCLOSE == 0) && !f.NoWayOut {
		f.count(false)
	}
	return nil
}
