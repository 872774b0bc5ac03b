package distro

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"shisa/ci/vm"
)

// imageMiB is the size of a disk; what is not used takes no room on the host.
const imageMiB = 2048

// masked are units of the distribution that only cost time in emulation, or would
// take hold of a watchdog before a test lets them.
var masked = []string{
	"apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service",
	"fstrim.timer", "getty@tty1.service", "serial-getty@ttyS0.service", "systemd-timesyncd.service", "systemd-networkd.service",
	"systemd-networkd.socket", "systemd-network-generator.service", "systemd-hwdb-update.service",
	"watchdog.service", "wd_keepalive.service", "sbd.service",
}

// settings are files of an image: what an installer would have asked for.
var settings = map[string]string{
	"etc/hostname": "guest\n",
	"etc/hosts":    "127.0.0.1 localhost\n127.0.1.1 guest\n",
	// A machine without an identity runs the presets and lets all units start.
	"etc/machine-id": "0123456789abcdef0123456789abcdef\n",
	// Emulated processors are slow, and the journal is read after a reset.
	"etc/systemd/journald.conf.d/guest.conf": "[Journal]\nStorage=persistent\nSyncIntervalSec=1s\n",
	// As the kernel's own package has it: watchdogs are nobody's until one asks.
	"etc/modprobe.d/watchdogs.conf": "blacklist softdog\nblacklist i6300esb\n",
}

// An Image is the disk of a suite and the kernel that boots it.
type Image struct {
	Suite  Suite
	Kernel vm.Kernel
	Path   string
}

// Make returns the image of a suite, from the cache unless what it is made of has
// changed.
func Make(ctx context.Context, s Suite) (Image, error) {
	k, err := vm.Get(ctx, s.Kernel)
	if err != nil {
		return Image{}, err
	}
	cache, err := vm.CacheDir()
	if err != nil {
		return Image{}, err
	}
	dir := filepath.Join(cache, "distro", s.Name)
	im := Image{Suite: s, Kernel: k, Path: filepath.Join(dir, "disk-"+recipe(s, k)+".img")}
	unlock, err := lock(filepath.Join(dir, ".lock"))
	if err != nil {
		return Image{}, err
	}
	defer unlock()
	if _, err := os.Stat(im.Path); err == nil {
		return im, nil
	}
	if err := Available(); err != nil {
		return Image{}, err
	}
	if err := im.make(ctx, dir); err != nil {
		return Image{}, fmt.Errorf("make an image of %s: %w", s.Name, err)
	}
	return im, nil
}

// recipe names all that an image is made of.
func recipe(s Suite, k vm.Kernel) string {
	h := sha256.New()
	fmt.Fprintln(h, s, k.Release, base, masked, imageMiB, settings) // maps are printed in order
	return fmt.Sprintf("%x", h.Sum(nil)[:6])
}

func (im Image) make(ctx context.Context, dir string) error {
	old, err := filepath.Glob(filepath.Join(dir, "disk-*"))
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(dir, ".root-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }() // a scratch folder
	root := filepath.Join(tmp, "root")
	if err := Bootstrap(ctx, im.Suite.Name, root, base...); err != nil {
		return err
	}
	if err := addPackages(ctx, root, im.Suite.Extra); err != nil {
		return err
	}
	if err := im.furnish(ctx, root); err != nil {
		return err
	}
	disk := filepath.Join(tmp, "disk")
	if err := makeDisk(ctx, disk, root, imageMiB); err != nil {
		return err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return os.Rename(disk, im.Path)
}

// furnish adds the kernel's modules and what an installer would have set.
func (im Image) furnish(ctx context.Context, root string) error {
	modules := filepath.Join(root, "usr/lib/modules")
	if err := os.MkdirAll(modules, 0o755); err != nil {
		return err
	}
	if _, err := run(ctx, "cp", "-a", im.Kernel.ModuleDir(), modules); err != nil {
		return err
	}
	// Half a gigabyte of drivers for what QEMU does not emulate.
	for _, dir := range []string{"gpu", "infiniband", "media", "net/wireless", "net/ethernet", "staging", "iio", "scsi", "isdn"} {
		if err := os.RemoveAll(filepath.Join(modules, im.Kernel.Release, "kernel/drivers", dir)); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(filepath.Join(modules, im.Kernel.Release, "kernel/sound")); err != nil {
		return err
	}
	if _, err := run(ctx, "depmod", "-b", filepath.Join(root, "usr"), im.Kernel.Release); err != nil {
		return err
	}
	for name, text := range settings {
		if err := put(root, name, text); err != nil {
			return err
		}
	}
	for _, unit := range masked {
		link := filepath.Join(root, "etc/systemd/system", unit)
		if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.Symlink("/dev/null", link); err != nil {
			return err
		}
	}
	// The address of the machine's own mirror is nobody else's business.
	return os.Remove(filepath.Join(root, "etc/apt/sources.list"))
}

// makeDisk makes an ext4 with the content of a folder.
func makeDisk(ctx context.Context, path, dir string, sizeMiB int) error {
	// The oldest kernels do not know all that the newest mkfs turns on.
	_, err := run(ctx, "mkfs.ext4", "-q", "-F", "-O", "^orphan_file,^metadata_csum_seed", "-d", dir, path, fmt.Sprintf("%dM", sizeMiB))
	return err
}

// put writes a file below a root.
func put(root, name, text string) error {
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// SuiteNamed returns a suite of the list.
func SuiteNamed(name string) (Suite, error) {
	i := slices.IndexFunc(Suites, func(s Suite) bool { return s.Name == name })
	if i < 0 {
		var known []string
		for _, s := range Suites {
			known = append(known, s.Name)
		}
		return Suite{}, fmt.Errorf("no suite %q: there are %s", name, strings.Join(known, ", "))
	}
	return Suites[i], nil
}
