package distro

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"shisa/ci/vm"
)

// Options say what a guest has beside its disk.
type Options struct {
	Watchdog bool      // an i6300esb; its driver is loaded by whoever wants it
	BMC      bool      // a simulated one; its drivers are loaded by whoever wants it
	Cmdline  string    // added to the kernel's command line
	Carry    string    // folder of this machine whose content lies in /mnt of the guest; empty: none
	Console  io.Writer // gets a copy of the console; nil: none
}

const (
	// bootTimeout bounds one boot until the agent answers; emulated, and beside others.
	bootTimeout = 8 * time.Minute
	// settleTimeout bounds what is left of the start then.
	settleTimeout = 6 * time.Minute
	memoryMiB     = 768
)

// A System is a guest in which systemd runs.
type System struct {
	*vm.Guest
	Image Image
	boots int
}

// Boot starts a guest on a snapshot of the image and waits until systemd has
// started everything. The guest lives until Close.
func (im Image) Boot(ctx context.Context, o Options) (*System, error) {
	s := &System{Image: im, boots: 1}
	c := vm.Config{
		Kernel:  im.Kernel,
		Machine: vm.Machine{MemoryMiB: memoryMiB, Watchdog: o.Watchdog, BMC: o.BMC, Disks: []string{im.Path}, Snapshot: true},
		Cmdline: o.Cmdline,
		Root:    "/dev/vda",
		Env:     []string{"SYSTEMD_COLORS=0", "SYSTEMD_PAGER=", "LC_ALL=C"}, BootTimeout: bootTimeout, Console: o.Console,
	}
	if o.Watchdog {
		c.Present = append(c.Present, "i6300esb")
	}
	if o.BMC {
		c.Present = append(c.Present, "ipmi_msghandler", "ipmi_devintf", "ipmi_si")
	}
	if o.Carry != "" {
		disk, err := carry(ctx, o.Carry)
		if err != nil {
			return nil, err
		}
		// QEMU has it open as soon as it runs, and nobody else needs it.
		defer func() { _ = os.Remove(disk) }()
		c.Machine.Disks = append(c.Machine.Disks, disk)
	}
	var err error
	if s.Guest, err = vm.Start(ctx, c); err != nil {
		return nil, err
	}
	err = s.settle(ctx)
	if err == nil && o.Carry != "" {
		_, err = s.Sh(ctx, "mount -o ro /dev/vdb /mnt")
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// carryMiB is the size of the disk that carries files into a guest.
const carryMiB = 512

// carry makes a disk with the content of a folder.
func carry(ctx context.Context, dir string) (string, error) {
	f, err := os.CreateTemp("", "shisa-carry-")
	if err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	return f.Name(), makeDisk(ctx, f.Name(), dir, carryMiB)
}

// settle waits until the start is over. Units that failed are an error: an image
// is to be sound before anything is proven on it.
func (s *System) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	r, err := s.Run(ctx, "systemctl", "is-system-running", "--wait")
	if err != nil {
		return fmt.Errorf("wait for the end of the start: %w\n%s", err, tail(s.Console(), 15))
	}
	if state := strings.TrimSpace(r.Stdout); state != "running" {
		failed, err := s.Sh(ctx, "systemctl --failed --no-legend --plain; journalctl -b --no-pager -o short-monotonic -p warning -n 40")
		if err != nil {
			return err
		}
		return fmt.Errorf("the system is %s: %s", state, failed)
	}
	return nil
}

// Reboots returns how often the machine was reset so far, as the hypervisor saw it.
func (s *System) Reboots() int {
	n := 0
	for _, e := range s.Events() {
		if e.Kind == vm.KindReset {
			n++
		}
	}
	return n
}

// NextBoot waits until the system runs again after a reset.
func (s *System) NextBoot(ctx context.Context) error {
	s.boots++
	if _, err := s.WaitBoot(ctx, s.boots); err != nil {
		return fmt.Errorf("the next boot: %w\n%s", err, tail(s.Console(), 15))
	}
	return s.settle(ctx)
}
