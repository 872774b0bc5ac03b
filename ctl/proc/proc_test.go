package proc

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestHidden: a process that /proc does not show is not gone.
func TestHidden(t *testing.T) {
	self, err := Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var unable error
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with its mounts
		for _, err := range []error{
			unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("none", root, "tmpfs", 0, ""),
		} {
			if err != nil {
				unable = err
				return
			}
		}
		if _, err := List(); !errors.Is(err, ErrHidden) {
			t.Errorf("list: %v, want %v", err, ErrHidden)
		}
		if _, err := Read(self.PID); !errors.Is(err, ErrHidden) {
			t.Errorf("read: %v, want %v", err, ErrHidden)
		}
		if alive, err := self.Lives(); alive || !errors.Is(err, ErrHidden) || !self.Alive() {
			t.Errorf("lives %v (%v), alive %v", alive, err, self.Alive())
		}
	}()
	if <-done; unable != nil {
		t.Skipf("no mounts of our own: %v", unable)
	}
}

func TestParseStat(t *testing.T) {
	rest := " S 1 20 30 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 4711 0 0 18446744073709551615 0\n"
	for _, tt := range []struct {
		name string
		line string
		want Stat
	}{
		{"plain", "42 (sshd)" + rest, Stat{ID{42, 4711}, "sshd", 'S', 1, 20, 30, 11, 9}},
		{"parentheses", "42 (a) S 1 (b))" + rest, Stat{ID{42, 4711}, "a) S 1 (b)", 'S', 1, 20, 30, 11, 9}},
		{"line feed", "42 (a\nb)" + rest, Stat{ID{42, 4711}, "a\nb", 'S', 1, 20, 30, 11, 9}},
		{"no name", "42 ()" + rest, Stat{ID{42, 4711}, "", 'S', 1, 20, 30, 11, 9}},
		{"no text", "42 (\xff\xfe)" + rest, Stat{ID{42, 4711}, "\xff\xfe", 'S', 1, 20, 30, 11, 9}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseStat([]byte(tt.line))
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
	for _, bad := range []string{"", "42", "()", "42 (x", "42 (x) S", "x (x)" + rest, "42 (x) S 1 y" + rest} {
		if s, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("accepted %q as %+v", bad, s)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("42 (a) S 1 (b)) S 1 20 30 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 4711 0 0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseStat(b)
		if err != nil && s.Start != 0 && !errors.Is(err, errStat) {
			t.Fatalf("unknown error %v", err)
		}
		if err == nil && !bytes.Contains(b, []byte("("+s.Comm+")")) {
			t.Fatalf("invented the name %q", s.Comm)
		}
	})
}

func TestSelf(t *testing.T) {
	s, err := Read(os.Getpid())
	if err != nil || s.PID != os.Getpid() || s.Parent != os.Getppid() || s.Start == 0 || s.Ended() || !s.Alive() {
		t.Errorf("got %+v, %v", s, err)
	}
	all, err := List()
	if err != nil || !slices.ContainsFunc(all, func(o Stat) bool { return o.ID == s.ID }) {
		t.Errorf("we are not in the list: %v", err)
	}
	if _, err := Read(1 << 30); !errors.Is(err, ErrGone) {
		t.Errorf("impossible process: got %v", err)
	}
}

// Fix 59 of the original: a process name of 1024 bytes or more on the host
// ended the process monitor.
func TestFix059LongNames(t *testing.T) {
	for _, tt := range []struct {
		name string
		arg0 string
		want func(string) bool
	}{
		{"1023 bytes", strings.Repeat("x", 1023), func(s string) bool { return strings.HasPrefix(s, strings.Repeat("x", 1023)+" ") }},
		{"1024 bytes", strings.Repeat("x", 1024), func(s string) bool { return strings.HasPrefix(s, strings.Repeat("x", 1024)+" ") }},
		{"100 KiB", strings.Repeat("x", 100<<10), func(s string) bool { return s == strings.Repeat("x", CommandLimit) }},
		{"empty", "", func(s string) bool { return strings.HasSuffix(s, "60") }},
		{"line feeds", "a\nb) (c", func(s string) bool { return strings.HasPrefix(s, "a\nb) (c ") }},
		{"no text", "\xff\xfe\x01", func(s string) bool { return strings.HasPrefix(s, "\xff\xfe\x01 ") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := startAs(t, tt.arg0)
			got, err := Command(id.PID)
			if err != nil || !tt.want(got) {
				t.Errorf("got %.80q (%d bytes), %v", got, len(got), err)
			}
		})
	}
}

func TestSignal(t *testing.T) {
	id := startAs(t, "sleep")
	other := ID{id.PID, id.Start + 1}
	if err := Signal(other, syscall.SIGKILL); !errors.Is(err, ErrGone) {
		t.Fatalf("signalled a process by its number alone: %v", err)
	}
	if !id.Alive() || other.Alive() {
		t.Fatal("mistook one for the other")
	}
	if err := Signal(id, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wait(t, func() bool { return !id.Alive() })
	for _, id := range []ID{{PID: 0}, {PID: -1}, {PID: 1 << 30}} {
		if err := Signal(id, syscall.SIGKILL); !errors.Is(err, ErrGone) {
			t.Errorf("%v: got %v", id, err)
		}
	}
}

func TestWatch(t *testing.T) {
	w := newWatcher(t)
	id := startAs(t, "sleep")
	gone := make(chan struct{})
	if _, err := w.Watch(id, func() { close(gone) }); err != nil {
		t.Fatal(err)
	}
	stopped, err := w.Watch(id, func() { t.Error("called after stop") })
	if err != nil {
		t.Fatal(err)
	}
	stopped()
	stopped()
	if w.Len() != 1 {
		t.Errorf("%d watches, want 1", w.Len())
	}
	if err := Signal(id, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-gone
	again := false
	if _, err := w.Watch(ID{id.PID, id.Start + 1}, func() { again = true }); err != nil || !again {
		t.Errorf("a process that is gone: called %t, error %v", again, err)
	}
	if w.Len() != 0 {
		t.Errorf("%d watches are left", w.Len())
	}
}

// The kernel's own tracepoint may be faster than the pidfd; both together fire
// once, and only for those who asked for the alarm.
func TestAnnounce(t *testing.T) {
	w := newWatcher(t)
	id := startAs(t, "sleep")
	var calls atomic.Int32
	if _, err := w.Notice(id, func() { calls.Add(1) }); err != nil {
		t.Fatal(err)
	}
	really := make(chan struct{})
	if _, err := w.Watch(id, func() { close(really) }); err != nil {
		t.Fatal(err)
	}
	if stop, err := w.Notice(id, func() { t.Error("called after stop") }); err != nil {
		t.Fatal(err)
	} else {
		stop()
	}
	w.Announce(ID{id.PID, id.Start + 1})
	if calls.Load() != 0 {
		t.Fatal("fired for another process")
	}
	w.Announce(id)
	w.Announce(id)
	if calls.Load() != 1 || !w.Dying(id) || w.Dying(ID{id.PID, id.Start + 2}) {
		t.Errorf("fired %d times", calls.Load())
	}
	select {
	case <-really:
		t.Error("an announcement counts as the end")
	default:
	}
	if _, err := w.Notice(id, func() { calls.Add(1) }); err != nil || calls.Load() != 2 {
		t.Errorf("one that is dying already: %v, fired %d times", err, calls.Load())
	}
	if err := Signal(id, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-really
	if calls.Load() != 2 || w.Len() != 0 {
		t.Errorf("fired %d times, %d watches are left", calls.Load(), w.Len())
	}
	for range dyingLimit {
		w.Announce(ID{1, 1})
	}
	if w.Dying(id) {
		t.Error("remembered for ever")
	}
}

// TestFollow: a follower hears of each process with a notice once, whatever the
// number of its notices, and of no other.
func TestFollow(t *testing.T) {
	w := newWatcher(t)
	before, after, other := startAs(t, "sleep"), startAs(t, "sleep"), startAs(t, "sleep")
	notice := func(id ID) func() {
		stop, err := w.Notice(id, func() {})
		if err != nil {
			t.Fatal(err)
		}
		return stop
	}
	stop := notice(before)
	type word struct {
		pid    int
		waited bool
	}
	var heard []word
	w.Follow(func(pid int, waited bool) { heard = append(heard, word{pid, waited}) })
	first, second := notice(after), notice(after)
	end, err := w.Watch(other, func() {})
	if err != nil {
		t.Fatal(err)
	}
	end()
	first()
	stop()
	stop()
	w.Announce(after)
	second()
	want := []word{{before.PID, true}, {after.PID, true}, {before.PID, false}, {after.PID, false}}
	if !slices.Equal(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
	w.Follow(nil)
	notice(before)
	if len(heard) != len(want) {
		t.Error("heard something afterwards")
	}
}

func TestWatchMany(t *testing.T) {
	w := newWatcher(t)
	const watches = 1000
	id := startAs(t, "sleep")
	var wg sync.WaitGroup
	wg.Add(watches)
	for range watches {
		if _, err := w.Watch(id, wg.Done); err != nil {
			t.Fatal(err)
		}
	}
	if err := Signal(id, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
}

func BenchmarkRead(b *testing.B) {
	for b.Loop() {
		if _, err := Read(os.Getpid()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkList(b *testing.B) {
	for b.Loop() {
		if _, err := List(); err != nil {
			b.Fatal(err)
		}
	}
}

func newWatcher(t *testing.T) *Watcher {
	t.Helper()
	w, err := NewWatcher()
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

// startAs starts a process that sleeps under the given name until the test ends.
func startAs(t *testing.T, arg0 string) ID {
	t.Helper()
	c := exec.Command("/bin/sleep")
	c.Args = []string{arg0, "60"}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	id, err := Identify(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	// Start returns in the middle of execve(2), before the arguments are in place.
	wait(t, func() bool { line, err := Command(id.PID); return line != "" || err != nil })
	return id
}

func wait(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited too long")
		}
	}
}
