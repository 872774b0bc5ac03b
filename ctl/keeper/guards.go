package keeper

import "shisa/ctl/keepalive/choose"

// Guards turns what was chosen into what the keeper is ordered to hold.
func Guards(r choose.Result) []Guard {
	var guards []Guard
	for _, c := range r.Choices() {
		guards = append(guards, Guard{Role: c.Role, Driver: c.Info.Driver, Device: c.Info.Device, Request: c.Request, Margin: c.Margin})
	}
	return guards
}
