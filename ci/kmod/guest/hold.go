package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"shisa/kmod/uapi"
)

// settle is how long the host gets to receive the last mark before the guest is hurt.
const settle = 300 * time.Millisecond

// hold arms a countdown from CPU 0, pings once, and does what the flags say.
func hold(args []string) error {
	flags := flag.NewFlagSet("hold", flag.ContinueOnError)
	device := flags.String("device", "/dev/clpka", "or bare: a timer that restarts in a second")
	timeout := flags.Int("timeout", 3, "seconds")
	action := flags.Int("action", -1, "CLPKA_ACTION_*; -1: as it is")
	downAction := flags.Int("shutdown-action", -1, "arm the shutdown countdown instead of the main one")
	fault := flags.String("fault", "", "for the faults module")
	hogs := flags.Bool("hogs", false, "real-time hogs on every CPU")
	reboot := flags.String("reboot", "", "restart or off: call reboot(2)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := pin(0); err != nil {
		return err
	}
	if *device == bareTimer {
		return holdNothing()
	}
	fd, err := unix.Open(*device, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", *device, err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.WDIOC_SETTIMEOUT, *timeout); err != nil {
		return fmt.Errorf("set the timeout: %w", err)
	}
	if *action >= 0 {
		c := uapi.Config{TimeoutMs: uint32(*timeout) * 1000, Action: uint32(*action)}
		if err := call(fd, uapi.IoctlSetconfig, &c); err != nil {
			return fmt.Errorf("set the action: %w", err)
		}
	}
	if err := synchronise(); err != nil {
		return err
	}
	if *downAction >= 0 {
		err = armShutdown(fd, *timeout, *downAction)
	} else {
		err = ping(fd)
	}
	if err != nil {
		return err
	}
	if err := mark("ping %d %s", monotonic(), *device); err != nil {
		return err
	}
	time.Sleep(settle)
	if err := hurt(*fault, *hogs, *reboot); err != nil {
		return err
	}
	return unix.Pause()
}

// bareTimer stands for a device: a timer of the faults module, as a control.
const bareTimer = "bare"

// holdNothing has the machine restarted by a timer that does nothing else.
func holdNothing() error {
	if err := synchronise(); err != nil {
		return err
	}
	began := monotonic()
	if err := hurt("restart-in-a-second", false, ""); err != nil {
		return err
	}
	if err := mark("ping %d %s", began, bareTimer); err != nil {
		return err
	}
	return unix.Pause()
}

// armShutdown arms the shutdown countdown and disarms the main one.
func armShutdown(fd, timeout, action int) error {
	s := uapi.Shutdown{TimeoutMs: uint32(timeout) * 1000, Action: uint32(action)}
	if err := call(fd, uapi.IoctlSetshutdown, &s); err != nil {
		return fmt.Errorf("arm the shutdown countdown: %w", err)
	}
	return unix.IoctlSetPointerInt(fd, unix.WDIOC_SETOPTIONS, unix.WDIOS_DISABLECARD)
}

func hurt(fault string, hogs bool, reboot string) error {
	if fault != "" {
		if err := os.WriteFile("/sys/module/faults/parameters/now", []byte(fault), 0); err != nil {
			return err
		}
	}
	if hogs {
		if err := startHogs(); err != nil {
			return err
		}
	}
	switch reboot {
	case "restart":
		return unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	case "off":
		return unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}
	return nil
}

// startHogs starts a hog on every CPU, on our own last, with throttling off.
func startHogs() error {
	if err := os.WriteFile("/proc/sys/kernel/sched_rt_runtime_us", []byte("-1"), 0); err != nil {
		return err
	}
	for cpu := runtime.NumCPU() - 1; cpu >= 0; cpu-- {
		if err := exec.Command("/proc/self/exe", "hog", "-cpu", strconv.Itoa(cpu)).Start(); err != nil {
			return err
		}
	}
	return nil
}

func hog(args []string) error {
	flags := flag.NewFlagSet("hog", flag.ContinueOnError)
	cpu := flags.Int("cpu", 0, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := pin(*cpu); err != nil {
		return err
	}
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 99}
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
		return err
	}
	//lint:ignore SA5002 it is to use the whole CPU
	for {
	}
}

func pin(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	return unix.SchedSetaffinity(0, &set)
}

// synchronise tells the host our clock, often enough that one message is quick.
func synchronise() error {
	for range 20 {
		if err := mark("sync %d", monotonic()); err != nil {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

// mark writes a line to the host; ci/vm's agent passes it on.
func mark(format string, args ...any) error {
	f, err := os.OpenFile("/run/mark", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintf(f, format+"\n", args...)
	return err
}

// monotonic returns CLOCK_MONOTONIC in ns, the module's clock.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err) // the clock is always there
	}
	return ts.Nano()
}
