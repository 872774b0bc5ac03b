package client

import (
	"context"
	"net/url"

	"shisa/ctl/api"
)

// Stretch multiplies the timeouts of all probes for a while.
func (c *Client) Stretch(ctx context.Context, s api.StretchCommand) (api.Result, error) {
	return post[api.Result](ctx, c, "/v1/stretch", s)
}

// Note writes an event in the operator's own words.
func (c *Client) Note(ctx context.Context, n api.NoteCommand) (api.Result, error) {
	return post[api.Result](ctx, c, "/v1/notes", n)
}

// Script runs a script beside the configuration and waits for its end.
func (c *Client) Script(ctx context.Context, s api.ScriptCommand) (api.ScriptResult, error) {
	return post[api.ScriptResult](ctx, c, "/v1/scripts/"+url.PathEscape(s.Name)+"/run", s)
}

// Stop stops every group and the daemon.
func (c *Client) Stop(ctx context.Context, s api.StopCommand) (api.Result, error) {
	return post[api.Result](ctx, c, "/v1/stop", s)
}

// Trace measures for a while how long tasks wait for a CPU.
func (c *Client) Trace(ctx context.Context, t api.TraceCommand) (api.Trace, error) {
	return post[api.Trace](ctx, c, "/v1/trace", t)
}

// Speed sets the clock of the processors, or tells it.
func (c *Client) Speed(ctx context.Context, s api.SpeedCommand) (api.Result, error) {
	return post[api.Result](ctx, c, "/v1/speed", s)
}
