package wdt

import (
	"fmt"

	"shisa/ctl/keepalive"
)

// The watchdog API has no call for what happens when a device fires. Hardware
// resets; softdog restarts at once unless a module parameter says otherwise,
// and we load it with those parameters off. Only ipmi_watchdog lets one choose,
// by parameters that it takes over when they are written
// (drivers/char/ipmi/ipmi_watchdog.c, set_param_str).
var (
	bmcActions = map[keepalive.Action]string{
		keepalive.None:       "none",
		keepalive.Reset:      "reset",
		keepalive.PowerOff:   "power_off",
		keepalive.PowerCycle: "power_cycle",
	}
	bmcPretimeouts = map[keepalive.Pretimeout]string{
		keepalive.NoPretimeout: "pre_none",
		keepalive.SMI:          "pre_smi",
		keepalive.NMI:          "pre_nmi",
		keepalive.Messaging:    "pre_int",
	}
)

func (e *Engine) actions() []keepalive.Action {
	if e.node.Module != "ipmi_watchdog" {
		return []keepalive.Action{keepalive.Reset}
	}
	return []keepalive.Action{keepalive.None, keepalive.Reset, keepalive.PowerOff, keepalive.PowerCycle}
}

func (e *Engine) pretimeouts() []keepalive.Pretimeout {
	switch {
	case e.node.Module == "ipmi_watchdog":
		return []keepalive.Pretimeout{keepalive.SMI, keepalive.NMI, keepalive.Messaging}
	case e.node.Pretimeout && e.node.Hardware():
		return []keepalive.Pretimeout{keepalive.NMI}
	case e.node.Pretimeout:
		return []keepalive.Pretimeout{keepalive.Messaging}
	}
	return nil
}

// configure chooses what the device does, where it can be chosen.
func (e *Engine) configure(r keepalive.Request) error {
	if e.node.Module != "ipmi_watchdog" {
		return nil
	}
	pre := r.Pretimeout
	if pre == "" {
		pre = keepalive.NoPretimeout
	}
	if err := writeParam(e.root, "ipmi_watchdog", "action", bmcActions[r.Action]); err != nil {
		return fmt.Errorf("choose action %s: %w", r.Action, err)
	}
	if err := writeParam(e.root, "ipmi_watchdog", "preaction", bmcPretimeouts[pre]); err != nil {
		return fmt.Errorf("choose pretimeout %s: %w", pre, err)
	}
	return nil
}
