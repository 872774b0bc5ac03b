package witness

import (
	"context"
	"fmt"
	"net"
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

// await waits for an event.
func (h *heard) await(t *testing.T, code, subject string) {
	t.Helper()
	late := time.After(60 * time.Second)
	for !slices.Contains(h.codes(), code+" "+subject) {
		select {
		case <-h.new:
		case <-late:
			t.Fatalf("no %s of %s among %q", code, subject, h.codes())
		}
	}
}

func quiet(t *testing.T) (*Witness, *heard) {
	t.Helper()
	h := &heard{new: make(chan struct{}, 1)}
	return New(Options{Boot: "now", StateDir: t.TempDir(), Stall: 90 * time.Second, Emit: h.emit,
		Log: func(what string, err error) { t.Log(what, err) }}), h
}

func TestLimits(t *testing.T) {
	for timeout, want := range map[time.Duration]stall.Limits{
		90 * time.Second: stall.DefaultLimits,
		9 * time.Second:  {Blocked: 3 * time.Second, Starved: 2250 * time.Millisecond, Hog: 6 * time.Second},
		time.Second:      {Blocked: 2 * time.Second, Starved: time.Second, Hog: 3 * time.Second},
	} {
		if got := Limits(timeout); got != want {
			t.Errorf("%v: got %+v, want %+v", timeout, got, want)
		}
	}
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

func TestEpisodesAreBounded(t *testing.T) {
	e := newEpisodes()
	e.begin()
	told := 0
	for i := range 1000 {
		if e.add(fmt.Sprint(i), "x", time.Second) {
			told++
		}
	}
	if told != mostEpisodes || len(e.end()) != 0 {
		t.Errorf("told of %d", told)
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
	file("sys/fs/pstore/pmsg-ramoops-0", bootMark+"before\n"+other.Text()+"\n"+bootMark+"now\n"+marks[1].Text()+"\n"+stuck.Text()+"\n", 0)
	file("var/lib/systemd/pstore/5/dmesg.txt", "<4>[  2.1] x: "+stuck.Text()+"\n", 0)
	file("sys/fs/pstore/dmesg-ramoops-0", other.Text()+"\n", time.Hour)
	if err := os.WriteFile(filepath.Join(dir, timelinePrefix+"now"), []byte(marks[0].Text()+"\n"+marks[1].Text()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]string{"as it was left": root, "from what was kept of it": t.TempDir()} {
		p := Recall(from, dir, "now", at.Add(-time.Minute))
		if want := append(slices.Clone(marks), stuck); !slices.Equal(p.Marks, want) {
			t.Errorf("%s: got %+v, want %+v", name, p.Marks, want)
		}
		if p.Culprit() != "sda: finishes no request for 12s; 1 more with it" || len(p.Lines()) != 3 {
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
	o.Boot, o.StateDir, o.Stall, o.Emit = "now", t.TempDir(), 90*time.Second, h.emit
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

// TestBeatsOfOthers takes beats as sd_notify sends them, from a pipe and from the
// header, with a timer in the kernel if there is one, and without.
func TestBeatsOfOthers(t *testing.T) {
	for name, without := range map[string][]string{"as good as can be": nil, "without programs": {"*"}} {
		t.Run(name, func(t *testing.T) {
			w, h := running(t, Options{Without: without})
			conn, err := net.Dial("unixgram", w.o.Socket)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			say := func(text string) {
				if _, err := conn.Write([]byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			say("READY=1\nSTATUS=not about beats")
			say("WATCHDOG_USEC=100000\nWATCHDOG=1\nBEAT_NAME=notify")
			say("WATCHDOG=1\nBEAT_NAME=ends\nWATCHDOG_USEC=2000000")
			say("STOPPING=1\nBEAT_NAME=ends")
			say("WATCHDOG=trigger\nBEAT_NAME=gives up\nWATCHDOG_USEC=60000000\nWATCHDOG=1")
			say("WATCHDOG=trigger\nBEAT_NAME=gives up")
			pipe, err := os.OpenFile(strings.TrimSuffix(w.o.Socket, ".sock")+".pipe", os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer pipe.Close()
			fmt.Fprintln(pipe, "bad line with words\nscript 50ms")
			h.await(t, "beat-missed", "beat/script")
			if os.Geteuid() == 0 {
				h.await(t, "beat-missed", "beat/notify")
				h.await(t, "beat-missed", "beat/gives?up")
			}
			fmt.Fprintln(pipe, "script 1h")
			h.await(t, "beat-back", "beat/script")
			say("STOPPING=1\nBEAT_NAME=notify")
			say("STOPPING=1\nBEAT_NAME=gives up")
			example(t, w, h)
			if slices.Contains(h.codes(), "beat-missed beat/ends") {
				t.Error("missed after its end")
			}
		})
	}
}

// example builds the header's example and lets it hang.
func example(t *testing.T, w *Witness, h *heard) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler")
	}
	program := filepath.Join(t.TempDir(), "beats")
	if words, err := exec.Command(cc, "-std=gnu99", "-Wall", "-Wextra", "-Werror", "-o", program, "../../bpf/include/example/beats.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, words)
	}
	c := exec.Command(program, "example", "2000", "20", "hang")
	c.Env = []string{"SHISA_BEAT_SOCKET=" + w.o.Socket}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Process.Kill(); _ = c.Wait() }()
	how := make([]byte, 16)
	n, err := out.Read(how)
	if want := map[bool]string{true: "shared\n", false: "datagrams\n"}[os.Geteuid() == 0]; err != nil || string(how[:n]) != want {
		t.Errorf("it beats by %q, %v", how[:n], err)
	}
	h.await(t, "beat-missed", "beat/example")
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
	if err := onThread(ctx, time.Millisecond, true, func() {
		if looks++; looks == 3 {
			cancel()
		}
	}); err != nil || looks != 3 {
		t.Errorf("%d looks, %v", looks, err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := onThread(cancelled, time.Hour, false, func() { t.Error("looked") }); err != nil {
		t.Error(err)
	}
}

func TestParseLine(t *testing.T) {
	for line, want := range map[string]notice{
		"web":        {name: "web", beat: true},
		"web 5s":     {name: "web", beat: true, limit: 5 * time.Second},
		"web stop":   {name: "web", gone: true},
		"":           {},
		"a b c":      {},
		"web -1s":    {},
		"web potato": {},
	} {
		got, ok := parseLine(line)
		if ok != (want.name != "") || ok && got != want {
			t.Errorf("%q: got %+v, %v", line, got, ok)
		}
	}
}

func FuzzParseNotify(f *testing.F) {
	f.Add([]byte("WATCHDOG=1\nWATCHDOG_USEC=100\nBEAT_NAME=x\nBEAT_MAP=1"))
	f.Add([]byte("WATCHDOG=trigger\nSTOPPING=1\n\n=\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := parseNotify(b)
		if n.limit < 0 || len(clean(n.name)) > 24 {
			t.Errorf("%q: %+v", b, n)
		}
	})
}
