package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"shisa/kmod/uapi"
)

func addr(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// A step is one call and the answer it must get.
type step struct {
	name string
	err  error // nil: success
	do   func() error
}

// api goes through the interface in one run; all deviations are returned.
func api([]string) error {
	fd, err := unix.Open(device, unix.O_WRONLY, 0)
	if err != nil {
		return err
	}
	viewer, err := unix.Open(device, unix.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("a second opener who only reads: %w", err)
	}
	defer unix.Close(viewer)
	var errs []error
	for _, s := range append(standardSteps(fd), ownSteps(fd, viewer)...) {
		if err := s.do(); !errors.Is(err, s.err) {
			errs = append(errs, fmt.Errorf("%s: got %v, want %v", s.name, err, s.err))
		}
	}
	return errors.Join(append(errs, disarm(fd))...)
}

func setInt(fd int, request uint, value int) func() error {
	return func() error { return unix.IoctlSetPointerInt(fd, request, value) }
}

// wantInt makes a call that returns an int and compares it.
func wantInt(fd int, request uint, low, high int) func() error {
	return func() error {
		got, err := unix.IoctlGetInt(fd, request)
		if err == nil && (got < low || got > high) {
			err = fmt.Errorf("%d is not in %d to %d", got, low, high)
		}
		return err
	}
}

func standardSteps(fd int) []step {
	return []step{
		{"second opener", unix.EBUSY, func() error { _, err := unix.Open(device, unix.O_WRONLY, 0); return err }},
		{"identity", nil, func() error {
			info, err := unix.IoctlGetWatchdogInfo(fd)
			if err == nil && !bytes.HasPrefix(info.Identity[:], []byte("clpka\x00")) {
				err = fmt.Errorf("identity %q", info.Identity)
			}
			return err
		}},
		{"set timeout", nil, setInt(fd, unix.WDIOC_SETTIMEOUT, 20)},
		{"get timeout", nil, wantInt(fd, unix.WDIOC_GETTIMEOUT, 20, 20)},
		{"time left", nil, wantInt(fd, unix.WDIOC_GETTIMELEFT, 15, 20)},
		{"timeout 0", unix.EINVAL, setInt(fd, unix.WDIOC_SETTIMEOUT, 0)},
		{"timeout -1", unix.EINVAL, setInt(fd, unix.WDIOC_SETTIMEOUT, -1)},
		{"timeout too long", unix.EINVAL, setInt(fd, unix.WDIOC_SETTIMEOUT, 65536)},
		{"pretimeout", nil, setInt(fd, unix.WDIOC_SETPRETIMEOUT, 19)},
		{"get pretimeout", nil, wantInt(fd, unix.WDIOC_GETPRETIMEOUT, 19, 19)},
		{"pretimeout too long", unix.EINVAL, setInt(fd, unix.WDIOC_SETPRETIMEOUT, 20)},
		{"shorter timeout", nil, setInt(fd, unix.WDIOC_SETTIMEOUT, 10)},
		{"pretimeout dropped", nil, wantInt(fd, unix.WDIOC_GETPRETIMEOUT, 0, 0)},
		{"status", nil, wantInt(fd, unix.WDIOC_GETSTATUS, 0, 0)},
		{"boot status", nil, wantInt(fd, unix.WDIOC_GETBOOTSTATUS, 0x20, 0x20)},
		{"temperature", unix.ENOTTY, wantInt(fd, unix.WDIOC_GETTEMP, 0, 0)},
		{"ping", nil, func() error { return ping(fd) }},
		{"ping by call", nil, setInt(fd, unix.WDIOC_KEEPALIVE, 0)},
		{"disable", nil, setInt(fd, unix.WDIOC_SETOPTIONS, unix.WDIOS_DISABLECARD)},
		{"disabled has no time left", nil, wantInt(fd, unix.WDIOC_GETTIMELEFT, 0, 0)},
		{"enable", nil, setInt(fd, unix.WDIOC_SETOPTIONS, unix.WDIOS_ENABLECARD)},
		{"no option", unix.EINVAL, setInt(fd, unix.WDIOC_SETOPTIONS, 0)},
		{"seek", unix.ESPIPE, func() error { _, err := unix.Seek(fd, 1, 0); return err }},
	}
}

func ownSteps(fd, viewer int) []step {
	config := func(c uapi.Config) func() error {
		return func() error { return call(fd, uapi.IoctlSetconfig, &c) }
	}
	return []step{
		{"configure", nil, config(uapi.Config{TimeoutMs: 1500, PretimeoutMs: 500, Action: uapi.ActionNone})},
		{"too short", unix.EINVAL, config(uapi.Config{TimeoutMs: 99})},
		{"too long", unix.EINVAL, config(uapi.Config{TimeoutMs: uapi.TimeoutMaxMs + 1})},
		{"no such action", unix.EINVAL, config(uapi.Config{TimeoutMs: 1000, Action: uapi.ActionMax + 1})},
		{"reserved", unix.EINVAL, config(uapi.Config{TimeoutMs: 1000, Reserved: 1})},
		{"pretimeout", unix.EINVAL, config(uapi.Config{TimeoutMs: 1000, PretimeoutMs: 1000})},
		{"status", nil, func() error { return checkStatus(viewer) }},
		{"viewer sets", unix.EBADF, func() error { return call(viewer, uapi.IoctlSetconfig, &uapi.Config{TimeoutMs: 1000}) }},
		{"viewer pings", unix.EBADF, setInt(viewer, unix.WDIOC_KEEPALIVE, 0)},
		{"viewer writes", unix.EBADF, func() error { return ping(viewer) }},
		{"note", nil, func() error { return call(fd, uapi.IoctlSetnote, &uapi.Note{Length: uapi.NoteMax}) }},
		{"note too long", unix.EINVAL, func() error { return call(fd, uapi.IoctlSetnote, &uapi.Note{Length: uapi.NoteMax + 1}) }},
		{"note cleared", nil, func() error { return call(fd, uapi.IoctlSetnote, &uapi.Note{}) }},
		{"cancel shutdown that is not armed", nil, func() error { return call(fd, uapi.IoctlSetshutdown, &uapi.Shutdown{}) }},
		{"unload while armed", unix.EAGAIN, func() error { return ignoreBusy(unix.DeleteModule("clpka", unix.O_NONBLOCK)) }},
		{"null", unix.EFAULT, func() error { return call[uapi.Status](fd, uapi.IoctlGetstatus, nil) }},
	}
}

// ignoreBusy: which of the two it is depends on the kernel.
func ignoreBusy(err error) error {
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EBUSY) {
		return unix.EAGAIN
	}
	return err
}

func checkStatus(fd int) error {
	var s uapi.Status
	if err := call(fd, uapi.IoctlGetstatus, &s); err != nil {
		return err
	}
	comm := unix.ByteSliceToString(s.Comm[:])
	switch {
	case s.ABI != uapi.ABI, s.Flags != uapi.Armed|uapi.Owned, s.TimeoutMs != 1500, s.PretimeoutMs != 500, s.Action != uapi.ActionNone:
		return fmt.Errorf("status %+v", s)
	case int(s.PID) != os.Getpid(), !strings.HasPrefix(comm, "clpka-guest"):
		return fmt.Errorf("last pinger %d %q, we are %d", s.PID, comm, os.Getpid())
	case s.CpusCovered != s.CpusOnline, s.DeadlineNs <= s.NowNs, s.Pings < 3, s.ShutdownDeadlineNs != 0:
		return fmt.Errorf("status %+v", s)
	}
	return nil
}
