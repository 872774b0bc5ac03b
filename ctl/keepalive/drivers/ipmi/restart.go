package ipmi

// A RestartCause says why the chassis was restarted last, IPMI 2.0 28.11.
type RestartCause byte

// Causes of a restart. Some say only how the power came back.
const (
	RestartUnknown       RestartCause = 0
	RestartByCommand     RestartCause = 1 // chassis control, over the network or from this machine
	RestartByResetButton RestartCause = 2
	RestartByPowerButton RestartCause = 3 // the machine was off
	RestartByWatchdog    RestartCause = 4
	RestartACAlways      RestartCause = 6 // power came back: policy "always on"
	RestartACPrevious    RestartCause = 7 // power came back: policy "as before"
	RestartSoft          RestartCause = 10
)

var restartTexts = map[RestartCause]string{
	RestartByCommand: "chassis control command", RestartByResetButton: "reset button", RestartByPowerButton: "switched on by the power button",
	RestartByWatchdog: "watchdog", 5: "OEM", RestartACAlways: "AC power came back", RestartACPrevious: "AC power came back",
	8: "reset by an event filter", 9: "power cycle by an event filter", RestartSoft: "soft reset", 11: "switched on by the clock",
}

// String returns the cause in words, "unknown" for what has none.
func (c RestartCause) String() string {
	if text, ok := restartTexts[c]; ok {
		return text
	}
	return "unknown"
}

// RestartCause asks why the chassis was restarted last. A reset that the BMC
// had no part in may leave the cause of an earlier restart there.
func (b *BMC) RestartCause() (RestartCause, error) {
	r, err := b.command("get system restart cause", netChassis, cmdRestartCause, nil, 1)
	if err != nil {
		return RestartUnknown, err
	}
	return RestartCause(r[0] & 0x0f), nil
}
