package protect_test

import (
	"testing"

	"shisa/ctl/event"
	"shisa/ctl/protect"
)

// A keeper of another version is to go on as the installed program. Here that is
// the same one again: it holds on to its countdown all the same, is announced, and
// is not asked again.
func TestKeeperOfAnotherVersion(t *testing.T) {
	b := newBench(t)
	b.Configure(t.Context(), model(), "")
	pid := b.View().Protection.Keeper.PID
	b.told()

	b.options.Version = "other"
	b.Protect = protect.New(b.options)
	b.Configure(t.Context(), model(), "")
	if k := b.View().Protection.Keeper; k.PID != pid || k.Version != "test" {
		t.Errorf("the keeper is process %d of version %s, it was %d", k.PID, k.Version, pid)
	}
	if told := b.told(); len(told) == 0 || told[0] != string(event.KeeperOutdated.Code) {
		t.Errorf("told %q", told)
	}
	if p := b.View().Protection.Primary; p == nil || !p.Armed {
		t.Error("the countdown is not armed any more")
	}
	b.Configure(t.Context(), model(), "")
	b.wantTold("again")
}
