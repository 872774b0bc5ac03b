package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// There is no call for a 32-bit program.
func init() { commands["kexec"] = kexec }

// kexec loads a kernel without an initrd.
func kexec(args []string) error {
	image, err := os.Open(args[0])
	if err != nil {
		return err
	}
	flags := unix.KEXEC_FILE_NO_INITRAMFS
	if args[2] == "crash" {
		flags |= unix.KEXEC_FILE_ON_CRASH
	}
	if err := unix.KexecFileLoad(int(image.Fd()), 0, args[1], flags); err != nil {
		return err
	}
	if args[2] == "now" {
		return unix.Reboot(unix.LINUX_REBOOT_CMD_KEXEC)
	}
	return nil
}
