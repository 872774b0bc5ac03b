package flight

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var start = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func add(t *testing.T, r *Recorder, entries ...Entry) {
	t.Helper()
	for _, e := range entries {
		if err := r.Add(e); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRecorderIsBounded(t *testing.T) {
	r := Recorder{Bytes: 2000}
	for i := range 1000 {
		add(t, &r, Entry{At: start.Add(time.Duration(i)), Kind: Exit, Subject: fmt.Sprint(i)})
	}
	got := r.Entries()
	if len(got) == 0 || len(got) > 40 || got[len(got)-1].Subject != "999" {
		t.Errorf("keeps %d, the last %+v", len(got), got[len(got)-1:])
	}
	if int(r.Dropped())+len(got) != 1000 {
		t.Errorf("dropped %d and kept %d", r.Dropped(), len(got))
	}
	if n := len(r.Snapshot()); n > 2000+len(magic)+frameHeader*len(got) {
		t.Errorf("a snapshot of %d bytes", n)
	}
}

func TestRecorderForgetsTheOld(t *testing.T) {
	r := Recorder{Age: time.Minute}
	add(t, &r, Entry{At: start, Kind: Exit, Subject: "old"}, Entry{At: start.Add(2 * time.Minute), Kind: Exit, Subject: "new"})
	if got := r.Entries(); len(got) != 1 || got[0].Subject != "new" {
		t.Errorf("got %+v", got)
	}
}

func TestSameEvidenceIsRenewed(t *testing.T) {
	var r Recorder
	for i := range 30 {
		add(t, &r, Entry{At: start.Add(time.Duration(i) * time.Second), Kind: Blocked, Subject: "cp", For: time.Duration(10+i) * time.Second})
	}
	// Another stall of the same task, later, is another entry.
	add(t, &r, Entry{At: start.Add(time.Minute), Kind: Blocked, Subject: "cp", For: 10 * time.Second})
	got := r.Entries()
	if len(got) != 2 || got[0].For != 39*time.Second || got[0].Again != 29 || !got[0].At.Equal(start) {
		t.Errorf("got %+v", got)
	}
}

func TestTooLongIsRefused(t *testing.T) {
	var r Recorder
	if err := r.Add(Entry{At: start, Detail: strings.Repeat("x", maxEntry)}); err == nil {
		t.Error("accepted")
	}
}

func TestSnapshot(t *testing.T) {
	var r Recorder
	want := []Entry{
		{At: start, Kind: HungIO, Subject: "sda", For: 3 * time.Second, Detail: "read of sector 8"},
		{At: start.Add(time.Second), Kind: Blocked, Subject: "cp[7]", Cgroup: "/system.slice/x.service", Stack: []string{"schedule+0x1", "vfs_read+0x2"}},
	}
	add(t, &r, want...)
	snapshot := r.Snapshot()
	got, err := Decode(snapshot)
	if err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("%v: %s", err, cmp.Diff(want, got))
	}
	for name, damaged := range map[string][]byte{
		"torn":    snapshot[:len(snapshot)-3],
		"altered": append(append([]byte{}, snapshot[:len(snapshot)-3]...), "xxx"...),
		"header":  append(append([]byte{}, snapshot...), 1, 2, 3),
	} {
		got, err := Decode(damaged)
		least := 1
		if name == "header" {
			least = 2
		}
		if !errors.Is(err, ErrDamaged) || len(got) != least {
			t.Errorf("%s: got %d entries, %v", name, len(got), err)
		}
	}
	if _, err := Decode([]byte("another file")); !errors.Is(err, ErrDamaged) {
		t.Errorf("another file: %v", err)
	}
}

func TestSuspects(t *testing.T) {
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	disk := Entry{At: at(0), Kind: HungIO, Subject: "sda", For: 20 * time.Second}
	blocked := Entry{At: at(2), Kind: Blocked, Subject: "mysqld[300]", For: 18 * time.Second,
		Stack: []string{"__schedule+0x1", "io_schedule+0x2", "jbd2_log_wait_commit+0x3"}}
	hog := Entry{At: at(1), Kind: Hog, Subject: "burn[9]", For: 15 * time.Second}
	starved := Entry{At: at(5), Kind: Starved, Subject: "sshd[2]", For: 10 * time.Second}
	beat := Entry{At: at(20), Kind: MissedBeat, Subject: "scheduler", For: 5 * time.Second}
	for name, c := range map[string]struct {
		entries []Entry
		want    string // first suspect
	}{
		"a disk blocks a task": {[]Entry{blocked, disk, beat}, "sda: finishes no request for 20s; 1 more with it"},
		"a task by itself":     {[]Entry{blocked, beat}, "mysqld[300]: blocked in the kernel for 18s in jbd2_log_wait_commit"},
		"a hog starves":        {[]Entry{starved, hog, beat}, "burn[9]: takes a CPU for itself for 15s; 1 more with it"},
		"nothing":              {[]Entry{beat}, ""},
		"long ago":             {[]Entry{{At: at(-600), Kind: HungIO, Subject: "old", For: time.Second}, starved}, "sshd[2]: gets no CPU for 10s"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if s := Suspects(c.entries, at(21), time.Minute); len(s) > 0 {
				got = s[0].String()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	var r Recorder
	_ = r.Add(Entry{At: start, Kind: HungIO, Subject: "sda"})
	f.Add(r.Snapshot())
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := Decode(data)
		if err == nil && len(entries)*frameHeader > len(data) {
			t.Errorf("%d entries from %d bytes", len(entries), len(data))
		}
	})
}
