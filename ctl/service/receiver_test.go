package service

import (
	"strings"
	"testing"

	"shisa/ctl/monitor/types/message"
)

// shisad starts itself as the process that reads traps.
func TestReceiverOfTraps(t *testing.T) {
	var out, errOut strings.Builder
	if status := Main("test", []string{message.ReceiverArg, "nobody"}, &out, &errOut); status != 2 || !strings.Contains(errOut.String(), "nobody") {
		t.Errorf("status %d, %q", status, errOut.String())
	}
}
