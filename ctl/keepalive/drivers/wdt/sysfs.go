package wdt

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Identities under which drivers of interest report themselves.
const (
	SoftdogIdentity = "Software Watchdog" // drivers/watchdog/softdog.c
	IPMIIdentity    = "IPMI"              // drivers/char/ipmi/ipmi_watchdog.c
)

// A Node is what the file system tells of one watchdog device. It is gathered
// without opening the device, because on most drivers opening it starts the
// countdown.
type Node struct {
	Name       string // "watchdog0"
	Device     string // "/dev/watchdog0"
	Dev        string // "246:0"; for a device outside the watchdog core "10:130"
	Identity   string
	Module     string // that drives it; empty: unknown
	Timeout    time.Duration
	MinTimeout time.Duration // 0: unknown
	MaxTimeout time.Duration // 0: unknown
	Active     bool          // counts down
	NoWayOut   bool
	Pretimeout bool   // has one
	BootStatus uint32 // WDIOF_ bits: why the machine was reset last; only some drivers tell
	Core       bool   // registered with the kernel's watchdog core (linux/watchdog.h)
	Aliases    []string
}

// Hardware reports whether n goes on counting when the kernel is dead.
func (n Node) Hardware() bool { return n.Identity != SoftdogIdentity && n.Module != "softdog" }

// List returns the watchdog devices below root ("/", or a fixture), in order
// of their numbers. Kernel 5.10 and later show every attribute that is read
// (drivers/watchdog/watchdog_dev.c, CONFIG_WATCHDOG_SYSFS); where one is
// missing its value is zero.
func List(root string) ([]Node, error) {
	dir := filepath.Join(root, "sys/class/watchdog")
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	var nodes []Node
	first := false // whether /dev/watchdog is watchdog0's
	for _, e := range entries {
		n := core(dir, e.Name())
		if e.Name() == "watchdog0" {
			first = true
			n.Aliases = []string{"/dev/watchdog"}
		}
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b Node) int { return number(a.Name) - number(b.Name) })
	if _, err := os.Stat(filepath.Join(root, "dev/watchdog")); err == nil && !first {
		// The core gives /dev/watchdog to watchdog0 and to no other. Without
		// one a driver outside the core owns it: then watchdog0 is not given away.
		nodes = append(nodes, outside(root))
	}
	return nodes, nil
}

// Lookup returns the node of device, which may be a path under /dev that is
// another name of it ("/dev/watchdog" for "/dev/watchdog0", a symbolic link).
func Lookup(root, device string) (Node, bool) {
	nodes, err := List(root)
	if err != nil {
		return Node{}, false
	}
	if target, err := os.Readlink(filepath.Join(root, device)); err == nil {
		device = filepath.Join("/dev", filepath.Base(target))
	}
	for _, n := range nodes {
		if n.Device == device || slices.Contains(n.Aliases, device) {
			return n, true
		}
	}
	return Node{}, false
}

func core(dir, name string) Node {
	at := filepath.Join(dir, name)
	n := Node{
		Name:       name,
		Device:     "/dev/" + name,
		Dev:        text(at, "dev"),
		Identity:   text(at, "identity"),
		Timeout:    seconds(at, "timeout"),
		MinTimeout: seconds(at, "min_timeout"),
		MaxTimeout: seconds(at, "max_timeout"),
		Active:     text(at, "state") == "active",
		NoWayOut:   text(at, "nowayout") == "1",
		Core:       true,
	}
	bits, _ := strconv.ParseUint(text(at, "bootstatus"), 10, 32) // 0 when missing
	n.BootStatus = uint32(bits)
	_, err := os.Stat(filepath.Join(at, "pretimeout"))
	n.Pretimeout = err == nil
	if link, err := os.Readlink(filepath.Join(at, "device/driver")); err == nil {
		n.Module = filepath.Base(link)
	} else if n.Identity == SoftdogIdentity {
		n.Module = "softdog"
	}
	return n
}

// outside describes /dev/watchdog when its driver does not use the core. The
// only such driver that is still met is ipmi_watchdog.
func outside(root string) Node {
	n := Node{Name: "watchdog", Device: "/dev/watchdog", Dev: "10:130"}
	params := filepath.Join(root, "sys/module/ipmi_watchdog/parameters")
	if _, err := os.Stat(filepath.Dir(params)); err == nil {
		n.Identity, n.Module = IPMIIdentity, "ipmi_watchdog"
		n.Timeout = seconds(params, "timeout")
		n.NoWayOut = text(params, "nowayout") == "Y"
		n.MinTimeout, n.MaxTimeout = time.Second, 6553*time.Second // IPMI 2.0 27.6: 16 bit of 100 ms
		n.Pretimeout = true
	}
	return n
}

func text(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func seconds(dir, name string) time.Duration {
	n, err := strconv.Atoi(text(dir, name))
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(n) * time.Second
}

func number(name string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(name, "watchdog")) // not a number sorts first
	return n
}
