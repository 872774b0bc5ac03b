package vm

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"

	"github.com/u-root/u-root/pkg/cpio"

	"shisa/ci/vm/wire"
)

// An image collects what goes into an initramfs.
type image struct {
	records map[string]cpio.Record
}

func newImage() *image {
	im := &image{records: map[string]cpio.Record{}}
	for _, dir := range []string{"bin", "dev", "etc", "lib", "proc", "root", "run", "sbin", "sys", "tmp", "usr/bin", "usr/sbin", "var/lib", "var/log"} {
		im.dir(dir)
	}
	im.records["dev/console"] = cpio.CharDev("dev/console", 0o600, 5, 1)
	im.records["dev/null"] = cpio.CharDev("dev/null", 0o666, 1, 3)
	return im
}

// dir adds a folder and those above it.
func (im *image) dir(name string) {
	name = cpio.Normalize(name)
	if name == "." || name == "" {
		return
	}
	if _, ok := im.records[name]; ok {
		return
	}
	im.dir(path.Dir(name))
	im.records[name] = cpio.Directory(name, 0o755)
}

// file adds a file; the path is the guest's.
func (im *image) file(name string, data []byte, mode os.FileMode) {
	name = cpio.Normalize(name)
	im.dir(path.Dir(name))
	im.records[name] = cpio.StaticFile(name, string(data), uint64(mode.Perm()))
}

func (im *image) symlink(name, target string) {
	name = cpio.Normalize(name)
	im.dir(path.Dir(name))
	im.records[name] = cpio.Symlink(name, target)
}

// write writes the archive in the newc format. Names are sorted: the same content
// gives the same bytes, and a folder comes before what is in it.
func (im *image) write(w io.Writer) error {
	format, err := cpio.Format("newc")
	if err != nil {
		return err
	}
	names := make([]string, 0, len(im.records))
	for name := range im.records {
		names = append(names, name)
	}
	slices.Sort(names)
	out := format.Writer(w)
	for i, name := range names {
		record := cpio.MakeReproducible(im.records[name])
		record.Ino = uint64(i + 1) // equal numbers would be hard links
		if err := out.WriteRecord(record); err != nil {
			return fmt.Errorf("pack %s: %w", name, err)
		}
	}
	return cpio.WriteTrailer(out)
}

// busybox adds the machine's static busybox and links for its applets.
func (im *image) busybox(ctx context.Context) error {
	const need = "install the package busybox-static"
	data, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return fmt.Errorf("add busybox: %w: %s", err, need)
	}
	if !isStatic(data) {
		return fmt.Errorf("add busybox: /bin/busybox is not static: %s", need)
	}
	list, err := exec.CommandContext(ctx, "/bin/busybox", "--list").Output()
	if err != nil {
		return fmt.Errorf("add busybox: list its applets: %w", err)
	}
	im.file("bin/busybox", data, 0o755)
	for applet := range strings.FieldsSeq(string(list)) {
		if applet != "busybox" {
			im.symlink("bin/"+applet, "busybox")
		}
	}
	for _, applet := range []string{"modprobe", "insmod", "reboot", "poweroff", "halt"} {
		im.symlink("sbin/"+applet, "../bin/busybox")
	}
	return nil
}

// isStatic reports whether an ELF program needs no interpreter.
func isStatic(program []byte) bool {
	f, err := elf.NewFile(bytes.NewReader(program))
	return err == nil && !slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}

// modules adds modules with all that they need and a modules.dep for modprobe,
// and returns the paths of those named in load, in an order in which they can be
// loaded. A name may carry parameters after a blank ("softdog soft_margin=3"); one
// that starts with ? is left out when the kernel does not have it.
func (im *image) modules(k Kernel, mods *modules, load, present []string) ([]wire.Module, error) {
	params := map[string]string{}
	var names []string
	for _, entry := range slices.Concat(load, present) {
		name, args, _ := strings.Cut(entry, " ")
		name, optional := strings.CutPrefix(name, "?")
		if _, err := mods.closure(name); err != nil {
			if optional && errors.Is(err, ErrNoModule) {
				name = ""
			} else {
				return nil, err
			}
		}
		names = append(names, name)
		params[moduleName(name)] = args
	}
	existing := func(list []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(n string) bool { return n == "" })
	}
	all, err := mods.closure(existing(names)...)
	if err != nil {
		return nil, err
	}
	wanted, err := mods.closure(existing(names[:len(load)])...)
	if err != nil {
		return nil, err
	}
	dir := "/lib/modules/" + k.Release
	var dep strings.Builder
	for _, mod := range all {
		im.file(dir+"/"+mod.name+".ko", mod.data, 0o644)
		fmt.Fprintf(&dep, "%s.ko:", mod.name)
		// modprobe wants all that is needed, the direct needs first and theirs after them.
		needs, err := mods.closure(mod.name)
		if err != nil {
			return nil, err
		}
		for _, need := range slices.Backward(needs[:len(needs)-1]) {
			fmt.Fprintf(&dep, " %s.ko", need.name)
		}
		dep.WriteString("\n")
	}
	im.file(dir+"/modules.dep", []byte(dep.String()), 0o644)
	var order []wire.Module
	for _, mod := range wanted {
		order = append(order, wire.Module{Path: dir + "/" + mod.name + ".ko", Params: params[mod.name]})
	}
	return order, nil
}

// config adds the file that tells init what to do.
func (im *image) config(c wire.Config) error {
	text, err := json.MarshalIndent(c, "", "\t")
	if err != nil {
		return err
	}
	im.file(wire.ConfigPath, text, 0o644)
	return nil
}
