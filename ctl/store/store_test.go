package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"shisa/ctl/event"
)

func openStore(t *testing.T, dir string, o Options) *Store {
	t.Helper()
	if o.Stamp == nil {
		o.Stamp = clock("a")
	}
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(context.Background()) }) //nolint:errcheck // twice at times
	return s
}

func closeStore(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// happened makes the n-th event as the daemon does.
func happened(s *Store, n int) event.Event {
	d := event.MonitorFailed
	if n%2 == 1 {
		d = event.MonitorRecovery
	}
	e := d.New(fmt.Sprintf("monitor/m%d", n%3), "detail", fmt.Sprint("probe ", n))
	e.Seq, e.Time, e.Uptime, e.Boot = s.NextSeq(), start.Add(time.Duration(n)*time.Minute), time.Duration(n)*time.Minute, "a"
	s.AppendEvent(e)
	return e
}

func query(t *testing.T, s *Store, q event.Query) []event.Event {
	t.Helper()
	events, err := s.Query(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func seqs(events []event.Event) []uint64 {
	var n []uint64
	for _, e := range events {
		n = append(n, e.Seq)
	}
	return n
}

func TestStoreSurvivesReopening(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	if err := s.Started(t.Context(), Started{Version: "1"}); err != nil {
		t.Fatal(err)
	}
	id, err := s.Intend(t.Context(), Intent{Action: "reboot", Reason: "r"})
	if err != nil || id != 1 {
		t.Fatal(id, err)
	}
	if err := errors.Join(s.Conclude(t.Context(), id, "failed: no"), s.Save(t.Context(), "decide", 7),
		s.Armed(t.Context(), Armed{Reason: "start"}), s.Leaving(t.Context(), Leaving{How: "stop"})); err != nil {
		t.Fatal(err)
	}
	want := happened(s, 0)
	closeStore(t, s)

	s = openStore(t, dir, Options{Stamp: clock("b")})
	state := s.State()
	var n int
	if !state.Cell("decide", &n) || n != 7 || state.Current.Intents[0].Outcome != "failed: no" {
		t.Errorf("%+v", state)
	}
	if id, err := s.Intend(t.Context(), Intent{Action: "reset"}); err != nil || id != 2 {
		t.Errorf("intent %d, %v; want 2", id, err)
	}
	if diff := cmp.Diff([]event.Event{want}, query(t, s, event.Query{})); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if next := s.NextSeq(); next != want.Seq+1 {
		t.Errorf("sequence number %d after %d and an orderly end", next, want.Seq)
	}
}

func TestStoreSequenceNeverRepeats(t *testing.T) {
	dir := t.TempDir()
	last := uint64(0)
	for range 3 {
		s := openStore(t, dir, Options{})
		for range sequenceBlock {
			n := s.NextSeq()
			if n <= last {
				t.Fatalf("%d after %d", n, last)
			}
			last = n
		}
		// Killed: the journal has what was reserved, the history is lost.
		s.stop()
		s.wg.Wait()
		if err := errors.Join(s.lock.Close(), os.Remove(filepath.Join(dir, databaseName))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStoreIsUsedByOne(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	if _, err := Open(dir, Options{Stamp: clock("a")}); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
	closeStore(t, s)
	openStore(t, dir, Options{})
}

func TestStoreQuery(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	for n := range 12 {
		happened(s, n)
	}
	tests := []struct {
		name string
		q    event.Query
		want []uint64
	}{
		{"all", event.Query{}, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
		{"the latest", event.Query{Limit: 2}, []uint64{11, 12}},
		{"after", event.Query{After: 10}, []uint64{11, 12}},
		{"since", event.Query{Since: start.Add(10 * time.Minute)}, []uint64{11, 12}},
		{"severity", event.Query{Severity: event.Error, Limit: 2}, []uint64{9, 11}},
		{"codes", event.Query{Codes: []string{"monitor-recovered", "x"}, Limit: 2}, []uint64{10, 12}},
		{"subject", event.Query{Subjects: []string{"monitor/m0"}}, []uint64{1, 4, 7, 10}},
		{"subjects", event.Query{Subjects: []string{"monitor/m0", "monitor/m1"}, Limit: 3}, []uint64{8, 10, 11}},
		{"kind of subject", event.Query{Subjects: []string{"monitor"}, Limit: 1}, []uint64{12}},
		{"nothing", event.Query{Subjects: []string{"mon"}}, nil},
		{"hostile", event.Query{Subjects: []string{"' OR 1=1 --"}, Codes: []string{"';DROP TABLE events;--"}}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := query(t, s, test.q)
			if diff := cmp.Diff(test.want, seqs(got)); diff != "" {
				t.Error(diff)
			}
			for _, e := range got {
				if !test.q.Matches(e) {
					t.Errorf("event %d found, but Query.Matches disagrees", e.Seq)
				}
			}
		})
	}
}

func TestStoreVerdicts(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	for n := range 5 {
		s.AppendVerdict(VerdictChange{Time: start, Monitor: "web", From: "ok", To: "failed", Detail: fmt.Sprint(n), Took: time.Second})
	}
	got, err := s.Verdicts(t.Context(), "web", 2)
	if err != nil || len(got) != 2 || got[1].Detail != "4" || got[0].Took != time.Second {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestHistoryStaysSmall(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, Options{HistorySize: 1 << 20})
	text := strings.Repeat("x", 1000)
	for n := range 4000 {
		s.AppendEvent(event.Event{Seq: s.NextSeq(), Code: "x", Text: text, Time: start})
		if n%1000 == 0 {
			query(t, s, event.Query{Limit: 1}) // let the queue run empty
		}
	}
	got := query(t, s, event.Query{Limit: event.MaxEvents})
	if len(got) == 0 || got[len(got)-1].Seq != 4000 {
		t.Fatalf("%d events, the latest is lost", len(got))
	}
	if h := s.Health(); h.HistoryError != nil || h.HistoryBytes > 1<<20 || h.HistoryBytes < 1<<19 {
		t.Errorf("%+v", h)
	}
	closeStore(t, s)
	if info, err := os.Stat(filepath.Join(dir, databaseName)); err != nil || info.Size() > 2<<20 {
		t.Errorf("%v bytes on disk, %v", info.Size(), err)
	}
}

func TestHistoryCorruptIsBegunAnew(t *testing.T) {
	damage := map[string]func(b []byte) []byte{
		"no database":   func([]byte) []byte { return []byte(strings.Repeat("this is no database ", 100)) },
		"cut":           func(b []byte) []byte { return b[:len(b)/2] },
		"other content": func(b []byte) []byte { clear(b[200:]); return b },
	}
	for name, harm := range damage {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, databaseName)
			s := openStore(t, dir, Options{})
			for n := range 100 {
				happened(s, n)
			}
			closeStore(t, s)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, harm(b), 0o600); err != nil {
				t.Fatal(err)
			}
			s = openStore(t, dir, Options{})
			e := happened(s, 100)
			// The question may be what finds the damage: ask twice.
			s.Query(t.Context(), event.Query{}) //nolint:errcheck // may be the one that finds it
			happened(s, 101)
			got := query(t, s, event.Query{Limit: 1})
			if len(got) != 1 || got[0].Seq != e.Seq+1 {
				t.Errorf("got %v", seqs(got))
			}
			if h := s.Health(); h.HistoryError != nil || h.Renewed == "" {
				t.Errorf("not reported: %+v", h)
			}
			if _, err := os.Stat(path + ".damaged"); err != nil {
				t.Errorf("not put aside: %v", err)
			}
		})
	}
}

// The files of a store that was cut off in the middle of its life, each of them ending
// anywhere: it opens, takes new events, and what it still tells is what was.
func TestStoreCutAnywhere(t *testing.T) {
	const stride = 4096/8 - 3 // hits every part of a page and of a frame of the log
	whole := map[string][]byte{}
	var before []event.Event
	{
		dir := t.TempDir()
		s := openStore(t, dir, Options{})
		for n := range 20 {
			before = append(before, happened(s, n))
		}
		query(t, s, event.Query{}) // all is written
		for _, name := range []string{databaseName, databaseName + "-wal", "journal"} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			whole[name] = b
		}
	}
	for name, b := range whole {
		for cut := 0; cut < len(b); cut += stride {
			dir := t.TempDir()
			for other, all := range whole {
				if other == name {
					all = all[:cut]
				}
				if err := os.WriteFile(filepath.Join(dir, other), all, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s := openStore(t, dir, Options{})
			happened(s, 20)
			s.Query(t.Context(), event.Query{}) //nolint:errcheck // may be the one that finds the damage
			last := happened(s, 21)
			got := query(t, s, event.Query{Limit: 100})
			if len(got) == 0 || got[len(got)-1].Seq != last.Seq {
				t.Fatalf("%s cut at %d of %d: got %v, want %d as the last", name, cut, len(b), seqs(got), last.Seq)
			}
			for _, e := range got {
				if e.Seq <= uint64(len(before)) && e.Boot == "a" && e.Subject != before[e.Seq-1].Subject && e.Seq < last.Seq-1 {
					t.Fatalf("%s cut at %d: event %d was never so: %+v", name, cut, e.Seq, e)
				}
			}
			closeStore(t, s)
		}
	}
}

func TestStoreWithoutFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, filepath.Join(file, "state"), Options{})
	if _, err := s.Intend(t.Context(), Intent{Action: "reset"}); err == nil {
		t.Error("an intent was recorded nowhere")
	}
	for n := range 3 {
		happened(s, n)
	}
	if got := query(t, s, event.Query{Limit: 2}); len(got) != 2 || got[1].Seq != 3 {
		t.Errorf("events are not kept in memory: %v", seqs(got))
	}
	if h := s.Health(); h.JournalError == nil || h.HistoryError == nil {
		t.Errorf("%+v", h)
	}
}

// TestHistoryMendsByItself: a database that could not be opened is tried again
// though nothing happens that is to be written, and has what was kept meanwhile.
func TestHistoryMendsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "state")
		if err := os.MkdirAll(filepath.Join(dir, databaseName), 0o700); err != nil { // in the way
			t.Fatal(err)
		}
		s := openStore(t, dir, Options{})
		happened(s, 1)
		time.Sleep(time.Second)
		if h := s.Health(); h.HistoryError == nil {
			t.Fatal("there is no history, and no error")
		}
		if err := os.Remove(filepath.Join(dir, databaseName)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(reopenEvery)
		synctest.Wait()
		if h := s.Health(); h.HistoryError != nil {
			t.Errorf("not mended: %v", h.HistoryError)
		}
		closeStore(t, s)
		s = openStore(t, dir, Options{})
		if got := query(t, s, event.Query{}); len(got) != 1 {
			t.Errorf("kept %v, want the one event", seqs(got))
		}
		closeStore(t, s)
	})
}

