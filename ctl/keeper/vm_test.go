package keeper_test

import (
	"testing"

	"shisa/ci/vm"
	"shisa/ci/vm/vmtest"
)

// TestInGuests boots each kernel with a BMC and runs the tests of a keeper that
// holds real countdowns there, each with a keeper of its own.
func TestInGuests(t *testing.T) {
	vmtest.InGuests(t, vmtest.Guest{Machine: vm.Machine{BMC: true}, Present: []string{"softdog"}, Run: []string{
		"^TestOnDevicesKeeperIsRealTimeAndSmall$", "^TestOnDevicesUpgradeLeavesNoGap$", "^TestOnDevicesDeathLeavesTheCountdown$",
		"^TestLastWords$", "^TestMeasuringProcess$",
	}})
}
