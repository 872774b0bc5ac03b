package exits

import (
	"os/exec"
	"testing"
	"time"
)

// TestOnly: with an Interest the deaths that somebody waits for are told at once,
// and the others with them, or when they have become many.
func TestOnly(t *testing.T) {
	kernel := openKernel(t)
	only, err := kernel.Only()
	if kernel.loaded.Map("ignored") == nil {
		t.Skip("no ring buffer in this kernel: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	c := watch(t, kernel)
	end := func(cmd *exec.Cmd) int {
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait() // it was killed
		return cmd.Process.Pid
	}
	heard := func(pid int) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.got[pid]) > 0
	}

	ignored, waited, twice := waiting(t), waiting(t), waiting(t)
	only.Set(waited.Process.Pid, true)
	only.Set(twice.Process.Pid, true)
	only.Set(twice.Process.Pid, true)
	only.Set(twice.Process.Pid, false)

	gone := end(ignored)
	time.Sleep(300 * time.Millisecond) // long enough for a reader that was woken
	// One that was awake, because it had only just begun, proves nothing.
	for n := 0; heard(gone); n++ {
		if n == 5 {
			t.Fatal("the death of an ignored process woke the reader")
		}
		gone = end(waiting(t))
		time.Sleep(300 * time.Millisecond)
	}
	c.await(t, end(waited))
	if !heard(gone) {
		t.Error("a death before that was not handed over with it")
	}
	c.await(t, end(twice)) // once less is still waited for

	var first int
	for n := range 2000 { // each leaves two records; an eighth of the buffer holds some 450
		cmd := self("0")
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			first = cmd.Process.Pid
		}
		if heard(first) {
			break
		}
	}
	c.await(t, first)

	if err := only.Close(); err != nil {
		t.Fatal(err)
	}
	c.await(t, end(waiting(t)))
	only.Set(1, true) // of no use any more, and no harm
	if n, err := kernel.Counters(); err != nil || n.Lost != 0 {
		t.Errorf("%d records were lost, error %v", n.Lost, err)
	}
}
