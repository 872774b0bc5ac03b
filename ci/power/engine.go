package power

import (
	"slices"
	"time"
)

// An Engine is one countdown that can reset the guest.
type Engine struct {
	Name    string
	Modules []string // loaded before each case, for the daemon
	Method  string   // keepalive.method
	Device  string   // keepalive.device; empty: found by the daemon
	Seen    string   // what the hypervisor sees when it fires
	Source  string   // folder of the module's source code, which is built for the kernel; empty: the kernel has it

	// Early is how much earlier it may fire than another: when pings go through threads
	// of the kernel, the last one before the strike may be the last that arrives.
	Early time.Duration

	// GoesOn: it does not stop when the machine is reset by something else, a panic
	// for one, and resets it once more. A real machine's firmware stops its BMC's
	// timer (IPMI 2.0, 27); the emulated machine has no such firmware.
	GoesOn bool

	// Quick says on which kernels it is part of the quick set; nil: on all.
	Quick func(kernel string) bool

	// The engine's own proof, without the daemon, goes through the watchdog device.
	FeedModules []string
	FeedDevice  string
}

// Engines is the table of engines.
var Engines = []Engine{
	{
		Name: "softdog", Method: "softdog", Seen: "RESET",
		Modules: []string{"softdog"}, FeedModules: []string{"softdog"}, FeedDevice: "/dev/watchdog0",
	},
	{
		Name: "i6300esb", Method: "wdt", Device: "/dev/watchdog0", Seen: "WATCHDOG,RESET",
		Modules: []string{"i6300esb"}, FeedModules: []string{"i6300esb"}, FeedDevice: "/dev/watchdog0",
	},
	{
		// Its driver is outside the watchdog core and takes /dev/watchdog itself
		// (drivers/char/ipmi/ipmi_watchdog.c). The daemon talks to /dev/ipmi0.
		Name: "bmc", Method: "ipmi", Seen: "RESET", GoesOn: true, Early: time.Second,
		FeedModules: []string{"ipmi_watchdog"}, FeedDevice: "/dev/watchdog",
	},
	{
		// Our own. Building it for each kernel takes longer than the quick set may.
		Name: "clpka", Method: "clpka", Seen: "RESET", Source: "kmod",
		Modules: []string{"clpka"}, FeedModules: []string{"clpka"}, FeedDevice: "/dev/clpka",
		Quick: func(kernel string) bool { return kernel == "6.1" },
	},
}

// engineModules returns what the image has to hold for engines that the kernel
// has modules for, and for those of ours that were built.
func engineModules(built map[string]string) []string {
	var list []string
	for _, e := range Engines {
		if e.Source == "" || built[e.Name] != "" {
			list = slices.Concat(list, e.Modules, e.FeedModules)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
