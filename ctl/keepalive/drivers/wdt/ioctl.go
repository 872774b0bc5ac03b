package wdt

import (
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// calls is the kernel as the driver sees it: Documentation/watchdog/watchdog-api.rst.
// A test puts functions of its own in it.
type calls struct {
	open  func(path string) (int, error)
	info  func(fd int) (*unix.WatchdogInfo, error)
	get   func(fd int, req uint) (int, error)
	set   func(fd int, req uint, v int) (int, error) // what the driver made of v
	ping  func(fd int) error
	write func(fd int, b []byte) (int, error)
	close func(fd int) error
	pause func(time.Duration)
}

func kernel(root string) calls {
	return calls{
		open: func(path string) (int, error) {
			return unix.Open(filepath.Join(root, path), unix.O_WRONLY|unix.O_CLOEXEC, 0)
		},
		info:  unix.IoctlGetWatchdogInfo,
		get:   func(fd int, req uint) (int, error) { return ioctl(fd, req, 0) },
		set:   ioctl,
		ping:  unix.IoctlWatchdogKeepalive,
		write: unix.Write,
		close: unix.Close,
		pause: time.Sleep,
	}
}

// ioctl passes a pointer to a C int that holds v and returns what it holds
// afterwards.
func ioctl(fd int, req uint, v int) (int, error) {
	n := int32(v)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(req), uintptr(unsafe.Pointer(&n)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func writeParam(root, module, param, value string) error {
	path := filepath.Join(root, "sys/module", module, "parameters", param)
	f, err := os.OpenFile(path, os.O_WRONLY, 0) // never create: a fixture or a kernel without it must show
	if err != nil {
		return err
	}
	if _, err := f.WriteString(value); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
