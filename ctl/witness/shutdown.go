package witness

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"shisa/bpf/blame"
	"shisa/bpf/timeline"
)

// TimelineFlag is the argument with which the daemon's program becomes the scribe
// of a shutdown; the state directory and the boot id follow.
const TimelineFlag = "-timeline"

// scribeName keeps the scribe from being killed with everybody else:
// systemd-shutdown(8) leaves alone whose name starts with '@'
// (systemd.io/ROOT_STORAGE_DAEMONS).
const scribeName = "@shisad"

// scribeLife bounds the life of a scribe: a shutdown that has not reached the kernel
// by then was called off.
const scribeLife = time.Hour

// A blamer has the shutdown witnessed: by this process at first, and by a scribe,
// which lives on when this one is stopped with all others.
type blamer struct {
	dir, boot, program string
	log                func(string, error)

	mu     sync.Mutex
	source *blame.Witness // nil: none, or not yet
	stop   func()         // ends this process's own watch
	over   chan struct{}  // closed when that has ended
	begun  bool
	hired  bool
	passed bool          // the scribe has taken over
	again  chan struct{} // the scribe is no more
	out    *journal
	child  *os.Process
	wg     sync.WaitGroup
}

// watch takes marks from source until ctx is done. While the scribe has taken over
// it only waits.
func (b *blamer) watch(ctx context.Context, source *blame.Witness) error {
	for {
		mine, cancel := context.WithCancel(ctx)
		over := make(chan struct{})
		b.mu.Lock()
		b.source, b.stop, b.over = source, cancel, over
		if b.begun {
			b.say(source.Begin())
			b.hireOnce()
		}
		b.mu.Unlock()
		err := source.Watch(mine, b.mark)
		cancel()
		close(over)
		if err != nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-b.again:
		case <-ctx.Done():
			return nil
		}
	}
}

// hireOnce starts a scribe, if there is to be one and there is none; b is locked.
func (b *blamer) hireOnce() {
	if b.program == "" || b.source == nil || b.hired {
		return
	}
	b.hired = true
	source := b.source
	b.wg.Go(func() {
		if err := b.handOver(source); err != nil {
			b.say(fmt.Errorf("by the scribe: %w", err))
		}
	})
}

func (b *blamer) say(err error) {
	if err != nil {
		b.log("the shutdown is not witnessed", err)
	}
}

// Begin says that the machine is about to go down. It returns at once and may be
// called again.
func (w *Witness) Begin() {
	w.StandDown()
	w.blame.begin()
}

// Abandon takes Begin back: the machine stays up after all.
func (w *Witness) Abandon() {
	w.blame.abandon()
	w.standing(false)
}

func (b *blamer) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.begun {
		return
	}
	b.begun, b.passed = true, false
	b.out = openJournal(b.dir, b.boot, b.log)
	b.out.add(timeline.Mark{At: monotonic(), Kind: timeline.Begin})
	if b.source != nil {
		b.say(b.source.Begin())
	}
	b.hireOnce()
}

func (b *blamer) abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.begun {
		return
	}
	b.begun, b.hired = false, false
	if b.passed {
		select {
		case b.again <- struct{}{}:
		default:
		}
	}
	if b.source != nil {
		b.say(b.source.Abandon())
	}
	if b.child != nil {
		_ = b.child.Kill() // it may have ended by itself
		b.child = nil
	}
	b.out.close()
	b.out = nil
}

// mark takes a mark from this process's own programs.
func (b *blamer) mark(m timeline.Mark) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.begun && !b.passed {
		b.out.add(m)
	}
}

