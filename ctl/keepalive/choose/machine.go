package choose

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"shisa/ctl/keepalive"
	"shisa/ctl/keepalive/drivers"
	"shisa/ctl/keepalive/drivers/clpka"
	"shisa/ctl/keepalive/drivers/wdt"
)

// A Machine is where countdowns are looked for. The zero Machine is this one.
type Machine struct {
	Root   string // of the file system; empty: /
	Keeper int    // process id of our keeper: a device that it holds is ours; 0: it does not run
	DryRun bool   // load no module, only say that one would be loaded

	Release string // of the kernel; empty: the running one
	Fired   bool   // our own records say that a countdown ended the last boot

	// Load loads a kernel module with parameters. Nil: [Load].
	Load func(ctx context.Context, root, module string, params ...string) error

	// Insert loads one module file, compressed or not. Nil: init_module(2).
	Insert func(file, params string) error

	// BMC asks the BMC behind device what it is. Nil: the driver does.
	BMC func(device string) (identity string, err error)

	// Open makes the engine of a device. Nil: [drivers.Open].
	Open func(driver, device string) (keepalive.Engine, error)
}

func (m Machine) complete() Machine {
	if m.Root == "" {
		m.Root = "/"
	}
	if m.Load == nil {
		m.Load = Load
	}
	if m.Insert == nil {
		m.Insert = insertFile
	}
	var name unix.Utsname
	if m.Release == "" && unix.Uname(&name) == nil {
		m.Release = unix.ByteSliceToString(name.Release[:])
	}
	return m
}

func (m Machine) open(driver, device string) (keepalive.Engine, error) {
	switch {
	case m.Open != nil:
		return m.Open(driver, device)
	case driver == wdt.Name:
		return wdt.Open(m.Root, device), nil
	}
	return drivers.Open(driver, device)
}

func (m Machine) exists(path string) bool {
	_, err := os.Stat(filepath.Join(m.Root, path))
	return err == nil
}

// loaded reports whether module is in the kernel, built in or loaded.
func (m Machine) loaded(module string) bool { return m.exists("sys/module/" + module) }

// A Holder is a process that has a device open.
type Holder struct {
	PID  int
	Comm string
}

// HolderOf returns the process that has one of the paths open, found by
// walking /proc. Without the right to look at a process it is passed over.
func HolderOf(root string, paths ...string) (Holder, bool) {
	links, err := filepath.Glob(filepath.Join(root, "proc/[0-9]*/fd/*"))
	if err != nil {
		return Holder{}, false
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || !slices.Contains(paths, target) {
			continue
		}
		dir := filepath.Dir(filepath.Dir(link))
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		comm, err := os.ReadFile(filepath.Join(dir, "comm"))
		if err != nil {
			comm = []byte("?")
		}
		return Holder{pid, string(bytes.TrimSpace(comm))}, true
	}
	return Holder{}, false
}

// free returns an error when a process other than our keeper holds the node.
func (m Machine) free(n wdt.Node) error {
	h, ok := HolderOf(m.Root, append([]string{n.Device}, n.Aliases...)...)
	switch {
	case !ok || h.PID == m.Keeper && h.PID != 0:
		return nil
	case h.PID == 1 || h.Comm == "systemd":
		return fmt.Errorf("%w: systemd (process %d) pings it itself: set RuntimeWatchdogSec=0 in /etc/systemd/system.conf and run systemctl daemon-reexec to hand it over", keepalive.ErrBusy, h.PID)
	}
	return fmt.Errorf("%w: %s (process %d) has %s open", keepalive.ErrBusy, h.Comm, h.PID, n.Device)
}

// A find is a countdown that may exist.
type find struct {
	driver   string
	device   string
	identity string
	claims   []string // what nobody else may use at the same time
	note     string   // why it was chosen, if it is
	err      error    // why it cannot be used
}

// bmc is what everything that drives the BMC's one watchdog timer claims.
const bmc = "the BMC's timer"

// find lists the countdowns that method means, best first; never none.
func (c *chooser) find(method string, w wish) []find {
	switch method {
	case clpka.Name:
		return []find{c.clpka()}
	case "softdog":
		return []find{c.softdog()}
	case "wdt":
		return c.chips(w)
	case "ipmi":
		return []find{c.ipmi(w)}
	case "ipmiutil":
		return []find{c.ipmiutil(w)}
	}
	return []find{{driver: method, err: fmt.Errorf("unknown method")}}
}

// clpkaDevice is the device of our own kernel module.
const clpkaDevice = "/dev/clpka"

func (c *chooser) clpka() find {
	const device = clpkaDevice
	f := find{driver: clpka.Name, device: device, claims: []string{device}}
	if !c.machine.exists(device) {
		if f.err = c.loadOwn(); f.err != nil {
			return f
		}
		f.note = "module loaded"
	}
	if !c.machine.exists(device) {
		f.err = fmt.Errorf("%w: the module made no %s", keepalive.ErrAbsent, device)
		return f
	}
	f.err = c.machine.free(wdt.Node{Device: device})
	return f
}

func (c *chooser) softdog() find {
	f := find{driver: wdt.Name, identity: wdt.SoftdogIdentity}
	n, ok := c.node(func(n wdt.Node) bool { return !n.Hardware() })
	if !ok {
		// Parameters of our own outweigh those in modprobe.d: one that only
		// logs, panics or cannot be stopped would not be what is armed.
		if f.err = c.load("softdog", "soft_noboot=0", "soft_panic=0", "nowayout=0"); f.err != nil {
			return f
		}
		f.note = "module loaded"
		if n, ok = c.node(func(n wdt.Node) bool { return !n.Hardware() }); !ok {
			f.err = fmt.Errorf("%w: the module made no device", keepalive.ErrAbsent)
			return f
		}
	}
	f.device, f.claims = n.Device, claims(n)
	f.err = c.machine.free(n)
	return f
}

