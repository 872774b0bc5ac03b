package witness

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"shisa/bpf/blockio"
	"shisa/bpf/flight"
	"shisa/bpf/stall"
	"shisa/bpf/timeline"
	"shisa/ctl/event"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == TimelineFlag {
		if err := Scribe(os.Args[2], os.Args[3], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// heard collects events.
type heard struct {
	mu  sync.Mutex
	all []event.Event
	new chan struct{}
}

func (h *heard) emit(e event.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, e)
	select {
	case h.new <- struct{}{}:
	default:
	}
}

func (h *heard) codes() (codes []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.all {
		codes = append(codes, e.Code+" "+e.Subject)
	}
	return codes
}

// await waits for an event about a subject.
func (h *heard) await(t *testing.T, code, subject string) {
	t.Helper()
	h.until(t, func(e string) bool { return e == code+" "+subject }, code+" of "+subject)
}

// awaitCode waits for an event, whatever it is about.
func (h *heard) awaitCode(t *testing.T, code string) {
	t.Helper()
	h.until(t, func(e string) bool { return strings.HasPrefix(e, code+" ") }, code)
}

func (h *heard) until(t *testing.T, is func(string) bool, what string) {
	t.Helper()
	late := time.After(60 * time.Second)
	for !slices.ContainsFunc(h.codes(), is) {
		select {
		case <-h.new:
		case <-late:
			t.Fatalf("no %s among %q", what, h.codes())
		}
	}
}

func quiet(t *testing.T) (*Witness, *heard) {
	t.Helper()
	h := &heard{new: make(chan struct{}, 1)}
	return New(Options{Boot: "now", StateDir: t.TempDir(), Emit: h.emit,
		Log: func(what string, err error) { t.Log(what, err) }}), h
}

func TestFindingsAreToldOnce(t *testing.T) {
	w, h := quiet(t)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	task := func(tid int, kind stall.Kind, s int) stall.Task {
		return stall.Task{Kind: kind, For: time.Duration(s) * time.Second, Sample: stall.Sample{TID: tid, PID: 7, Start: 1, Comm: "cp",
			Blocked: kind == stall.Blocked, Policy: 1, Priority: 49, StackText: []string{"__schedule+0x1", "jbd2_wait+0x2"}}}
	}
	disk := func(hung bool) blockio.Request {
		return blockio.Request{Disk: "sda", Sector: 8, Bytes: 512, Age: 12 * time.Second, Comm: "kworker", PID: 9, Hung: hung}
	}
	e, d, symbols := newEpisodes(), newEpisodes(), new(stall.Symbols)
	w.tasks([]stall.Task{task(7, stall.Blocked, 10), task(8, stall.Hog, 60)}, e, symbols, now)
	w.tasks([]stall.Task{task(7, stall.Blocked, 11)}, e, symbols, now.Add(time.Second))
	w.disks([]blockio.Request{disk(true), disk(true)}, d, now)
	w.tasks(nil, e, symbols, now.Add(2*time.Second))
	w.disks([]blockio.Request{disk(false)}, d, now)
	want := []string{"task-stalled task/cp[7]", "task-stalled task/cp[7/8]", "task-goes-on task/cp[7/8]", "disk-hung disk/sda",
		"task-goes-on task/cp[7]", "disk-slow disk/sda", "disk-goes-on disk/sda"}
	if got := h.codes(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if text := h.all[0].Text; text != "Task cp[7] is blocked in the kernel for 10s in jbd2_wait." {
		t.Errorf("says %q", text)
	}
	var subjects []string
	for _, e := range w.record.Entries() {
		subjects = append(subjects, fmt.Sprint(e.Kind, " ", e.Subject, " ", e.For, " ", e.Detail))
	}
	if len(subjects) != 4 || subjects[0] != "blocked cp[7] 11s FIFO 50" {
		t.Errorf("on record: %q", subjects)
	}
}

func TestCgroupsAreRolledUp(t *testing.T) {
	w, h := quiet(t)
	stalled := func(n int) (all []stall.Task) {
		for i := range n {
			for cgroup := range uint64(2) { // the first is the root
				all = append(all, stall.Task{Kind: stall.Blocked, For: time.Duration(i+1) * time.Second, Sample: stall.Sample{TID: i, Cgroup: cgroup}})
			}
		}
		return all
	}
	name := func(id uint64) string { return []string{"", "/system.slice/db.service"}[id] }
	e, now := newEpisodes(), time.Now()
	for _, n := range []int{severalTasks - 1, severalTasks, 50, severalTasks - 1} {
		w.cgroups(stalled(n), name, e, now)
	}
	if got := h.codes(); !slices.Equal(got, []string{"cgroup-stalled cgroup/system.slice/db.service", "cgroup-goes-on cgroup/system.slice/db.service"}) {
		t.Fatalf("got %q", got)
	}
	if got := w.record.Entries(); len(got) == 0 || !strings.HasPrefix(got[len(got)-1].Detail, "50 blocked in the kernel, 0 ") {
		t.Errorf("on record: %+v", got)
	}
}

func TestEpisodesAreBounded(t *testing.T) {
	e := newEpisodes()
	e.begin()
	told := 0
	for i := range 1000 {
		if e.add(fmt.Sprint(i), "x", time.Second, time.Now()) {
			told++
		}
	}
	if told != mostEpisodes || len(e.end()) != 0 {
		t.Errorf("told of %d", told)
	}
}

// TestFindingsAreBounded: whatever stalls again and again, so many are told of in so
// much time, and how many were not is told, once.
func TestFindingsAreBounded(t *testing.T) {
	w, h := quiet(t)
	e, symbols, begin := newEpisodes(), new(stall.Symbols), time.Now()
	for s := range int(toldWithin/time.Second) + 120 {
		now := begin.Add(time.Duration(s) * time.Second)
		var stalled []stall.Task
		if s%2 == 0 { // another task each time
			stalled = []stall.Task{{Kind: stall.Starved, For: 5 * time.Second, Sample: stall.Sample{TID: 100 + s, PID: 100 + s, Comm: "cc1", StackText: []string{"x"}}}}
		}
		w.tasks(stalled, e, symbols, now)
	}
	count := map[string]int{}
	for _, code := range h.codes() {
		name, _, _ := strings.Cut(code, " ")
		count[name]++
	}
	if count["findings-untold"] != 1 || count["task-stalled"] < mostTold || count["task-stalled"] > 2*mostTold || count["task-goes-on"] != count["task-stalled"] {
		t.Errorf("told of %v", count)
	}
}

func TestFlushAndRecall(t *testing.T) {
	w, _ := quiet(t)
	dir := w.o.StateDir
	at := time.Now()
	w.note(flight.Entry{At: at, Kind: flight.HungIO, Subject: "sda", For: 12 * time.Second})
	w.note(flight.Entry{At: at, Kind: flight.Blocked, Subject: "cp[7]", For: 11 * time.Second})
	w.Flush(t.Context())
	marks := []timeline.Mark{{At: time.Second, Kind: timeline.Begin}, {At: 2 * time.Second, Kind: timeline.Reboot, Arg: 1}}
	root := t.TempDir()
	file := func(name, text string, age time.Duration) {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, at, at.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	stuck := timeline.Mark{At: 5 * time.Second, Kind: timeline.Stuck, Arg: 2000, Name: "slow.7", Driver: "slowdrv"}
	other := timeline.Mark{At: 9 * time.Second, Kind: timeline.Device, Name: "other"}
	remember := func(e flight.Entry) string {
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		return flightMark + string(text) + "\n"
	}
	both := remember(w.record.Entries()[0]) + remember(flight.Entry{At: at.Add(time.Second), Kind: flight.Starved, Subject: "init[1]", For: time.Second})
	file("sys/fs/pstore/pmsg-ramoops-0", bootMark+"before\n"+other.Text()+"\n"+remember(flight.Entry{At: at, Kind: flight.HungIO, Subject: "old"})+
		bootMark+"now\n"+both+bootMark+"now\n"+marks[1].Text()+"\n"+stuck.Text()+"\n"+flightMark+"torn", 0)
	file("var/lib/systemd/pstore/5/dmesg.txt", "<4>[  2.1] x: "+stuck.Text()+"\n", 0)
	file("sys/fs/pstore/dmesg-ramoops-0", other.Text()+"\n", time.Hour)
	if err := os.WriteFile(filepath.Join(dir, timelinePrefix+"now"), []byte(marks[0].Text()+"\n"+marks[1].Text()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	for _, from := range []string{root, empty} { // the second finds what the first has kept
		name := map[string]string{root: "as it was left", empty: "from what was kept of it"}[from]
		p := Recall(from, dir, "now", at.Add(-time.Minute))
		if want := append(slices.Clone(marks), stuck); !slices.Equal(p.Marks, want) {
			t.Errorf("%s: got %+v, want %+v", name, p.Marks, want)
		}
		if p.Culprit() != "sda: finishes no request for 12s; 1 more with it" || len(p.Entries) != 3 || len(p.Lines()) != 4 {
			t.Errorf("%s: culprit %q, lines %q", name, p.Culprit(), p.Lines())
		}
		if from != root {
			continue
		}
		if kept, err := os.ReadFile(filepath.Join(dir, timelinePrefix+"now")); err != nil || !strings.Contains(string(kept), "slow.7") {
			t.Errorf("pstore's part is not kept: %q, %v", kept, err)
		}
	}
	if p := Recall(root, dir, "", at); len(p.Entries)+len(p.Marks) != 0 {
		t.Errorf("of no boot: %v", p)
	}
	if err := Tidy(dir, "next", "now"); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.now")); len(left) != 2 {
		t.Errorf("left of the boot before: %q", left)
	}
	if err := Tidy(dir, "later", "next"); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left for ever: %v", left)
	}
}

func TestFlushDoesNotWaitForADisk(t *testing.T) {
	w, _ := quiet(t)
	w.store.mu.Lock() // somebody hangs in the disk
	defer w.store.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.Flush(ctx)
}

// running puts a Witness to work in this very machine.
func running(t *testing.T, o Options) (*Witness, *heard) {
	t.Helper()
	h := &heard{new: make(chan struct{}, 1)}
	o.Boot, o.StateDir, o.Emit = "now", t.TempDir(), h.emit
	o.Socket = filepath.Join(t.TempDir(), "beat.sock")
	o.Log = func(what string, err error) { t.Log(what, err) }
	w := New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	h.await(t, "witness-ready", "")
	for range 1000 { // the socket comes a moment later
		if _, err := os.Stat(strings.TrimSuffix(o.Socket, ".sock") + ".pipe"); err == nil {
			return w, h
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no socket")
	return nil, nil
}

// TestScribe begins a shutdown that is called off: processes that die meanwhile are
// on its timeline, which the scribe goes on writing.
func TestScribe(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can witness a shutdown")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w, _ := running(t, Options{Program: self})
	w.Begin()
	w.Begin()
	var passed bool
	var child *os.Process
	for end := time.Now().Add(60 * time.Second); !passed; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the scribe has not taken over")
		}
		w.blame.mu.Lock()
		passed, child = w.blame.passed, w.blame.child
		w.blame.mu.Unlock()
	}
	victim := exec.Command("sleep", "1000")
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	if err := victim.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait()
	name := filepath.Join(w.o.StateDir, timelinePrefix+"now")
	want := fmt.Sprintf("exit 15 %d 0 \"sleep\"", victim.Process.Pid)
	for range 1000 {
		if text, _ := os.ReadFile(name); strings.Contains(string(text), want) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.Abandon()
	p := Recall(t.TempDir(), w.o.StateDir, "now", time.Time{})
	if !slices.ContainsFunc(p.Marks, func(m timeline.Mark) bool { return m.Kind == timeline.Exit && m.PID == victim.Process.Pid }) ||
		p.Marks[0].Kind != timeline.Begin {
		t.Errorf("got %+v", p.Marks)
	}
	if err := child.Signal(syscall.Signal(0)); err == nil {
		time.Sleep(time.Second)
		if child.Signal(syscall.Signal(0)) == nil {
			t.Error("the scribe outlives a shutdown that was called off")
		}
	}
}

func TestOnThread(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	looks := 0
	if err := onThread(ctx, func() time.Duration { return time.Millisecond }, true, func() {
		if looks++; looks == 3 {
			cancel()
		}
	}); err != nil || looks != 3 {
		t.Errorf("%d looks, %v", looks, err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := onThread(cancelled, func() time.Duration { return time.Hour }, false, func() { t.Error("looked") }); err != nil {
		t.Error(err)
	}
}
