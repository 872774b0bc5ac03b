package main

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"shisa/kmod/uapi"
)

// pretimeout arms with a warning after half a second and waits for its uevent.
func pretimeout([]string) error {
	events, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return err
	}
	defer unix.Close(events)
	const kernelGroup = 1
	if err := unix.Bind(events, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelGroup}); err != nil {
		return err
	}
	fd, err := unix.Open(device, unix.O_WRONLY, 0)
	if err != nil {
		return err
	}
	c := uapi.Config{TimeoutMs: 1000, PretimeoutMs: 500, Action: uapi.ActionReset}
	if err := call(fd, uapi.IoctlSetconfig, &c); err != nil {
		return err
	}
	armed := monotonic()
	buf := make([]byte, 8192)
	for {
		n, err := unix.Read(events, buf)
		if err != nil {
			return err
		}
		if bytes.Contains(buf[:n], []byte("CLPKA=pretimeout\x00")) {
			break
		}
	}
	after := (monotonic() - armed) / 1e6
	if err := errors.Join(ping(fd), disarm(fd)); err != nil {
		return err
	}
	fmt.Printf("uevent after %d ms\n", after)
	if after < 495 || after > 900 {
		return fmt.Errorf("uevent after %d ms, want 500", after)
	}
	return nil
}
