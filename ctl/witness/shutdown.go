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
	"shisa/bpf/trial"
)

// TimelineFlag is the argument with which the daemon's program becomes the scribe
// of a shutdown; the state directory and the boot id follow.
const TimelineFlag = "-timeline"

// scribeName keeps the scribe from being killed with everybody else:
// systemd-shutdown(8) leaves alone whose name starts with '@'
// (systemd.io/ROOT_STORAGE_DAEMONS).
const scribeName = "@shisad"

const (
	scribeReady = 3 * time.Second // how long the scribe may take to load, before the daemon no longer waits
	scribeLife  = time.Hour       // a shutdown that has not reached the kernel by then was called off
)

// A blamer has the shutdown witnessed: by this process at first, and by a scribe,
// which lives on when this one is stopped with all others.
type blamer struct {
	dir, boot, program string
	log                func(string, error)

	mu     sync.Mutex
	source *blame.Witness // nil: none, or not yet
	begun  bool
	passed bool // the scribe has taken over
	out    *journal
	child  *os.Process
	wg     sync.WaitGroup
}

// use says which programs witness the shutdown; nil: none any more.
func (b *blamer) use(source *blame.Witness) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.source = source
	if source != nil && b.begun {
		b.say(source.Begin())
	}
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
	if b.program != "" {
		b.wg.Go(b.hire)
	}
}

func (b *blamer) abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.begun {
		return
	}
	b.begun = false
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

// hire starts the scribe and hands over to it when it is ready.
func (b *blamer) hire() {
	r, w, err := os.Pipe()
	if err != nil {
		b.say(err)
		return
	}
	defer r.Close()
	child, err := os.StartProcess(b.program, []string{scribeName, TimelineFlag, b.dir, b.boot}, &os.ProcAttr{
		Dir: "/", Files: []*os.File{nil, w, nil}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	w.Close()
	if err != nil {
		b.say(err)
		return
	}
	go func() { _, _ = child.Wait() }() // ends with the scribe, or with this process
	b.mu.Lock()
	if b.begun {
		b.child = child
	} else {
		_ = child.Kill() // called off meanwhile
	}
	b.mu.Unlock()
	if err := r.SetReadDeadline(time.Now().Add(scribeReady)); err != nil {
		b.say(err)
	}
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil || line != "ready\n" {
		b.say(fmt.Errorf("the scribe is not ready: %q %w", line, err))
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.passed = true
}

// wait returns when the scribe has taken over, if one was asked for, and what
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

// Scribe is the process that witnesses the rest of a shutdown. It returns when the
// machine has not gone down for an hour, or with an error when it cannot see.
// Nothing can end it but SIGKILL, and the end of the machine.
func Scribe(dir, boot string, ready io.Writer) error {
	signal.Ignore(unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGPIPE)
	k, err := trial.Open()
	if err != nil {
		return err
	}
	source, err := blame.Load(k)
	k.Close()
	if err != nil {
		return err
	}
	if err := source.Begin(); err != nil {
		return errors.Join(err, source.Close())
	}
	out := openJournal(dir, boot, func(string, error) {})
	ctx, cancel := context.WithTimeout(context.Background(), scribeLife)
	defer cancel()
	if _, err := io.WriteString(ready, "ready\n"); err != nil {
		return errors.Join(err, source.Close())
	}
	err = source.Watch(ctx, out.add)
	out.close()
	return errors.Join(err, source.Close())
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
	j.pmsg, _ = os.OpenFile("/dev/pmsg0", os.O_WRONLY, 0) // without ramoops there is none
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
