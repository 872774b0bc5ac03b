package main

import (
	"context"
	"fmt"
	"time"

	"shisa/ctl/config"
	"shisa/ctl/keepalive"
	choice "shisa/ctl/keepalive/choose"
)

// choose prints what the daemon would choose on this machine, "PRIMARY BACKSTOP", and
// on lines of their own why anything else was not.
func choose([]string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	k := config.Keepalive{Method: "auto", Action: keepalive.Reset, Backstop: "auto", BackstopAction: keepalive.Reset,
		Margin: 30 * time.Second, Pretimeout: keepalive.NoPretimeout, LoadModule: true}
	r, err := choice.Choose(ctx, k, config.Stall{Enabled: true, Interval: 3 * time.Second, Timeout: 90 * time.Second}, choice.Machine{})
	if err != nil {
		return err
	}
	name := func(c *choice.Choice) string {
		if c == nil {
			return "none"
		}
		return c.Info.Device
	}
	fmt.Println(name(r.Primary), name(r.Backstop))
	for _, c := range r.Candidates {
		fmt.Println(c.Role, c.Method, c.Why)
	}
	return nil
}
