package witness

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"shisa/ctl/beat"
)

func TestMessage(t *testing.T) {
	m := Message{Phase: Final, Slot: -1, Age: 5 * time.Second, Limit: time.Minute, Daemon: 42, Absent: true, Deadline: 77}
	b := m.Bytes()
	got, err := Parse(b[:])
	if err != nil || got != m {
		t.Errorf("%+v, %v; want %+v", got, err, m)
	}
	if _, err := Parse(b[1:]); err == nil {
		t.Error("a message that is cut was parsed")
	}
}

// full is a record with every field set and every list long.
func full() *Record {
	task := Task{PID: 12345, TID: 12346, Name: "a \"name\" \\ \x01 ü", State: "D", Policy: "fifo", Priority: 99, CPU: 77, Wait: "io_schedule", Stack: []string{"a", "b", "c", "d"}}
	r := &Record{
		Boot: "5b2b7a48-0000-4000-8000-000000000000", Time: time.Date(2026, 11, 23, 9, 0, 0, 5, time.UTC), Uptime: 5, Phase: "final", Complete: true,
		Cause: RealtimeHog, Text: "text", Beat: "loop", Age: 1, Limit: 2, Daemon: task, CPUs: 2, Load: "1 2 3",
		Pressure: []Pressure{{"cpu", 1.25, 0}, {"memory", 99.5, 1}, {"io", 0, 0}}, Memory: Memory{1, 2, 3, 4}, Tasks: 9, Cut: true,
	}
	for i := range 4 {
		r.Beats = append(r.Beats, Beat{fmt.Sprint("b", i), 1, 2, 3})
		r.Realtime = append(r.Realtime, task)
	}
	r.Blocked = append(r.Blocked, task)
	return r
}

func TestTextIsJSON(t *testing.T) {
	r := full()
	var got Record
	if err := json.Unmarshal(r.text(TextLimit), &got); err != nil {
		t.Fatalf("%v\n%s", err, r.text(TextLimit))
	}
	if !reflect.DeepEqual(&got, r) {
		t.Errorf("got  %+v\nwant %+v", &got, r)
	}
	for i := range reflect.TypeFor[Record]().NumField() {
		if f := reflect.ValueOf(*r).Field(i); f.IsZero() && i > 0 {
			t.Errorf("the test leaves %s empty", reflect.TypeFor[Record]().Field(i).Name)
		}
	}
}

func TestTextFitsItsSlot(t *testing.T) {
	r := full()
	for range 60 {
		r.Beats = append(r.Beats, Beat{strings.Repeat("b", beat.NameLimit), 1 << 60, 1 << 60, 1 << 60})
		r.Realtime = append(r.Realtime, r.Daemon)
		r.Blocked = append(r.Blocked, r.Daemon)
	}
	r.Text = strings.Repeat("ü", 5000)
	text := r.text(TextLimit)
	if len(text) > TextLimit {
		t.Fatalf("%d bytes", len(text))
	}
	var got Record
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(got.Realtime) == 0 || len(got.Beats) == 0 {
		t.Error("everything was cut")
	}
}

