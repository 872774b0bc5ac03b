package none_test

import (
	"testing"
	"time"

	"shisa/ctl/keepalive"
	"shisa/ctl/keepalive/drivers/none"
	"shisa/ctl/keepalive/keepalivetest"
)

func TestConform(t *testing.T) {
	keepalivetest.Conform(t, keepalivetest.Case{
		New:     func(*testing.T) keepalive.Engine { return none.New() },
		Request: keepalive.Request{Timeout: 90 * time.Second, Action: keepalive.None},
	})
}
