package bpftest

import (
	"testing"
	"time"

	"shisa/bpf/beats"
	"shisa/ctl/beat"
)

// TestPageOfBeats: the witness in the kernel and the keeper must read the same
// page, although neither imports the other.
func TestPageOfBeats(t *testing.T) {
	for name, pair := range map[string][2]int{
		"size":      {beats.Size, beat.Size},
		"slot size": {beats.SlotSize, beat.SlotSize},
		"slots":     {beats.Slots, beat.MaxSlots},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: the witness has %d, the page %d", name, pair[0], pair[1])
		}
	}
	if beats.Period > 20*time.Millisecond {
		t.Error("a miss is to be noticed within 20 ms")
	}
}
