package client

import (
	"errors"
	"fmt"
	"testing"

	godbus "github.com/godbus/dbus/v5"

	"shisa/ctl/api"
)

// TestDenied: that somebody may not is told apart from every other error of
// systemd, which stays as it is.
func TestDenied(t *testing.T) {
	for name, want := range map[string]api.ErrorCode{
		"org.freedesktop.DBus.Error.AccessDenied":                     api.Forbidden,
		"org.freedesktop.DBus.Error.InteractiveAuthorizationRequired": api.Forbidden,
		"org.freedesktop.systemd1.NoSuchUnit":                         "",
	} {
		err := fmt.Errorf("start x: %w", godbus.Error{Name: name, Body: []any{"so it is"}})
		var e *api.Error
		switch got := denied(err); {
		case errors.As(got, &e) != (want != ""), want != "" && e.Code != want, want == "" && !errors.Is(got, err):
			t.Errorf("%s: %v", name, got)
		}
	}
}
