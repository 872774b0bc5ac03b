package apitest

import (
	"context"
	"fmt"

	"shisa/ctl/api"
)

// Stretch implements api.Backend.
func (f *Fake) Stretch(_ context.Context, c api.StretchCommand) (api.Result, error) {
	return api.Result{Text: fmt.Sprintf("Timeouts of probes: × %d.", c.Ratio)}, nil
}

// Note implements api.Backend.
func (f *Fake) Note(_ context.Context, c api.NoteCommand) (api.Result, error) {
	return api.Result{Text: "Written: " + c.Text}, nil
}

// Script implements api.Backend; the script "fails" fails, and of others only
// "cleanup" is there.
func (f *Fake) Script(_ context.Context, c api.ScriptCommand) (api.ScriptResult, error) {
	switch c.Name {
	case "cleanup":
		return api.ScriptResult{Text: "cleanup exited with status 0", OK: true, Output: "cleaned\n"}, nil
	case "fails":
		return api.ScriptResult{Text: "fails exited with status 3", Status: 3}, nil
	}
	return api.ScriptResult{}, api.Errorf(api.NotFound, "there is no script %q", c.Name).Try("put it into /etc/shisa/" + api.ScriptDir)
}

// Stop implements api.Backend.
func (f *Fake) Stop(context.Context, api.StopCommand) (api.Result, error) {
	return api.Result{Text: "Groups are stopped, then shisad ends."}, nil
}

// Trace implements api.Backend: half of 1000 waits are below 2 µs, nearly all
// below 4 µs, and one is long.
func (f *Fake) Trace(_ context.Context, c api.TraceCommand) (api.Trace, error) {
	return api.Trace{ForMS: c.ForMS, Waits: []api.TraceWait{{BelowNS: 1024}, {BelowNS: 2048, Count: 500}, {BelowNS: 4096, Count: 499},
		{BelowNS: 8192}, {BelowNS: 16 << 20, Count: 1}}}, nil
}

// Speed implements api.Backend.
func (f *Fake) Speed(_ context.Context, c api.SpeedCommand) (api.Result, error) {
	if c.Mode == "" {
		c.Mode = api.SpeedAuto
	}
	return api.Result{Text: "Processor speed: " + string(c.Mode) + "."}, nil
}