// small mounts a file system of size bytes that only this test sees.
func small(t *testing.T, size string) string {
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	dir := t.TempDir()
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Skipf("no mount namespace here: %v", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) }) //nolint:errcheck // it goes with the thread
	return dir
}

// The journal on a real file system that fills up, is made read-only, and is
// mended.
func TestJournalOnFullDisk(t *testing.T) {
	dir := small(t, "64k")
	d := &fileDisk{dir: dir, name: "journal"}
	j := journalOn(d, "a")
	write(t, j, Started{})
	full := filepath.Join(dir, "full")
	if err := os.WriteFile(full, make([]byte, 64<<10), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("not full: %v", err)
	}
	var failed error
	for n := 0; failed == nil && n < 1000; n++ {
		failed = j.write(Intent{ID: uint64(n), Action: "reboot", Reason: strings.Repeat("x", 100)})
	}
	if !errors.Is(failed, unix.ENOSPC) {
		t.Fatalf("got %v", failed)
	}
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	write(t, j, Leaving{How: "stop"})
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	ro := journalOn(&fileDisk{dir: dir, name: "journal"}, "a")
	if !errors.Is(ro.health(), unix.EROFS) || ro.damage.Any() {
		t.Errorf("health %v, damage %+v", ro.health(), ro.damage)
	}
	if diff := cmp.Diff(j.current(), ro.current()); diff != "" {
		t.Errorf("what is on disk is not what was written (-want +got):\n%s", diff)
	}
}

// TestReplace: a file is replaced whole, and a link that stands in the way of the
// new one is not followed.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "f"), filepath.Join(dir, "other")
	for name, text := range map[string]string{path: "old and long", other: "kept"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(other, path+".new"); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{path: "new", other: "kept"} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", filepath.Base(name), got, err, want)
		}
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
