package blockio

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shisa/bpf/trial"
)

func open(t *testing.T, limit time.Duration) *Witness {
	t.Helper()
	k, err := trial.Open()
	if errors.Is(err, trial.ErrPrivilege) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	w, err := Load(k, limit)
	for _, c := range w.Choices() {
		t.Log(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// TestQuickRequestsAreSeenAndForgotten writes a file for real.
func TestQuickRequestsAreSeenAndForgotten(t *testing.T) {
	w := open(t, 30*time.Second)
	if completions() == 0 {
		t.Skip("no disk with a request queue")
	}
	if err := w.Alive(); err != nil {
		t.Error(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before := completions()
	if _, err := f.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if completions() == before {
		t.Skip("the file is on no disk with a request queue")
	}
	if n, err := w.Counters(); err != nil || n.Seen == 0 || n.Lost != 0 {
		t.Errorf("got %+v, %v", n, err)
	}
	if err := w.Alive(); err != nil {
		t.Error(err)
	}
	if late, err := w.Scan(); err != nil || len(late) != 0 {
		t.Errorf("got %+v, %v", late, err)
	}
}

// TestHungRequestIsFound reads from a disk that takes 5 s for each request.
func TestHungRequestIsFound(t *testing.T) {
	if os.Getenv("SHISA_GUEST") == "" {
		t.Skip("needs a disk that hangs: null_blk in a guest")
	}
	if out, err := exec.Command("modprobe", "null_blk", "irqmode=2", "completion_nsec=5000000000", "nr_devices=1", "gb=1").CombinedOutput(); err != nil {
		t.Skipf("no null_blk here: %v: %s", err, out)
	}
	w := open(t, time.Second)
	done := make(chan error, 1)
	go func() {
		fd, err := unix.Open("/dev/nullb0", unix.O_RDONLY|unix.O_DIRECT, 0)
		if err == nil {
			region, _ := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
			_, err = unix.Pread(fd, region, 8*512)
		}
		done <- err
	}()
	var late []Request
	for deadline := time.Now().Add(20 * time.Second); len(late) == 0; time.Sleep(50 * time.Millisecond) {
		var err error
		if late, err = w.Scan(); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("the hung request was not found")
		}
	}
	r := late[0]
	t.Logf("%+v", r)
	if r.Disk != "nullb0" || !r.Hung || r.Op != Read || r.Age < time.Second || r.Bytes == 0 {
		t.Errorf("got %+v", r)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if late, err := w.Scan(); err != nil || len(late) != 0 {
		t.Errorf("after its end: %+v, %v", late, err)
	}
}

func TestIdle(t *testing.T) {
	for text, want := range map[string]bool{
		"       0        0\n": true,
		"       1        0\n": false,
		"       0        3\n": false,
		"":                    false,
	} {
		if got := idle(text); got != want {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func TestFinishedIn(t *testing.T) {
	if got := finishedIn("  10 0 80 5 20 1 160 9 0 10 14\n"); got != 30 {
		t.Errorf("got %d", got)
	}
	if got := finishedIn("10 0"); got != 0 {
		t.Errorf("a cut line: got %d", got)
	}
}
