package beat_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/beat"
)

func TestNowIsTheKernelsMonotonicClock(t *testing.T) {
	var before, after unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &before); err != nil {
		t.Fatal(err)
	}
	now := beat.Now()
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &after); err != nil {
		t.Fatal(err)
	}
	// The anchor is at most one preemption off; what matters are milliseconds.
	const slack = beat.Time(50 * time.Millisecond)
	if now < beat.Time(before.Nano())-slack || now > beat.Time(after.Nano())+slack {
		t.Errorf("Now() = %d, kernel says %d to %d", now, before.Nano(), after.Nano())
	}
}

func TestKeeperSeesDaemonsBeats(t *testing.T) {
	path := filepath.Join(t.TempDir(), "beats")
	daemon, err := beat.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer daemon.Close()
	keeper, err := beat.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer keeper.Close()

	s, err := daemon.Slot("scheduler", 90*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	s.Beat()
	s.Beat()
	var r beat.Reading
	if !keeper.Read(0, &r) {
		t.Fatal("the keeper does not see the slot")
	}
	if r.Name() != "scheduler" || r.Count != 2 || r.Limit != 90*time.Second || r.Last != s.Last() {
		t.Errorf("the keeper reads %s %+v", r.Name(), r)
	}
	keeper.Saw(0, 5*time.Second)
	keeper.Saw(0, 2*time.Second)
	if s.Largest() != 5*time.Second || keeper.Keeper().MaxSlot.Load() != 1 {
		t.Errorf("largest delay %v of slot+1 %d, want 5s of 1", s.Largest(), keeper.Keeper().MaxSlot.Load())
	}
	if keeper.PID() != os.Getpid() {
		t.Errorf("PID = %d, want %d", keeper.PID(), os.Getpid())
	}
	s.Release()
	if keeper.Read(0, &r) {
		t.Error("a released slot is still read")
	}
}

func TestSlotLimits(t *testing.T) {
	p := beat.New(nil)
	for i := range beat.MaxSlots {
		if _, err := p.Slot(fmt.Sprint("s", i), time.Second); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		limit time.Duration
		want  string
	}{
		{"", time.Second, "1 to 24 bytes"},
		{strings.Repeat("x", beat.NameLimit+1), time.Second, "1 to 24 bytes"},
		{"zero", 0, "must be positive"},
		{"s3", time.Second, "in use"},
		{"more", time.Second, "all 60 slots are in use"},
	} {
		if _, err := p.Slot(c.name, c.limit); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Slot(%q, %v) = %v, want %q", c.name, c.limit, err, c.want)
		}
	}
	var r beat.Reading
	if p.Read(-1, &r) || p.Read(beat.MaxSlots, &r) || p.Name(beat.MaxSlots) != "" {
		t.Error("an index outside the page was read")
	}
}

func TestCreateKeepsInodeAndProgress(t *testing.T) {
	path := filepath.Join(t.TempDir(), "beats")
	first, err := beat.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	keeper, err := beat.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer keeper.Close()
	s, err := first.Slot("loop", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	s.Beat()
	last := s.Last()
	first.Close()

	second, err := beat.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	var r beat.Reading
	if keeper.Read(0, &r) {
		t.Error("the slot of the previous daemon is still in use")
	}
	if keeper.Epoch() != 2 {
		t.Errorf("the keeper's mapping has epoch %d, want 2: it is another file", keeper.Epoch())
	}
	if _, err := second.Slot("loop", time.Second); err != nil {
		t.Fatal(err)
	}
	if got := keeper.Progress(); got != last {
		t.Errorf("progress = %d, want the last real beat %d: neither a start nor a slot is progress", got, last)
	}
}

func TestHostileFiles(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	p, err := beat.Create(good)
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	valid, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	change := func(off int, b byte) []byte {
		c := append([]byte(nil), valid...)
		c[off] = b
		return c
	}
	for name, content := range map[string][]byte{
		"empty":       nil,
		"short":       valid[:beat.Size-1],
		"long":        append(append([]byte(nil), valid...), 0),
		"wrong magic": change(0, 'X'),
		"new version": change(8, 9),
		"slot size":   change(12, 1),
		"slot count":  change(16, 255),
		"zeros":       make([]byte, beat.Size),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "beats")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := beat.Open(path); !errors.Is(err, beat.ErrInvalid) {
				t.Errorf("Open = %v, want ErrInvalid", err)
			}
			p, err := beat.Create(path)
			if err != nil {
				t.Fatalf("Create does not replace it: %v", err)
			}
			p.Close()
		})
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(good, link); err != nil {
		t.Fatal(err)
	}
	if _, err := beat.Open(link); err == nil {
		t.Error("a symbolic link was followed")
	}
}

func TestIntactNoticesTruncation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "beats")
	p, err := beat.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if !p.Intact() {
		t.Fatal("a whole page is not intact")
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if p.Intact() {
		t.Error("a truncated page is intact")
	}
}

func TestBeatAllocatesNothing(t *testing.T) {
	p := beat.New(nil)
	s, err := p.Slot("loop", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var r beat.Reading
	if n := testing.AllocsPerRun(100, func() { s.Beat(); p.Read(0, &r); p.Saw(0, 1); p.Progress() }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// FuzzOpen maps arbitrary pages behind a valid header and reads all of them.
func FuzzOpen(f *testing.F) {
	f.Add([]byte{1}, 300)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 256)
	path := filepath.Join(f.TempDir(), "beats")
	p, err := beat.Create(path)
	if err != nil {
		f.Fatal(err)
	}
	p.Close()
	valid, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, patch []byte, off int) {
		c := append([]byte(nil), valid...)
		if off >= 0 && off < len(c) {
			copy(c[off:], patch)
		}
		file := filepath.Join(t.TempDir(), "beats")
		if err := os.WriteFile(file, c, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := beat.Open(file)
		if err != nil {
			return
		}
		defer p.Close()
		var r beat.Reading
		for i := range beat.MaxSlots {
			if p.Read(i, &r) && strings.ContainsFunc(r.Name(), func(c rune) bool { return c < ' ' || c > '~' }) {
				t.Errorf("slot %d has an unprintable name %q", i, r.Name())
			}
		}
		if p.Progress() > beat.Now() {
			t.Error("progress lies in the future")
		}
	})
}

func BenchmarkBeat(b *testing.B) {
	s, err := beat.New(nil).Slot("loop", time.Second)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s.Beat()
	}
}