// handOver starts the scribe, gives it what this process has loaded, and lets it go
// on where this process stops reading.
func (b *blamer) handOver(source *blame.Witness) error {
	given, err := source.Files()
	if err != nil {
		return err
	}
	ready, theirReady, err := os.Pipe()
	if err != nil {
		return err
	}
	theirGo, begin, err := os.Pipe()
	if err != nil {
		return errors.Join(err, ready.Close(), theirReady.Close())
	}
	defer ready.Close()
	defer begin.Close() // go: also if we end before we can say so
	theirs := append([]*os.File{nil, theirReady, nil, theirGo}, given...)
	child, err := os.StartProcess(b.program, []string{scribeName, TimelineFlag, b.dir, b.boot},
		&os.ProcAttr{Dir: "/", Files: theirs, Sys: &syscall.SysProcAttr{Setsid: true}})
	for _, f := range theirs {
		if f != nil {
			f.Close()
		}
	}
	if err != nil {
		return err
	}
	go func() { _, _ = child.Wait() }() // ends with the scribe, or with this process
	b.mu.Lock()
	wanted := b.begun
	if wanted {
		b.child = child
	}
	stop, over := b.stop, b.over
	b.mu.Unlock()
	if !wanted {
		return child.Kill() // called off meanwhile
	}
	said := make(chan error, 1)
	go func() {
		line, err := bufio.NewReader(ready).ReadString('\n')
		if line != "ready\n" {
			err = fmt.Errorf("it does not begin: %q %w", line, err)
		}
		said <- err
	}()
	select {
	case err := <-said:
		if err != nil {
			return err
		}
		stop()
		<-over
	case <-over: // we end first: what nobody has read waits for it
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.passed = true
	return nil
}

// wait returns when the scribe has what it needs, if there is to be one, and what
// this process saw is written.
func (b *blamer) wait() {
	b.wg.Wait()
	b.mu.Lock()
	out := b.out
	b.out, b.begun = nil, false
	b.mu.Unlock()
	if out != nil {
		out.close()
	}
}

// Descriptors of the scribe: its giver closes the first to let it begin.
const (
	scribeGo    = 3
	scribeMarks = 4
)

// Scribe is the process that witnesses the rest of a shutdown, with what the daemon
// has given to it. It returns when the machine has not gone down for an hour.
// Nothing else can end it but SIGKILL, and the end of the machine.
func Scribe(dir, boot string, ready io.Writer) error {
	signal.Ignore(unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGPIPE)
	begin := os.NewFile(scribeGo, "go")
	if _, err := begin.Stat(); err != nil {
		return fmt.Errorf("%s is for shisad itself: %w", TimelineFlag, err)
	}
	out := openJournal(dir, boot, func(string, error) {})
	defer out.close()
	if _, err := io.WriteString(ready, "ready\n"); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, begin); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), scribeLife)
	defer cancel()
	return blame.Inherited(ctx, scribeMarks, out.add)
}

// A journal takes the marks of a shutdown to wherever they may survive it: all of
// them to a file and to pstore, and those that few others follow to the kernel's
// log, which takes ten lines in five seconds from one writer.
type journal struct {
	file  string
	lines chan string
	done  chan struct{}
	pmsg  *os.File // nil: none
	kmsg  *os.File // nil: none
	log   func(string, error)
}

// journalQueue is how many marks may wait for the disk: more than two for each
// process of a large machine.
const journalQueue = 16384

// bootMark stands before the marks of one boot where others' may stand, too.
const bootMark = "shisa-boot: "

func openJournal(dir, boot string, log func(string, error)) *journal {
	j := &journal{file: filepath.Join(dir, timelinePrefix+boot), lines: make(chan string, journalQueue), done: make(chan struct{}), log: log}
	j.pmsg, _ = os.OpenFile(pmsgDevice, os.O_WRONLY, 0) // without ramoops there is none
	j.kmsg, _ = blame.Log()
	j.now(j.pmsg, bootMark+boot)
	j.now(j.kmsg, bootMark+boot)
	go j.run()
	return j
}

func (j *journal) now(f *os.File, line string) {
	if f != nil {
		_, _ = io.WriteString(f, line+"\n") // the file has it, too
	}
}

// add writes a mark. It does not wait for a disk.
func (j *journal) add(m timeline.Mark) {
	line := m.Text()
	j.now(j.pmsg, line)
	switch m.Kind {
	case timeline.Begin, timeline.Reboot, timeline.DevicesBegin, timeline.DevicesEnd, timeline.Stuck:
		j.now(j.kmsg, line)
	case timeline.Signal, timeline.Exit, timeline.SyncBegin, timeline.SyncEnd, timeline.Device:
	}
	select {
	case j.lines <- line:
	default: // the disk hangs
	}
}

// close writes what is there and ends. It waits for the disk for a moment only.
func (j *journal) close() {
	close(j.lines)
	select {
	case <-j.done:
	case <-time.After(time.Second):
	}
	for _, f := range []*os.File{j.pmsg, j.kmsg} {
		if f != nil {
			_ = f.Close() // only written to
		}
	}
}

// run appends lines to the file, as many at a time as there are. The file is not
// kept open: an open one keeps its file system from being unmounted. At some time
// of a shutdown it cannot be written any more; that is no error.
func (j *journal) run() {
	defer close(j.done)
	for line := range j.lines {
		batch := []byte(line + "\n")
		for more := len(j.lines); more > 0; more-- {
			batch = append(batch, <-j.lines...)
			batch = append(batch, '\n')
		}
		if err := appendTo(j.file, batch); err != nil {
			j.log("keep the timeline of the shutdown", err)
		}
	}
}

func appendTo(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, unix.Fdatasync(int(f.Fd())), f.Close())
}

func monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
