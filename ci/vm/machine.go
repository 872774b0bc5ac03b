package vm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// A Machine says what QEMU emulates. The zero value is two CPUs and 512 MiB
// without extras.
type Machine struct {
	CPUs           int      // 0: 2
	MemoryMiB      int      // 0: 512; at least 384
	Watchdog       bool     // an i6300esb watchdog; its module is loaded, unless Config.Present names it
	WatchdogAction string   // what QEMU does when it fires: reset (default), inject-nmi, none ...
	BMC            bool     // a simulated BMC on KCS: /dev/ipmi0; its modules are loaded
	Pvpanic        bool     // panics are seen as GUEST_PANICKED; its modules are loaded
	NoReboot       bool     // a reset ends QEMU instead of booting again
	Pstore         bool     // ramoops: the kernel's records survive a warm reset
	Disks          []string // raw images (see MakeDisk), in the guest /dev/vda, /dev/vdb ...
	Snapshot       bool     // what is written to the disks is forgotten when QEMU ends, not at a reset
}

const (
	defaultCPUs      = 2
	defaultMemoryMiB = 512
	minMemoryMiB     = 384 // kernel, initramfs and the pstore area do not overlap
	// pstoreAddr is where ramoops keeps its records: above the kernel, which is
	// unpacked from 16 MiB on, and below the initramfs, which QEMU puts at the end of
	// memory at every reset.
	pstoreAddr = 256 << 20
	pstoreSize = 1 << 20
)

// modules returns what has to be loaded for the machine's devices. Older kernels
// have one pvpanic module, newer ones two.
func (m Machine) modules() []string {
	list := []string{"virtio_pci", "virtio_console"}
	if len(m.Disks) > 0 {
		// Before 6.14 ext4 asks for its checksum by an alias; we have no aliases.
		list = append(list, "virtio_blk", "?crc32c_generic", "ext4")
	}
	if m.Watchdog {
		list = append(list, "i6300esb")
	}
	if m.BMC {
		list = append(list, "ipmi_msghandler", "ipmi_devintf", "ipmi_si")
	}
	if m.Pvpanic {
		list = append(list, "pvpanic", "?pvpanic-mmio")
	}
	if m.Pstore {
		// max_reason 4 is KMSG_DUMP_SHUTDOWN (include/linux/kmsg_dump.h): with
		// printk.always_kmsg_dump resets are recorded too, not only panics.
		list = append(list, fmt.Sprintf("ramoops mem_address=%#x mem_size=%#x record_size=0x10000 ecc=1 max_reason=4",
			pstoreAddr, pstoreSize))
	}
	return list
}

// cmdline returns the kernel's command line.
func (m Machine) cmdline(extra string) string {
	line := []string{"console=ttyS0", "quiet", "panic=-1", "rdinit=/init"}
	if m.Pstore {
		line = append(line, fmt.Sprintf("memmap=%d$%#x", pstoreSize, pstoreAddr))
	}
	if extra != "" {
		line = append(line, extra)
	}
	return strings.Join(line, " ")
}

// Descriptors that QEMU inherits (exec.Cmd.ExtraFiles starts at 3).
const (
	fdQMP    = 3
	fdLink   = 4
	fdInitrd = 5
)

// args returns QEMU's arguments.
func (m Machine) args(k Kernel, cmdline string) []string {
	memory := max(m.MemoryMiB, minMemoryMiB)
	if m.MemoryMiB == 0 {
		memory = defaultMemoryMiB
	}
	cpus := m.CPUs
	if cpus == 0 {
		cpus = defaultCPUs
	}
	args := []string{
		"-accel", "tcg,thread=multi", "-cpu", "max", "-smp", strconv.Itoa(cpus), "-m", strconv.Itoa(memory),
		"-bios", "qboot.rom", // SeaBIOS answers a warm reset with another one
		"-nodefaults", "-no-user-config", "-net", "none", "-display", "none", "-serial", "stdio",
		"-chardev", fmt.Sprintf("socket,id=qmp,fd=%d", fdQMP), "-mon", "chardev=qmp,mode=control",
		"-chardev", fmt.Sprintf("socket,id=link,fd=%d", fdLink),
		"-device", "virtio-serial-pci", "-device", "virtserialport,chardev=link,name=shisa.link",
		"-kernel", k.Vmlinuz(), "-initrd", fmt.Sprintf("/proc/self/fd/%d", fdInitrd), "-append", m.cmdline(cmdline),
	}
	if m.NoReboot {
		args = append(args, "-no-reboot")
	}
	action := m.WatchdogAction
	if action == "" {
		action = "reset"
	}
	// A panic shall be seen and then be the guest's own business.
	args = append(args, "-action", "panic=none,watchdog="+action)
	if m.Watchdog {
		args = append(args, "-device", "i6300esb")
	}
	if m.BMC {
		args = append(args, "-device", "ipmi-bmc-sim,id=bmc0", "-device", "isa-ipmi-kcs,bmc=bmc0")
	}
	if m.Pvpanic {
		args = append(args, "-device", "pvpanic")
	}
	for i, disk := range m.Disks {
		// The image must survive the guest's reset, not the host's: no flushing.
		drive := fmt.Sprintf("file=%s,format=raw,if=none,id=disk%d,cache=unsafe", strings.ReplaceAll(disk, ",", ",,"), i)
		if m.Snapshot {
			drive += ",snapshot=on"
		}
		args = append(args, "-drive", drive,
			"-device", fmt.Sprintf("virtio-blk-pci,drive=disk%d", i))
	}
	return args
}

// qemu is the program; the package is qemu-system-x86.
const qemu = "qemu-system-x86_64"

// Available returns nil when guests can be booted on this machine, else what is
// missing.
func Available() error {
	if _, err := exec.LookPath(qemu); err != nil {
		return fmt.Errorf("boot guests: %w: install the package qemu-system-x86", err)
	}
	return nil
}

// MakeDisk makes a sparse raw image of the given size with an empty ext4 on it.
func MakeDisk(ctx context.Context, path string, sizeMiB int) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("make a disk: %w", err)
	}
	defer f.Close()
	if err := f.Truncate(int64(sizeMiB) << 20); err != nil {
		return fmt.Errorf("make a disk: %w", err)
	}
	// The oldest kernels of the list do not know all that the newest mkfs turns on.
	out, err := exec.CommandContext(ctx, "mkfs.ext4", "-q", "-F", "-O", "^orphan_file,^metadata_csum_seed", path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make a disk: mkfs.ext4 (package e2fsprogs): %w\n%s", err, out)
	}
	return nil
}
