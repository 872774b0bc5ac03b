package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// memoryDisk is a disk in memory that fails on demand.
type memoryDisk struct {
	content []byte
	fail    error         // of every write
	failIn  error         // of read
	hang    chan struct{} // writes wait for it to close
	kept    int           // times that aside was called
	mu      sync.Mutex    // guards fail where a goroutine writes
}

func (d *memoryDisk) set(fail error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = fail
}

func (d *memoryDisk) read(int64) ([]byte, error) { return d.content, d.failIn }

func (d *memoryDisk) add(b []byte) error {
	if d.hang != nil {
		<-d.hang
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail == nil {
		d.content = append(d.content, b...)
	}
	return d.fail
}

func (d *memoryDisk) replace(b []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail == nil {
		d.content = bytes.Clone(b)
	}
	return d.fail
}

func (d *memoryDisk) aside() error {
	if d.fail == nil {
		d.kept++
	}
	return d.fail
}

func (d *memoryDisk) close() error { return nil }

var start = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// clock returns stamps of one boot, a second apart.
func clock(boot string) func() Stamp {
	n := 0
	return func() Stamp {
		n++
		return Stamp{Time: start.Add(time.Duration(n) * time.Second), Uptime: time.Duration(n) * time.Second, Boot: boot}
	}
}

// journalOn returns a loaded journal that writes to d without goroutine.
func journalOn(d disk, boot string) *journal {
	j := &journal{disk: d, limit: 1 << 20, stamp: clock(boot), queue: make(chan request, 1), ended: make(chan struct{})}
	j.load()
	return j
}

// aLife is what a machine records until it is reset.
func aLife() []Record {
	return []Record{
		Started{Version: "1", Mode: "protect"},
		Armed{Engines: []ArmedEngine{{Role: "primary", Driver: "wdt", Device: "/dev/watchdog0", Timeout: 90 * time.Second, Action: "reset"}}},
		Cell{Key: "decide", Value: []byte(`{"actions":1}`)},
		sequence{Next: 4096},
		Intent{ID: 1, Action: "reboot", Reason: "web does not answer", Subject: "monitor/web", By: "recovery"},
		Outcome{ID: 1, Result: "failed: exit status 1"},
		Intent{ID: 2, Action: "reset", Reason: "web does not answer", Subject: "monitor/web", By: "recovery"},
		Leaving{How: "reboot", By: "recovery", Phase: "groups stopped"},
	}
}

func write(t testing.TB, j *journal, records ...Record) {
	t.Helper()
	for _, r := range records {
		if err := j.write(r); err != nil {
			t.Fatalf("write %s: %v", r.kind(), err)
		}
	}
}

func TestJournalRemembers(t *testing.T) {
	d := &memoryDisk{}
	j := journalOn(d, "a")
	write(t, j, aLife()...)
	before := j.current()
	after := journalOn(d, "a").current()
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("state changed by reopening (-before +after):\n%s", diff)
	}
	run := after.Current
	if run.Boot != "a" || run.Armed.Engines[0].Device != "/dev/watchdog0" || run.Leaving.How != "reboot" {
		t.Errorf("lost: %+v", run)
	}
	if len(run.Intents) != 2 || run.Intents[0].Outcome != "failed: exit status 1" || run.Intents[1].Outcome != "" {
		t.Errorf("intents: %+v", run.Intents)
	}
	var v struct{ Actions int }
	if !after.Cell("decide", &v) || v.Actions != 1 || after.Cell("nothing", &v) {
		t.Errorf("cells: %s", after.Cells)
	}
}

func TestJournalNextBootBecomesPrevious(t *testing.T) {
	d := &memoryDisk{}
	write(t, journalOn(d, "a"), aLife()...)
	j := journalOn(d, "b")
	write(t, j, Started{Version: "2"})
	s := j.current()
	if s.Current.Boot != "b" || s.Previous == nil || s.Previous.Boot != "a" || s.Previous.Leaving == nil {
		t.Errorf("current %+v, previous %+v", s.Current, s.Previous)
	}
	if s.NextID != 3 || s.NextSeq != 4096 {
		t.Errorf("counters went back: %d %d", s.NextID, s.NextSeq)
	}
	// A second start in the same boot is not another boot, and not an end.
	write(t, j, Leaving{How: "stop"}, Started{Version: "2"})
	if s = j.current(); s.Previous.Boot != "a" || s.Current.Leaving != nil || s.Current.Starts != 2 {
		t.Errorf("current %+v, previous %+v", s.Current, s.Previous)
	}
	// An end that was taken back is none.
	write(t, j, Leaving{How: "reboot"}, Leaving{})
	if s = j.current(); s.Current.Leaving != nil || s.Current.LeftAt != (Stamp{}) {
		t.Errorf("taken back: %+v", s.Current)
	}
}

