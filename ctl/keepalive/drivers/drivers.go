// Package drivers knows every keepalive driver by name.
package drivers

import (
	"fmt"
	"slices"
	"strings"

	"shisa/ctl/keepalive"
	"shisa/ctl/keepalive/drivers/clpka"
	"shisa/ctl/keepalive/drivers/ipmi"
	"shisa/ctl/keepalive/drivers/ipmi/ipmiutil"
	"shisa/ctl/keepalive/drivers/none"
	"shisa/ctl/keepalive/drivers/wdt"
)

// open makes the engine of a device. It neither arms nor opens the device.
var open = map[string]func(device string) keepalive.Engine{
	none.Name:     func(string) keepalive.Engine { return none.New() },
	clpka.Name:    func(device string) keepalive.Engine { return clpka.Open("/", device) },
	wdt.Name:      func(device string) keepalive.Engine { return wdt.Open("/", device) },
	ipmi.Name:     func(device string) keepalive.Engine { return ipmi.Open(device) },
	ipmiutil.Name: func(program string) keepalive.Engine { return ipmiutil.Open(program) },
}

// Open returns the engine that driver makes of device; that of ipmiutil takes the
// path of the program instead. It touches no device. The only error is a driver
// that there is not.
func Open(driver, device string) (keepalive.Engine, error) {
	f := open[driver]
	if f == nil {
		return nil, fmt.Errorf("no keepalive driver %q; there are: %s", driver, strings.Join(Names(), ", "))
	}
	return f(device), nil
}

// Names returns the names of all drivers in alphabetical order.
func Names() []string {
	var names []string
	for name := range open {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
