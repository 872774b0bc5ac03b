package guard

import (
	"time"

	"shisa/ctl/beat"
)

// rest gives the engine what is left of the countdown of a shutdown as its timeout.
// The kernel pings a watchdog once more when it is closed without the magic letter
// (watchdog_release in drivers/watchdog/watchdog_dev.c, 3.1 and later), and the
// countdown would begin anew when systemd terminates the keeper.
func (p *post) rest(now beat.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hold > now {
		return // more is left than the device can count
	}
	ask := p.guard.Request
	ask.Timeout = max(p.last.Add(p.granted.Timeout).Sub(now), time.Second)
	if ask.Before >= ask.Timeout {
		ask.Pretimeout, ask.Before = "", 0
	}
	granted, err := p.engine.Arm(ask)
	p.failed(err)
	if err == nil {
		p.granted = granted
		p.pinged(now)
	}
}
