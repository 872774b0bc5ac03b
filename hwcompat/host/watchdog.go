package host

import (
	"io/fs"
	"os"
	"path"
	"strings"
)

// legacyDrivers register /dev/watchdog as a misc device of their own, outside
// the watchdog core, so that no other driver can have that name beside them.
var legacyDrivers = []string{"ipmi_watchdog", "i8xx_tco", "i810_tco"}

func (v *view) watchdogs(all []Process, mods Modules) []Watchdog {
	var dogs []Watchdog
	for _, n := range v.list("sys/class/watchdog") {
		dir := path.Join("sys/class/watchdog", n)
		w := Watchdog{
			Name:       n,
			Identity:   v.text(path.Join(dir, "identity")),
			Driver:     v.driver(dir),
			Module:     v.linked(path.Join(dir, "device/driver/module")),
			State:      v.text(path.Join(dir, "state")),
			Timeout:    v.number(path.Join(dir, "timeout")),
			NoWayOut:   v.text(path.Join(dir, "nowayout")) == "1",
			BootStatus: v.number(path.Join(dir, "bootstatus")),
		}
		names := []string{"/dev/" + n}
		if n == "watchdog0" {
			names = append(names, "/dev/watchdog") // the core's old name of the first one
		}
		w.Holders = holders(all, names...)
		dogs = append(dogs, w)
	}
	if driver := v.legacy(mods); driver != "" {
		dogs = append(dogs, Watchdog{
			Name: "watchdog", Driver: driver, Legacy: true,
			Holders: holders(all, "/dev/watchdog"),
		})
	}
	return dogs
}

// driver names who drives a device of class watchdog. A device without a
// parent (softdog) has no driver link; its identity tells.
func (v *view) driver(dir string) string {
	if d := v.linked(path.Join(dir, "device/driver")); d != "" {
		return d
	}
	if v.text(path.Join(dir, "identity")) == "Software Watchdog" {
		return "softdog"
	}
	return ""
}

// legacy names the driver of a /dev/watchdog outside the core, or "".
func (v *view) legacy(mods Modules) string {
	for _, d := range legacyDrivers {
		if mods.State(d) == Loaded {
			return d
		}
	}
	if v.exists("sys/class/misc/watchdog") && len(v.list("sys/class/watchdog")) == 0 {
		return "unknown"
	}
	return ""
}

func (v *view) bmc() BMC {
	b := BMC{
		Firmware: v.exists("sys/firmware/dmi/entries/38-0"),
		Vendor:   v.text("sys/class/dmi/id/sys_vendor"),
		Product:  v.text("sys/class/dmi/id/product_name"),
	}
	for _, n := range []string{"dev/ipmi0", "dev/ipmi/0", "dev/ipmidev/0"} {
		if v.exists(n) {
			b.Devices = append(b.Devices, "/"+n)
		}
	}
	return b
}

// vmVendors maps what SMBIOS shows of a guest to the name of the hypervisor,
// as systemd-detect-virt(1) has it.
var vmVendors = []struct{ text, vm string }{
	{"QEMU", "kvm"}, {"KVM", "kvm"}, {"Red Hat", "kvm"}, {"OpenStack", "kvm"},
	{"VMware", "vmware"}, {"VirtualBox", "virtualbox"}, {"innotek", "virtualbox"},
	{"Xen", "xen"}, {"HVM domU", "xen"}, {"Microsoft Corporation Virtual Machine", "hyperv"},
	{"Amazon EC2", "amazon"}, {"Google Compute Engine", "google"}, {"Parallels", "parallels"},
	{"Bochs", "bochs"}, {"BHYVE", "bhyve"}, {"Nutanix", "nutanix"},
}

func (v *view) virtual(b BMC) Virtual {
	return Virtual{Container: v.container(), VM: v.vm(b)}
}

// container asks the files that the container managers leave. The environment
// of process 1 names the manager (systemd.io/CONTAINER_INTERFACE).
func (v *view) container() string {
	if c := v.text("run/systemd/container"); c != "" {
		return c
	}
	for env := range strings.SplitSeq(string(v.read("proc/1/environ")), "\x00") {
		if c, ok := strings.CutPrefix(env, "container="); ok && c != "" {
			return c
		}
	}
	// These two files also stay behind in an image that was made into the disk
	// of a machine, where kthreadd is process 2 as on any machine. It is also in a
	// container that shares the processes of its host, but process 1 has another
	// root there.
	inside := v.text("proc/2/comm") != "kthreadd" || v.otherRoot()
	switch {
	case inside && v.exists("run/.containerenv"):
		return "podman"
	case inside && v.exists(".dockerenv"):
		return "docker"
	case v.exists("proc/vz") && !v.exists("proc/bc"):
		return "openvz"
	}
	return ""
}

// otherRoot reports whether process 1 is known to have another root than we.
func (v *view) otherRoot() bool {
	first, err1 := fs.Stat(v.fsys, "proc/1/root")
	own, err2 := fs.Stat(v.fsys, ".")
	return err1 == nil && err2 == nil && !os.SameFile(first, own)
}

// Container returns what kind of container the system whose root is fsys is; empty:
// it is a machine.
func Container(fsys fs.FS) string {
	v := view{fsys: fsys, unread: map[string]string{}}
	return v.container()
}

func (v *view) vm(b BMC) string {
	dmi := strings.Join([]string{
		b.Vendor, b.Product, v.text("sys/class/dmi/id/board_vendor"), v.text("sys/class/dmi/id/bios_vendor"),
	}, " ")
	for _, h := range vmVendors {
		if strings.Contains(dmi, h.text) {
			// Amazon sells whole machines too; those say so in the product.
			if h.vm == "amazon" && strings.Contains(b.Product, ".metal") {
				return ""
			}
			return h.vm
		}
	}
	if h := v.text("sys/hypervisor/type"); h != "" {
		return h
	}
	for _, line := range v.lines("proc/cpuinfo") {
		if flags, ok := strings.CutPrefix(line, "flags"); ok {
			if strings.Contains(flags+" ", " hypervisor ") {
				return "unnamed hypervisor"
			}
			return ""
		}
	}
	return ""
}
