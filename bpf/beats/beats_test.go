package beats

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"shisa/bpf/internal/obj"
	"shisa/bpf/trial"
)

func TestMain(m *testing.M) {
	switch os.Getenv("BEATS_ROLE") {
	case "":
		os.Exit(m.Run())
	case "ping":
		for first := true; ; first = false {
			if first {
				fmt.Println("ready")
			}
			time.Sleep(20 * time.Millisecond)
		}
	case "beat": // keep the page in a folder and beat until stopped
		k, err := trial.Open()
		if err != nil {
			panic(err)
		}
		w, err := Load(k, os.Getenv("BEATS_DIR"))
		if err != nil {
			panic(err)
		}
		pinger, err := strconv.Atoi(os.Getenv("BEATS_PINGER"))
		if err == nil {
			err = w.Order(Orders{Age: 3 * time.Second, Pinger: pinger})
		}
		if err != nil {
			panic(err)
		}
		s := slotOf(w, 0, "daemon", 200*time.Millisecond)
		for first := true; ; first = false {
			beat(s)
			if first {
				fmt.Println("ready")
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func role(t *testing.T, name string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.Env = append(append(os.Environ(), "BEATS_ROLE="+name), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func load(t *testing.T, dir string) *Witness {
	t.Helper()
	k, err := trial.Open()
	if errors.Is(err, trial.ErrPrivilege) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	w, err := Load(k, dir)
	for _, c := range w.Choices() {
		t.Log(c)
	}
	if errors.Is(err, trial.ErrNone) && mayLackTimers() {
		t.Skip("no timers for programs on this kernel: ", err)
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

// mayLackTimers names the kernels on which a refusal is right: before 5.15, and
// PREEMPT_RT.
func mayLackTimers() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	release, version := unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Version[:])
	return strings.HasPrefix(release, "5.10.") || strings.Contains(version, "PREEMPT_RT")
}

func slotOf(w *Witness, i int, name string, limit time.Duration) *obj.BeatBeatSlot {
	s := (*obj.BeatBeatSlot)(unsafe.Pointer(&w.Memory()[(FirstSlot+i)*SlotSize]))
	copyName(s, name)
	s.Limit = int64(limit)
	beat(s)
	atomic.StoreInt64(&s.Flags, 1)
	return s
}

func copyName(s *obj.BeatBeatSlot, name string) {
	clear(s.Name[:])
	copy(s.Name[:], name)
}

func beat(s *obj.BeatBeatSlot) { atomic.StoreInt64(&s.Last, int64(monotonic())) }

func TestMissIsNoticedOnce(t *testing.T) {
	w := load(t, "")
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan Miss, 16)
	done := make(chan error, 1)
	go func() { done <- w.Watch(ctx, func(m Miss) { got <- m }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	s := slotOf(w, 59, "a name of 24 bytes, full", 100*time.Millisecond)
	idle := slotOf(w, 3, "unused", time.Nanosecond)
	atomic.StoreInt64(&idle.Flags, 0)
	m := <-got
	for m.Slot != 59 { // the unused one may have been seen before it was released
		m = <-got
	}
	t.Logf("noticed %v late", m.Late())
	if m.Name != "a name of 24 bytes, full" || m.Limit != 100*time.Millisecond || m.Last != time.Duration(s.Last) || m.Handed != "" || m.Guest {
		t.Errorf("got %+v", m)
	}
	if m.Late() < 0 {
		t.Errorf("noticed %v before the limit", -m.Late())
	}
	if !waitTicks(t, w, 30) {
		return
	}
	select {
	case again := <-got:
		t.Errorf("told again: %+v", again)
	default:
	}
	// A new beat, missed anew, is a new miss.
	beat(s)
	if m := <-got; m.Misses != 2 {
		t.Errorf("got %+v, want the second miss", m)
	}
	if list, err := w.Misses(); err != nil || list[len(list)-1].Misses != 2 {
		t.Errorf("got %+v, %v", list, err)
	}
	if err := w.Alive(); err != nil {
		t.Error(err)
	}
}

func TestBeatFromTheFutureIsAMiss(t *testing.T) {
	w := load(t, "")
	s := slotOf(w, 0, "future", 100*time.Millisecond) // less than any machine is up
	atomic.StoreInt64(&s.Last, int64(monotonic()+time.Hour))
	for range 500 {
		if list, err := w.Misses(); err != nil || len(list) == 1 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("not noticed")
}

func waitTicks(t *testing.T, w *Witness, n uint64) bool {
	t.Helper()
	first, err := w.Clock()
	for i := 0; err == nil && i < 3000; i++ {
		var now Clock
		if now, err = w.Clock(); now.Ticks >= first.Ticks+n {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the timer stands still: %v", err)
	return false
}

func TestOrders(t *testing.T) {
	w := load(t, "")
	for _, bad := range []Orders{{Age: time.Second, Pinger: 1}, {Age: time.Second, Pinger: -7}, {Age: -1}} {
		if err := w.Order(bad); err == nil {
			t.Errorf("accepted %+v", bad)
		}
	}
	if err := w.Order(Orders{}); err != nil {
		t.Error(err)
	}
}

// ended says whether a child is dead, and leaves it to be waited for.
func ended(t *testing.T, child *exec.Cmd) bool {
	t.Helper()
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, child.Process.Pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	return info.Signo != 0
}

// TestPingerIsKilled hands over a miss of ours when the beat is old enough, and
// none of a guest's.
func TestPingerIsKilled(t *testing.T) {
	w := load(t, "")
	if w.Means() != ByKill {
		t.Skipf("misses are handed over by: %s", w.Means())
	}
	pinger := role(t, "ping")
	const age = 500 * time.Millisecond
	if err := w.Order(Orders{Age: age, Pinger: pinger.Process.Pid}); err != nil {
		t.Fatal(err)
	}
	guest := (*obj.BeatBeatSlot)(unsafe.Pointer(&w.Guests()[7*SlotSize]))
	copyName(guest, "guest")
	guest.Limit = int64(50 * time.Millisecond)
	beat(guest)
	atomic.StoreInt64(&guest.Flags, 1)
	own := slotOf(w, 0, "loop", 50*time.Millisecond)
	for end := monotonic() + age; monotonic() < end; time.Sleep(10 * time.Millisecond) {
		beat(own)
	}
	if ended(t, pinger) {
		t.Fatal("killed for a guest's miss")
	}
	begin := monotonic()
	err := pinger.Wait()
	var status *exec.ExitError
	if !errors.As(err, &status) || status.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("got %v", err)
	}
	if took := monotonic() - begin; took < age/2 {
		t.Errorf("killed after %v, the beat was to be %v old", took, age)
	}
	list, err := w.Misses()
	if err != nil || len(list) != 2 || list[0].Name != "loop" || list[0].Guest || list[0].Handed != ByKill ||
		list[1].Name != "guest" || !list[1].Guest || list[1].Slot != 7 || list[1].Handed != "" {
		t.Errorf("got %+v, %v", list, err)
	}
}

// TestBeatInTimeSparesThePinger has a miss condemned while there is nobody to kill. When
// the beat has come by the time that there is a pinger, nobody is.
func TestBeatInTimeSparesThePinger(t *testing.T) {
	w := load(t, "")
	if w.Means() != ByKill {
		t.Skipf("misses are handed over by: %s", w.Means())
	}
	const age = 100 * time.Millisecond
	if err := w.Order(Orders{Age: age}); err != nil {
		t.Fatal(err)
	}
	own := slotOf(w, 0, "loop", age/2)
	condemned := func() bool {
		var s obj.BeatBeatSentence
		if err := w.loaded.Map("sentence").Lookup(uint32(0), &s); err != nil {
			t.Fatal(err)
		}
		return s.Condemned != 0
	}
	for end := monotonic() + 20*age; !condemned(); time.Sleep(age / 10) {
		if monotonic() > end {
			t.Fatal("the miss was not to be handed over")
		}
	}
	before, err := w.Clock()
	if err != nil {
		t.Fatal(err)
	}
	pinger := role(t, "ping")
	beat(own)
	if err := w.Order(Orders{Age: time.Hour, Pinger: pinger.Process.Pid}); err != nil {
		t.Fatal(err)
	}
	for after := before; after.Ticks < before.Ticks+20; after, err = w.Clock() {
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(Period)
	}
	if condemned() || ended(t, pinger) {
		t.Error("killed for a beat that came")
	}
}

// TestTimerOutlivesTheDaemon stops the beating process, then kills it: the
// kernel must notice all the same, kill the pinger, and tell the next one.
func TestTimerOutlivesTheDaemon(t *testing.T) {
	base := "/sys/fs/bpf"
	var fs unix.Statfs_t
	if err := unix.Statfs(base, &fs); err != nil || fs.Type != unix.BPF_FS_MAGIC {
		t.Skip("no BPF file system is mounted")
	}
	if k, err := trial.Open(); err != nil {
		t.Skip(err)
	} else if _, err := k.Try(Job); err != nil && mayLackTimers() {
		t.Skip(err)
	}
	dir := filepath.Join(base, "shisa-test")
	t.Cleanup(func() {
		if err := Forget(dir); err != nil {
			t.Error(err)
		}
		os.Remove(dir)
	})
	pinger := role(t, "ping")
	daemon := role(t, "beat", "BEATS_DIR="+dir, "BEATS_PINGER="+strconv.Itoa(pinger.Process.Pid))
	if past, err := Past(dir); err != nil || len(past) != 0 {
		t.Fatalf("a beat is missed already: %+v, %v", past, err)
	}
	daemon.Process.Signal(syscall.SIGSTOP)
	stopped := awaitPast(t, dir, 1)
	t.Logf("stopped: noticed %v late", stopped.Late())
	if stopped.Name != "daemon" {
		t.Errorf("got %+v", stopped)
	}
	// It goes on; killed, it misses again.
	daemon.Process.Signal(syscall.SIGCONT)
	time.Sleep(100 * time.Millisecond)
	daemon.Process.Kill()
	daemon.Wait()
	killed := awaitPast(t, dir, 2)
	t.Logf("killed: noticed %v late", killed.Late())
	if ended(t, pinger) {
		t.Error("the pinger was killed before its time")
	}
	if err := pinger.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the pinger ended with %v", err)
	}

	w := load(t, dir) // takes the page over
	s := (*obj.BeatBeatSlot)(unsafe.Pointer(&w.Memory()[FirstSlot*SlotSize]))
	if name := unix.ByteSliceToString(s.Name[:]); name != "daemon" {
		t.Errorf("the page taken over has slot %q", name)
	}
	if !waitTicks(t, w, 3) {
		t.Error("the new timer does not tick")
	}
	if left, err := filepath.Glob(filepath.Join(dir, pinned)); err != nil || len(left) != 0 {
		t.Errorf("the former pinger is still followed: %q, %v", left, err)
	}
	runtime.KeepAlive(w)
}

func awaitPast(t *testing.T, dir string, misses int) Miss {
	t.Helper()
	for range 1000 {
		past, err := Past(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(past) == 1 && past[0].Misses >= misses {
			return past[0]
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the miss was not noticed")
	panic("unreachable")
}