func TestRing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "last-words")
	for round := range 3 { // each opens the file anew
		r, err := openRing(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			if err := r.write(fmt.Appendf(nil, "%d", 5*round+i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	file, err := os.ReadFile(path)
	if err != nil || len(file) != FileSize {
		t.Fatalf("%d bytes, %v", len(file), err)
	}
	var texts []string
	for _, text := range Texts(file) {
		texts = append(texts, string(text))
	}
	if got := strings.Join(texts, " "); got != "7 8 9 10 11 12 13 14" {
		t.Errorf("texts %s", got)
	}
}

func TestTornSlotsArePassedOver(t *testing.T) {
	file := make([]byte, FileSize)
	for i := range Slots {
		seal(file[i*SlotSize:][:SlotSize], uint64(i+1), []byte("some text that is long enough to be torn"))
	}
	for at := range header + 20 {
		torn := bytes.Clone(file)
		torn[3*SlotSize+at] ^= 0x10
		if n := len(frames(torn)); n != Slots-1 {
			t.Errorf("byte %d is wrong and %d slots are whole", at, n)
		}
	}
	if n := len(frames(file[:2*SlotSize+100])); n != 2 {
		t.Errorf("of a file that is cut %d slots are read, want 2", n)
	}
}

func FuzzFrames(f *testing.F) {
	slot := make([]byte, SlotSize)
	seal(slot, 1, []byte("text"))
	f.Add(slot)
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, fr := range frames(file) {
			if len(fr.text) > TextLimit {
				t.Errorf("a text of %d bytes", len(fr.text))
			}
		}
	})
}

// stat makes a stat file with what is read of it.
func stat(pid int, name, state string, threads, priority, policy int) string {
	return fmt.Sprintf("%d (%s) %s 1 1 1 0 -1 0 0 0 0 0 11 22 0 0 20 0 %d 0 5 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 %d %d 0 0 0\n", pid, name, state, threads, priority, policy)
}

func fixture(t *testing.T, files map[string]string) *source {
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return &source{root: root}
}

const calmMemory = "MemTotal:       4000000 kB\nMemFree: 1 kB\nMemAvailable:   3000000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"

func TestCauses(t *testing.T) {
	base := map[string]string{
		"proc/loadavg":                   "0.10 0.20 0.30 1/99 100\n",
		"proc/meminfo":                   calmMemory,
		"proc/pressure/cpu":              "some avg10=1.00 avg60=0 avg300=0 total=1\n",
		"proc/pressure/memory":           "some avg10=0.00 avg60=0 avg300=0 total=1\nfull avg10=0.00 avg60=0 avg300=0 total=1\n",
		"sys/devices/system/cpu/online":  "0-1\n",
		"proc/50/stat":                   stat(50, "shisad", "S", 5, 0, 0),
		"proc/50/task/50/stat":           stat(50, "shisad", "S", 5, 0, 0),
		"proc/7/stat":                    stat(7, "a (b) c", "S", 1, 99, 1),
		"proc/irrelevant/stat":           "x",
		"proc/8/stat":                    "8 (torn) R 1",
		"proc/sys/kernel/random/boot_id": "x",
		"proc/9/stat":                    stat(9, "ordinary", "R", 1, 0, 0),
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		beat  string
		phase Phase
		cause string
		text  string
	}{
		{name: "stopped", files: map[string]string{"proc/50/stat": stat(50, "shisad", "T", 5, 0, 0)}, cause: DaemonStopped, text: "process 50"},
		{name: "gone", files: map[string]string{"proc/50/stat": ""}, cause: DaemonAbsent},
		{name: "zombie", files: map[string]string{"proc/50/stat": stat(50, "shisad", "Z", 1, 0, 0)}, cause: DaemonAbsent},
		{name: "blocked", files: map[string]string{"proc/50/stat": stat(50, "shisad", "D", 1, 0, 0), "proc/50/stack": "[<0>] nfs_wait+0x1/0x2\n[<0>] x+0x1/0x2\n"}, cause: DaemonBlocked, text: "nfs_wait"},
		{name: "hogs", files: map[string]string{"proc/60/stat": stat(60, "hog", "R", 1, 99, 1), "proc/61/stat": stat(61, "hog", "R", 1, 50, 2)}, cause: RealtimeHog, text: "hog (60, fifo 99), hog (61, rr 50)"},
		{name: "hogs are threads", files: map[string]string{"proc/60/stat": stat(60, "hog", "S", 3, 0, 0), "proc/60/task/60/stat": stat(60, "hog", "S", 3, 0, 0),
			"proc/60/task/61/stat": stat(61, "hog", "R", 3, 99, 1), "proc/60/task/62/stat": stat(62, "hog", "R", 3, 99, 1)}, cause: RealtimeHog},
		{name: "one hog of two processors", files: map[string]string{"proc/60/stat": stat(60, "hog", "R", 1, 99, 1)}, cause: DaemonHung},
		{name: "memory", files: map[string]string{"proc/meminfo": strings.Replace(calmMemory, "3000000", "30000", 1)}, cause: OutOfMemory, text: "29 of 3906 MiB"},
		{name: "memory with swap left", files: map[string]string{"proc/meminfo": "MemTotal: 4000000 kB\nMemAvailable: 100 kB\nSwapTotal: 100 kB\nSwapFree: 90 kB\n"}, cause: DaemonHung},
		{name: "thrashing", files: map[string]string{"proc/pressure/memory": "full avg10=80.00 avg60=0\n"}, cause: OutOfMemory},
		{name: "file system", beat: beat.FileCheck, files: map[string]string{"proc/70/stat": stat(70, "jbd2", "D", 1, 0, 0), "proc/70/wchan": "io_schedule"}, cause: FileSystem, text: "jbd2 (70) waits in io_schedule"},
		{name: "threads", beat: beat.ThreadCheck, cause: NoThreads},
		{name: "overload", files: map[string]string{"proc/pressure/cpu": "some avg10=97.00 avg60=0\n"}, cause: Overload, text: "97 %"},
		{name: "hung", cause: DaemonHung, text: "its loop loop does not go on"},
		{name: "keeper starved", phase: Starved, cause: RealtimeHog, text: "shisa-keeper"},
		{name: "recovered", phase: Recovered, cause: "", text: "has come back"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{}
			for _, m := range []map[string]string{base, c.files} {
				for k, v := range m {
					files[k] = v
				}
			}
			s := fixture(t, files)
			r := &Record{Phase: Final.String(), Beat: "loop"}
			if c.beat != "" {
				r.Beat = c.beat
			}
			if c.phase != 0 {
				r.Phase = c.phase.String()
			}
			s.quick(r, 50)
			s.tasks(r, nil, func() bool { return false })
			r.judge()
			if r.Cause != c.cause || !strings.Contains(r.Text, c.text) {
				t.Errorf("cause %q (%s), want %q with %q", r.Cause, r.Text, c.cause, c.text)
			}
		})
	}
}