// load loads a module if the configuration lets us.
func (c *chooser) load(module string, params ...string) error {
	switch {
	case c.machine.loaded(module):
		return fmt.Errorf("%w: module %s is there, its device is not", keepalive.ErrAbsent, module)
	case !c.keepalive.LoadModule:
		return fmt.Errorf("%w: module %s is not loaded and load_module is false", keepalive.ErrAbsent, module)
	case c.machine.DryRun:
		if _, err := Dependencies(c.machine.Root, c.machine.Release, module); errors.Is(err, ErrNoModule) {
			return fmt.Errorf("%w: this kernel has no module %s", keepalive.ErrAbsent, module)
		}
		return fmt.Errorf("%w: module %s would be loaded first", keepalive.ErrAbsent, module)
	}
	if err := c.machine.Load(c.ctx, c.machine.Root, module, params...); err != nil {
		return fmt.Errorf("%w: %w", keepalive.ErrAbsent, err)
	}
	return nil
}

func (c *chooser) node(want func(wdt.Node) bool) (wdt.Node, bool) {
	nodes, err := wdt.List(c.machine.Root)
	if err != nil {
		return wdt.Node{}, false
	}
	i := slices.IndexFunc(nodes, want)
	if i < 0 {
		return wdt.Node{}, false
	}
	return nodes[i], true
}

// chips lists what speaks the watchdog API: the named device, or all hardware.
func (c *chooser) chips(w wish) []find {
	nodes, err := wdt.List(c.machine.Root)
	if err != nil {
		return []find{{driver: wdt.Name, err: err}}
	}
	if w.device != "" {
		n, ok := wdt.Lookup(c.machine.Root, w.device)
		if !ok {
			return []find{{driver: wdt.Name, device: w.device, err: fmt.Errorf("%w: no watchdog device %s", keepalive.ErrAbsent, w.device)}}
		}
		nodes = []wdt.Node{n}
	} else {
		nodes = slices.DeleteFunc(nodes, func(n wdt.Node) bool { return !n.Hardware() })
	}
	if len(nodes) == 0 {
		return []find{{driver: wdt.Name, err: fmt.Errorf("%w: no hardware watchdog device", keepalive.ErrAbsent)}}
	}
	var finds []find
	for _, n := range nodes {
		finds = append(finds, find{driver: wdt.Name, device: n.Device, identity: n.Identity, claims: claims(n), err: c.machine.free(n)})
	}
	return finds
}

func claims(n wdt.Node) []string {
	if n.Module == "ipmi_watchdog" {
		return []string{n.Device, bmc}
	}
	return []string{n.Device}
}

// ipmiDevices are the names that the kernel's ipmi_devintf and old udev rules use.
var ipmiDevices = []string{"/dev/ipmi0", "/dev/ipmi/0", "/dev/ipmidev/0"}

func (c *chooser) ipmi(w wish) find {
	f := find{driver: "ipmi", device: w.device, claims: []string{bmc}}
	if f.device == "" {
		if f.device = c.ipmiDevice(); f.device == "" {
			f.err = fmt.Errorf("%w: no %s (ipmi_devintf and ipmi_si make it when there is a BMC)", keepalive.ErrAbsent, ipmiDevices[0])
			return f
		}
	}
	if n, ok := c.node(func(n wdt.Node) bool { return n.Module == "ipmi_watchdog" }); ok {
		if err := c.machine.free(n); err != nil {
			f.err = fmt.Errorf("the kernel's ipmi_watchdog drives the same timer: %w", err)
			return f
		}
	}
	if c.machine.BMC != nil {
		f.identity, f.err = c.machine.BMC(f.device)
	}
	return f
}

// ipmiDevice returns the first device of a BMC; "": none. When the firmware
// lists a BMC (DMI type 38) and no driver is loaded, it loads the drivers.
func (c *chooser) ipmiDevice() string {
	for attempt := range 2 {
		for _, d := range ipmiDevices {
			if c.machine.exists(d) {
				return d
			}
		}
		if attempt == 0 && c.machine.exists("sys/firmware/dmi/entries/38-0") {
			if c.load("ipmi_si") != nil || c.load("ipmi_devintf") != nil {
				return ""
			}
		}
	}
	return ""
}

// ipmiPrograms drive the BMC when the native way does not work.
var ipmiPrograms = []string{
	"/usr/sbin/ipmiutil", "/usr/bin/ipmiutil", "/usr/local/sbin/ipmiutil",
	"/usr/bin/ipmitool", "/usr/sbin/ipmitool", "/usr/local/bin/ipmitool",
}

func (c *chooser) ipmiutil(w wish) find {
	f := find{driver: "ipmiutil", device: w.device, claims: []string{bmc}}
	if f.device == "" {
		i := slices.IndexFunc(ipmiPrograms, c.machine.exists)
		if i < 0 {
			f.err = fmt.Errorf("%w: neither ipmiutil nor ipmitool is installed", keepalive.ErrAbsent)
			return f
		}
		f.device = ipmiPrograms[i]
	}
	if strings.HasSuffix(f.device, "ipmitool") && c.ipmiDevice() == "" {
		f.err = fmt.Errorf("%w: ipmitool needs %s", keepalive.ErrAbsent, ipmiDevices[0])
	}
	return f
}
