package client

import (
	"context"

	"shisa/ctl/api"
)

// Notify tells monitors of type message of a failure, or that one is over.
func (c *Client) Notify(ctx context.Context, n api.NotifyCommand) (api.Result, error) {
	return post[api.Result](ctx, c, "/v1/notify", n)
}
