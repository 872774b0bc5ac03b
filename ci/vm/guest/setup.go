package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ci/vm/wire"
)

// coreMounts are those without which no init can begin; one that takes over from
// us takes them over as well.
var coreMounts = []wire.Mount{
	{Source: "proc", Target: "/proc", Type: "proc"},
	{Source: "sysfs", Target: "/sys", Type: "sysfs"},
	{Source: "devtmpfs", Target: "/dev", Type: "devtmpfs"},
	{Source: "tmpfs", Target: "/run", Type: "tmpfs", Options: "mode=755"},
}

// otherMounts are the kernel's other file systems, as every init mounts them.
var otherMounts = []wire.Mount{
	{Source: "tmpfs", Target: "/tmp", Type: "tmpfs", Options: "mode=1777"},
	{Source: "devpts", Target: "/dev/pts", Type: "devpts"},
	{Source: "tmpfs", Target: "/dev/shm", Type: "tmpfs"},
	{Source: "cgroup2", Target: "/sys/fs/cgroup", Type: "cgroup2"},
	{Source: "tracefs", Target: "/sys/kernel/tracing", Type: "tracefs"},
	{Source: "bpf", Target: "/sys/fs/bpf", Type: "bpf"},
	{Source: "pstore", Target: "/sys/fs/pstore", Type: "pstore"},
}

func mount(m wire.Mount) error {
	// sysfs makes its own mount points, and refuses to make others.
	if err := os.MkdirAll(m.Target, 0o755); err != nil && !strings.HasPrefix(m.Target, "/sys/") {
		return err
	}
	if err := unix.Mount(m.Source, m.Target, m.Type, 0, m.Options); err != nil {
		return fmt.Errorf("mount %s on %s: %w", m.Source, m.Target, err)
	}
	return nil
}

// mountAll mounts what it can.
func mountAll(list []wire.Mount) {
	for _, m := range list {
		if err := mount(m); err != nil {
			fmt.Fprintln(os.Stderr, "guest:", err)
		}
	}
}

// readConfig reads what the host wants.
func readConfig(path string) (wire.Config, error) {
	var c wire.Config
	text, err := os.ReadFile(path)
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(text, &c)
}

// setup does what the config says. What goes wrong is collected: the host decides
// whether it matters.
func setup(c wire.Config) error {
	var errs []error
	for _, mod := range c.Modules {
		errs = append(errs, loadModule(mod))
	}
	for _, m := range c.Mounts {
		if strings.HasPrefix(m.Source, "/dev/") {
			errs = append(errs, waitFor(m.Source))
		}
		errs = append(errs, mount(m))
	}
	errs = append(errs, loopbackUp(), unix.Sethostname([]byte(c.Hostname)))
	for _, link := range [][2]string{
		{"/proc/self/fd", "/dev/fd"},
		{"/proc/self/fd/0", "/dev/stdin"},
		{"/proc/self/fd/1", "/dev/stdout"},
		{"/proc/self/fd/2", "/dev/stderr"},
	} {
		if err := os.Symlink(link[0], link[1]); !errors.Is(err, fs.ErrExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func loadModule(mod wire.Module) error {
	f, err := os.Open(mod.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.FinitModule(int(f.Fd()), mod.Params, 0)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("load %s: %w", filepath.Base(mod.Path), err)
	}
	return nil
}

// waitFor waits for a device that a module has just found.
func waitFor(path string) error {
	for range 500 {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("%s did not appear within 5 s", path)
}

// loopbackUp sets the interface lo up; the kernel then gives it its addresses.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	ifr.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}

// openPort opens the virtio serial port with our name.
func openPort() (*os.File, error) {
	const wait, pause = time.Minute, 10 * time.Millisecond // a kernel that watches itself takes its time
	for range wait / pause {
		names, err := filepath.Glob("/sys/class/virtio-ports/*/name")
		if err != nil {
			return nil, err
		}
		for _, path := range names {
			name, err := os.ReadFile(path)
			if err == nil && strings.TrimSpace(string(name)) == wire.Port {
				dev := "/dev/" + filepath.Base(filepath.Dir(path))
				return os.OpenFile(dev, os.O_RDWR, 0)
			}
		}
		time.Sleep(pause)
	}
	return nil, fmt.Errorf("no virtio serial port of ours within %v", wait)
}