func TestTimeIsBounded(t *testing.T) {
	files := map[string]string{}
	for pid := range 100 {
		files[fmt.Sprintf("proc/%d/stat", pid+1)] = stat(pid+1, "x", "S", 1, 0, 0)
	}
	s := fixture(t, files)
	var r Record
	looked := 0
	s.tasks(&r, nil, func() bool { looked++; return looked > 10 })
	if !r.Cut || r.Tasks > 10 {
		t.Errorf("cut %v after %d tasks", r.Cut, r.Tasks)
	}
}

// TestTestimony plays an episode: warning, final, recovered.
func TestTestimony(t *testing.T) {
	path := filepath.Join(t.TempDir(), "last-words")
	ring, err := openRing(path)
	if err != nil {
		t.Fatal(err)
	}
	page := beat.New(nil)
	if _, err := page.Slot("scheduler", 10*time.Second); err != nil {
		t.Fatal(err)
	}
	w := &witness{page: page, keeper: os.Getpid(), boot: "boot", kmsg: -1, pmsg: -1, write: ring.write, now: beat.Now, files: &source{root: "/"}}
	for _, p := range []Phase{Warning, Final, Recovered} {
		w.testify(Message{Phase: p, Age: 8 * time.Second, Limit: 10 * time.Second, Daemon: int64(os.Getpid())})
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var phases []string
	for _, text := range Texts(file) {
		var r Record
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		phases = append(phases, fmt.Sprint(r.Phase, " ", r.Complete))
		if r.Beat != "scheduler" || len(r.Beats) != 1 || r.Daemon.State == "absent" || r.Memory.Total == 0 {
			t.Errorf("%s", text)
		}
	}
	if got := strings.Join(phases, ", "); got != "warning false, warning true, final false, final true, recovered false" {
		t.Errorf("records %s", got)
	}
}

func TestStarvedKeeperIsSeen(t *testing.T) {
	now := beat.Time(1000 * time.Second)
	page := beat.New(func() beat.Time { return now })
	var texts []string
	w := &witness{page: page, keeper: 7, kmsg: -1, pmsg: -1, now: func() beat.Time { return now }, files: fixture(t, nil),
		write: func(b []byte) error { texts = append(texts, string(b)); return nil }}
	page.Keeper().PID.Store(7)
	for range 3 {
		page.Keeper().Round.Store(int64(now))
		now = now.Add(time.Second)
		w.look()
	}
	if len(texts) != 0 {
		t.Fatalf("a keeper that runs is called starved: %s", texts)
	}
	for range 5 {
		now = now.Add(time.Second)
		w.look()
	}
	if len(texts) != 2 || !strings.Contains(texts[0], "keeper_starved") {
		t.Errorf("%d records: %s", len(texts), texts)
	}
}
