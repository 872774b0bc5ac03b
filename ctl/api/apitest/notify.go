package apitest

import (
	"context"

	"shisa/ctl/api"
)

// Notify implements api.Backend; the monitor "alarm" takes the category "disk".
func (f *Fake) Notify(_ context.Context, c api.NotifyCommand) (api.Result, error) {
	if err := c.Check(); err != nil {
		return api.Result{}, err
	}
	if c.Monitor != "alarm" && c.Category != "disk" {
		return api.Result{}, api.Errorf(api.NotFound, "no monitor of type message takes it").
			Try("compare category and keyword with the configuration: shisa config show")
	}
	return api.Result{Text: "Handed to alarm."}, nil
}
