package nextboot

import (
	"encoding/binary"
	"path"
	"strings"
	"unicode/utf16"
)

// loaderVendor is the vendor of the variables of the Boot Loader Interface.
const loaderVendor = "-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"

// entryFolders are where entries lie: the boot partition, or the EFI system
// partition where it is mounted.
var entryFolders = []string{"boot/loader/entries", "efi/loader/entries", "boot/efi/loader/entries"}

// systemdBoot answers only when systemd-boot started the running system, which
// it says in a variable of the firmware.
func (b boot) systemdBoot() (Kernel, bool) {
	if !strings.HasPrefix(b.loaderVar("LoaderInfo"), "systemd-boot") {
		return Kernel{}, false
	}
	if id := b.loaderVar("LoaderEntryOneShot"); id != "" {
		k, ok := b.chosen(id)
		k.Once = true
		return k, ok
	}
	if id := b.loaderVar("LoaderEntryDefault"); id != "" {
		if k, ok := b.chosen(id); ok {
			return k, true
		}
	}
	return b.looseEntries()
}

// looseEntries reads loader.conf and the entries without knowing who started
// the system.
func (b boot) looseEntries() (Kernel, bool) {
	if conf, ok := b.readFirst("boot/loader/loader.conf", "efi/loader/loader.conf", "boot/efi/loader/loader.conf"); ok {
		for line := range strings.Lines(conf) {
			if w := strings.Fields(line); len(w) == 2 && w[0] == "default" {
				if k, ok := b.chosen(w[1]); ok {
					return k, true
				}
			}
		}
	}
	if all := b.entries(entryFolders...); len(all) > 0 {
		return all[0].kernel("systemd-boot"), true
	}
	return Kernel{}, false
}

// chosen finds the entry of that name; loader.conf allows a pattern.
func (b boot) chosen(id string) (Kernel, bool) {
	id = strings.TrimSuffix(id, ".conf")
	for _, e := range b.entries(entryFolders...) {
		if ok, err := path.Match(id, e.id); ok && err == nil {
			return e.kernel("systemd-boot"), true
		}
	}
	// A unified kernel image is an entry without a file: "ID-6.1.0-50-amd64.efi".
	if name, ok := strings.CutSuffix(id, ".efi"); ok && !strings.ContainsAny(id, "*?") {
		_, r, _ := strings.Cut(name, "-")
		return Kernel{Release: r, Image: id, Loader: "systemd-boot", Entry: id}, true
	}
	return Kernel{}, false
}

// loaderVar reads a variable: four bytes of attributes, then UTF-16.
func (b boot) loaderVar(name string) string {
	text, ok := b.read("sys/firmware/efi/efivars/" + name + loaderVendor)
	if !ok || len(text) < 4 {
		return ""
	}
	raw := []byte(text[4:])
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(raw[2*i:])
	}
	return strings.TrimRight(string(utf16.Decode(units)), "\x00")
}
