package drivers_test

import (
	"testing"

	"shisa/ci/vm"
	"shisa/ci/vm/vmtest"
)

// TestInGuests boots each kernel with a watchdog chip and a BMC and runs the
// tests on real devices there.
func TestInGuests(t *testing.T) {
	vmtest.InGuests(t, vmtest.Guest{Machine: vm.Machine{Watchdog: true, BMC: true}, Present: []string{"softdog", "ipmi_watchdog"},
		Run: []string{"^TestOn"}})
}
