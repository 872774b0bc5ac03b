// Package nextboot finds out which kernel the boot loader will start next, so
// that a kernel update which leaves the machine without its engine is noticed
// before the reboot and not after it.
//
// It reads the files of the loader that is in use: systemd-boot, GRUB 2 with
// its own menu or with Boot Loader Specification entries, extlinux; else the
// link /vmlinuz that Debian and SUSE keep; else it guesses the newest installed
// kernel and says that it guessed.
package nextboot

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"shisa/hwcompat"
)

// maxFile bounds each configuration file, in bytes.
const maxFile = 1 << 20

// ErrUnknown says that no boot loader and no installed kernel was recognised.
var ErrUnknown = errors.New("no boot loader configuration and no installed kernel found")

// A Kernel is the kernel that starts next.
type Kernel struct {
	Release string `json:"release"` // empty: the entry starts something else, Entry says what
	Image   string `json:"image,omitempty"`
	Loader  string `json:"loader"` // systemd-boot, grub, grub-bls, extlinux, link, guess
	Entry   string `json:"entry"`  // menu entry, file or link that was followed
	Once    bool   `json:"once,omitempty"`
}

// Detect returns the kernel that starts next on the machine whose root is fsys.
func Detect(fsys fs.FS) (Kernel, error) {
	b := boot{fsys}
	for _, try := range []func() (Kernel, bool){b.systemdBoot, b.grub, b.looseEntries, b.extlinux, b.links, b.newest} {
		if k, ok := try(); ok {
			return k, nil
		}
	}
	return Kernel{}, ErrUnknown
}

type boot struct{ fsys fs.FS }

func (b boot) read(name string) (string, bool) {
	f, err := b.fsys.Open(name)
	if err != nil {
		return "", false
	}
	defer func() { _ = f.Close() }() // nothing was written
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	return string(text), err == nil
}

func (b boot) readFirst(names ...string) (string, bool) {
	for _, n := range names {
		if text, ok := b.read(n); ok {
			return text, true
		}
	}
	return "", false
}

// imagePrefixes are what distributions put before the release in the name of a
// kernel image.
var imagePrefixes = []string{"vmlinuz-", "vmlinux-", "Image-", "image-", "kernel-", "linux-", "bzImage-"}

// release makes the kernel release from the path of an image: its name, or the
// folder in which kernel-install(8) puts an image called "linux". version is
// what the entry itself says, if it does.
func release(image, version string) string {
	base := path.Base(image)
	for _, p := range imagePrefixes {
		if r, ok := strings.CutPrefix(base, p); ok {
			return strings.TrimSuffix(r, ".efi")
		}
	}
	if version != "" {
		return version
	}
	if dir := path.Base(path.Dir(image)); base == "linux" && hwcompat.Series(dir) != "" {
		return dir
	}
	return ""
}

// links follows /vmlinuz and /boot/vmlinuz.
func (b boot) links() (Kernel, bool) {
	for _, name := range []string{"vmlinuz", "boot/vmlinuz", "boot/Image", "boot/image"} {
		to, err := fs.ReadLink(b.fsys, name)
		if err != nil {
			continue
		}
		if r := release(to, ""); r != "" {
			return Kernel{Release: r, Image: to, Loader: "link", Entry: "/" + name}, true
		}
	}
	return Kernel{}, false
}

// newest takes the highest release that has modules.
func (b boot) newest() (Kernel, bool) {
	for _, dir := range []string{"lib/modules", "usr/lib/modules"} {
		entries, err := fs.ReadDir(b.fsys, dir)
		if err != nil {
			continue
		}
		names := []string{}
		for _, e := range entries {
			if hwcompat.Series(e.Name()) != "" {
				names = append(names, e.Name())
			}
		}
		if len(names) > 0 {
			r := slices.MaxFunc(names, hwcompat.CompareVersions)
			return Kernel{Release: r, Loader: "guess", Entry: "newest of /" + dir}, true
		}
	}
	return Kernel{}, false
}

// extlinux reads DEFAULT and the LABEL of that name.
func (b boot) extlinux() (Kernel, bool) {
	text, ok := b.readFirst("boot/extlinux/extlinux.conf", "boot/syslinux/syslinux.cfg", "extlinux/extlinux.conf")
	if !ok {
		return Kernel{}, false
	}
	def, label := "", ""
	images := map[string]string{}
	var order []string
	for line := range strings.Lines(text) {
		w := strings.Fields(line)
		if len(w) < 2 {
			continue
		}
		switch strings.ToLower(w[0]) {
		case "default":
			def = w[1]
		case "label":
			label = w[1]
			order = append(order, label)
		case "linux", "kernel":
			images[label] = w[1]
		}
	}
	if _, ok := images[def]; !ok && len(order) > 0 {
		def = order[0]
	}
	image, ok := images[def]
	return Kernel{Release: release(image, ""), Image: image, Loader: "extlinux", Entry: def}, ok
}

// An entry is one of the Boot Loader Specification, or a unified kernel image.
type entry struct {
	id, title, version, image string
}

// entries reads the entries in the given folders, best first: the order of both
// GRUB's blscfg and systemd-boot is by version, downwards.
func (b boot) entries(folders ...string) []entry {
	var all []entry
	for _, dir := range folders {
		names, err := fs.Glob(b.fsys, path.Join(dir, "*.conf"))
		if err != nil {
			continue
		}
		for _, n := range names {
			if text, ok := b.read(n); ok {
				all = append(all, parseEntry(path.Base(n), text))
			}
		}
		if len(all) > 0 {
			break // /boot and /efi may be the same partition
		}
	}
	slices.SortStableFunc(all, func(x, y entry) int {
		return cmp.Or(hwcompat.CompareVersions(y.version, x.version), hwcompat.CompareVersions(y.id, x.id))
	})
	return all
}

func parseEntry(file, text string) entry {
	e := entry{id: strings.TrimSuffix(file, ".conf")}
	// Boot counting puts "+LEFT-DONE" at the end (systemd.io/AUTOMATIC_BOOT_ASSESSMENT).
	if i := strings.LastIndexByte(e.id, '+'); i >= 0 && strings.Trim(e.id[i+1:], "0123456789-") == "" && i+1 < len(e.id) {
		e.id = e.id[:i]
	}
	for line := range strings.Lines(text) {
		key, val, _ := strings.Cut(strings.TrimSpace(line), " ")
		val = strings.TrimSpace(val)
		switch strings.TrimSpace(key) {
		case "title":
			e.title = val
		case "version":
			e.version = val
		case "linux", "efi":
			e.image = val
		}
	}
	if e.version == "" {
		e.version = release(e.image, "")
	}
	return e
}

func (e entry) kernel(loader string) Kernel {
	return Kernel{Release: release(e.image, e.version), Image: e.image, Loader: loader, Entry: e.id}
}
