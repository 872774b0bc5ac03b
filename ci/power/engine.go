package power

import "slices"

// An Engine is one countdown that can reset the guest.
type Engine struct {
	Name    string
	Modules []string // loaded before each case, for the daemon
	Method  string   // keepalive.method
	Device  string   // keepalive.device; empty: found by the daemon
	Seen    string   // what the hypervisor sees when it fires

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
		Name: "bmc", Method: "ipmi", Seen: "RESET",
		FeedModules: []string{"ipmi_watchdog"}, FeedDevice: "/dev/watchdog",
	},
}

// engineModules returns what the image has to hold for all engines.
func engineModules() []string {
	var list []string
	for _, e := range Engines {
		list = slices.Concat(list, e.Modules, e.FeedModules)
	}
	slices.Sort(list)
	return slices.Compact(list)
}