// TestJournalArmedBeforeTheStart: what is armed at once may be recorded before the start
// of the service is. It belongs to this boot all the same, and not to the one before.
func TestJournalArmedBeforeTheStart(t *testing.T) {
	d := &memoryDisk{}
	write(t, journalOn(d, "a"), aLife()...)
	j := journalOn(d, "b")
	write(t, j, Armed{Engines: []ArmedEngine{{Driver: "ipmi"}}}, Started{Version: "2"})
	s := j.current()
	if s.Current.Armed == nil || s.Current.Armed.Engines[0].Driver != "ipmi" || s.Current.Starts != 1 || s.Current.First.Boot != "b" {
		t.Errorf("current %+v", s.Current)
	}
	if s.Previous == nil || s.Previous.Boot != "a" || s.Previous.Armed.Engines[0].Driver != "wdt" {
		t.Errorf("previous %+v", s.Previous)
	}
}

// states returns the content of the disk and the state after each record.
func states(t testing.TB) (content []byte, ends []int, after []State) {
	d := &memoryDisk{}
	j := journalOn(d, "a")
	ends, after = []int{len(d.content)}, []State{j.current()}
	for _, r := range aLife() {
		write(t, j, r)
		ends, after = append(ends, len(d.content)), append(after, j.current())
	}
	return d.content, ends, after
}

// A write that was cut off at any byte costs the record that it was writing
// and no other.
func TestJournalCutAtEveryByte(t *testing.T) {
	content, ends, after := states(t)
	for n := range len(content) + 1 {
		j := journalOn(&memoryDisk{content: bytes.Clone(content[:n])}, "a")
		whole := -1 // the last record that is complete
		for i, end := range ends {
			if end <= n {
				whole = i
			}
		}
		want := State{}
		if whole >= 0 {
			want = after[whole]
		}
		if diff := cmp.Diff(want, j.current()); diff != "" {
			t.Fatalf("cut at %d (-want +got):\n%s", n, diff)
		}
		torn := n > 0 && (whole < 0 || ends[whole] != n)
		if j.damage.Any() != torn || j.damage.Torn != torn {
			t.Fatalf("cut at %d: damage %+v, torn %v", n, j.damage, torn)
		}
		if err := j.write(Leaving{How: "stop"}); err != nil {
			t.Fatalf("cut at %d: cannot go on: %v", n, err)
		}
	}
}

// A flipped bit costs the record that it is in and no other, and is reported.
func TestJournalBitFlips(t *testing.T) {
	content, ends, _ := states(t)
	for bit := range len(content) * 8 {
		bad := bytes.Clone(content)
		bad[bit/8] ^= 1 << (bit % 8)
		d := &memoryDisk{content: bad}
		j := journalOn(d, "a")
		if !j.damage.Any() || d.kept != 1 {
			t.Fatalf("bit %d: damage %+v not reported, or no copy kept", bit, j.damage)
		}
		// The last record but one is the intent to reset; it must survive
		// damage anywhere else. Without its Started it still counts.
		intent := len(ends) - 2
		if bit/8 >= ends[intent-1] && bit/8 < ends[intent] {
			continue
		}
		in := j.current().Current.Intents
		if len(in) == 0 || in[len(in)-1].Action != "reset" {
			t.Fatalf("bit %d: the intent is lost: %+v", bit, in)
		}
	}
}

func TestJournalGarbage(t *testing.T) {
	content, _, after := states(t)
	noise := make([]byte, 4096)
	for i := range noise {
		noise[i] = byte(rand.N(256))
	}
	for name, bad := range map[string][]byte{
		"zeros behind":        append(bytes.Clone(content), make([]byte, 4096)...),
		"noise before":        append(bytes.Clone(noise), content...),
		"noise behind":        append(bytes.Clone(content), noise...),
		"marks behind":        append(bytes.Clone(content), bytes.Repeat(mark, 100)...),
		"valid frame no json": append(bytes.Clone(content), appendFrame(nil, []byte("hello"))...),
	} {
		j := journalOn(&memoryDisk{content: bad}, "a")
		if diff := cmp.Diff(after[len(after)-1], j.current()); diff != "" || !j.damage.Any() {
			t.Errorf("%s: damage %+v (-want +got):\n%s", name, j.damage, diff)
		}
	}
}

func TestJournalKindOfTheFutureIsSkipped(t *testing.T) {
	d := &memoryDisk{content: appendFrame(nil, []byte(`{"k":"hologram","s":{"boot":"a"},"v":{}}`))}
	if j := journalOn(d, "a"); j.damage.Any() {
		t.Errorf("damage: %+v", j.damage)
	}
}

func TestJournalStaysSmall(t *testing.T) {
	d := &memoryDisk{}
	j := journalOn(d, "a")
	j.limit = 64 << 10
	write(t, j, aLife()...)
	for i := range 2000 {
		write(t, j, Intent{ID: uint64(i + 3), Action: "reboot", Reason: strings.Repeat("x", 100)})
		if len(d.content) > 64<<10+1024 {
			t.Fatalf("%d bytes after %d records", len(d.content), i)
		}
	}
	s := journalOn(d, "a").current()
	if len(s.Current.Intents) != intentLimit || s.Current.Intents[intentLimit-1].ID != 2002 || s.NextID != 2003 {
		t.Errorf("%d intents, next %d", len(s.Current.Intents), s.NextID)
	}
}

func TestJournalDiskFullIsReportedAndHeals(t *testing.T) {
	d := &memoryDisk{}
	var told []error
	j := journalOn(d, "a")
	j.changed = func(err error) { told = append(told, err) }
	write(t, j, Started{})
	d.fail = errors.New("no space left on device")
	for range 2 {
		if err := j.write(Intent{ID: 1, Action: "reset"}); err == nil {
			t.Fatal("an intent that is not on disk was accepted")
		}
	}
	if len(j.current().Current.Intents) != 2 {
		t.Error("memory does not know it either")
	}
	d.fail = nil
	write(t, j, Leaving{How: "stop"})
	if len(told) != 2 || told[0] == nil || told[1] != nil {
		t.Errorf("told %v; want one error and one all-clear", told)
	}
	if s := journalOn(d, "a").current(); len(s.Current.Intents) != 2 || s.Current.Leaving == nil {
		t.Errorf("what was kept in memory did not reach the disk: %+v", s.Current)
	}
}

func TestJournalUnreadableIsKept(t *testing.T) {
	d := &memoryDisk{failIn: errors.New("input/output error")}
	j := journalOn(d, "a")
	if j.health() == nil || d.kept != 1 {
		t.Errorf("health %v, kept %d times", j.health(), d.kept)
	}
	write(t, j, Started{})
	if j.health() != nil {
		t.Errorf("does not heal: %v", j.health())
	}
}

// A hung disk holds up neither readers nor, beyond their patience, writers.
func TestJournalHungDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &memoryDisk{}
		j := journalOn(d, "a")
		d.hang = make(chan struct{})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { j.run(ctx); close(ended) }()
		patience, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := j.record(patience, Intent{ID: 1, Action: "reset"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if len(j.current().Current.Intents) != 1 {
			t.Error("the state waits for the disk")
		}
		close(d.hang)
		stop()
		<-ended
	})
}

func TestJournalMendsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &memoryDisk{fail: errors.New("read-only file system")}
		j := journalOn(d, "a")
		healed := make(chan error, 1)
		j.changed = func(err error) { healed <- err }
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { j.run(ctx); close(ended) }()
		time.Sleep(mendEvery / 2)
		d.set(nil)
		if err := <-healed; err != nil {
			t.Error(err)
		}
		stop()
		<-ended
	})
}

func TestFileDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	d := &fileDisk{dir: dir, name: "journal"}
	j := journalOn(d, "a")
	write(t, j, aLife()...)
	want := j.current()
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(d.path()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	j = journalOn(&fileDisk{dir: dir, name: "journal"}, "a")
	if diff := cmp.Diff(want, j.current()); diff != "" {
		t.Error(diff)
	}
	if err := os.WriteFile(d.path(), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if j = journalOn(&fileDisk{dir: dir, name: "journal"}, "a"); !j.damage.Any() || j.health() != nil {
		t.Errorf("damage %+v, health %v", j.damage, j.health())
	}
	if b, err := os.ReadFile(d.path() + ".damaged"); string(b) != "garbage" {
		t.Errorf("no copy of the damaged file: %q, %v", b, err)
	}
}

func TestFileDiskInTheWay(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j := journalOn(&fileDisk{dir: filepath.Join(file, "x"), name: "journal"}, "a")
	if err := j.health(); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("health: %v", err)
	}
}

func FuzzScan(f *testing.F) {
	content, _, _ := states(f)
	f.Add(content)
	f.Add(content[:len(content)-3])
	f.Add(bytes.Repeat(mark, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &memoryDisk{content: b}
		j := journalOn(d, "b")
		if j.damage.Bytes > len(b) {
			t.Errorf("%+v of %d bytes", j.damage, len(b))
		}
		if err := j.write(Started{}); err != nil {
			t.Fatal(err)
		}
		if again := journalOn(d, "b"); again.damage.Any() {
			t.Errorf("what was mended is damaged: %+v", again.damage)
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	j := journalOn(&fileDisk{dir: b.TempDir(), name: "journal"}, "a")
	for i := range b.N {
		if err := j.write(Intent{ID: uint64(i), Action: "reboot", Reason: fmt.Sprint(i)}); err != nil {
			b.Fatal(err)
		}
	}
}
