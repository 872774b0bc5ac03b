// Package witness is the child of shisa-keeper that writes down why the machine
// is about to be reset, because the keeper itself never touches a file system:
// if the disk hangs, only the witness hangs.
//
// It is started and rehearsed when all is well, so that in need it makes no
// process, loads no page of its program and allocates no block. It waits for
// the keeper's messages, and looks every second whether the keeper itself still
// gets a processor. What it finds goes, in this order, to the kernel's log, to
// pstore (/dev/pmsg0) and the event log of a BMC where there are such, and to the
// file of last words; first what a few files tell, then what all tasks tell.
package witness

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/beat"
)

const (
	socketFD    = 3
	lookEvery   = time.Second
	starvedFrom = 3 * time.Second // since the keeper's last round, which is due each second
	memoryLimit = 16 << 20        // when the garbage collector starts after all
	pmsgLimit   = 1600            // bytes of one record: the area may have 4 KiB (ramoops) and wraps around
	priority    = 98              // below the keeper's 99
)

// Main is the program of the witness: page, file of last words and the keeper's
// process id are its arguments, its end of the keeper's socket is descriptor 3.
// It ends when the keeper does.
func Main(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("started by shisa-keeper with 3 arguments, not %d", len(args))
	}
	page, err := beat.Open(args[0])
	if err != nil {
		return err
	}
	keeper, err := strconv.Atoi(args[2])
	if err != nil {
		return fmt.Errorf("process id %q: %w", args[2], err)
	}
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(memoryLimit)
	runtime.LockOSThread()
	debug.SetPanicOnFault(true)
	r, err := openRing(args[1])
	if err != nil {
		return err
	}
	w := &witness{page: page, keeper: keeper, write: r.write, now: beat.Now, files: &source{root: "/"}, box: mailbox{post: post}}
	w.boot = w.files.line("proc/sys/kernel/random/boot_id")
	w.pmsg, _ = unix.Open("/dev/pmsg0", unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	w.kmsg, _ = unix.Open("/dev/kmsg", unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	w.rehearse()
	unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT) // the keeper shows what it lacks
	stepBack(priority)
	setDeadline() // where that is not possible, the priority has to do
	return w.attend(socketFD)
}

type witness struct {
	page   *beat.Page
	keeper int
	boot   string
	kmsg   int // -1: none
	pmsg   int // -1: none
	write  func(text []byte) error
	now    func() beat.Time
	files  *source
	box    mailbox

	starved bool
}

// attend waits for messages until the keeper is gone.
func (w *witness) attend(fd int) error {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	var buf [MessageSize + 1]byte
	for {
		n, err := unix.Poll(poll, int(lookEvery/time.Millisecond))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return err
		case n == 0:
			w.look()
			continue
		}
		switch n, err = unix.Read(fd, buf[:]); {
		case err == unix.EINTR:
			continue
		case err != nil || n == 0:
			return err // the keeper has gone
		}
		if m, err := Parse(buf[:n]); err == nil {
			w.testify(m)
		}
	}
}

// look finds out by itself that the keeper gets no processor.
func (w *witness) look() {
	if !w.page.Intact() {
		return
	}
	k := w.page.Keeper()
	since := w.now().Sub(beat.Time(k.Round.Load()))
	starved := int(k.PID.Load()) == w.keeper && since >= starvedFrom
	if starved && !w.starved {
		limit := time.Duration(w.page.Engine(0).Timeout.Load())
		w.testify(Message{Phase: Starved, Slot: -1, Age: since, Limit: limit, Daemon: int64(w.page.PID())})
	}
	w.starved = starved
}

// testify writes down what m is about: first in the instant, then in full.
func (w *witness) testify(m Message) {
	r := w.record(m)
	w.files.quick(r, int(m.Daemon))
	if m.Absent {
		r.Daemon.State = "absent"
	}
	r.judge()
	w.log(r)
	w.box.offer(r, w.now())
	w.write(r.text(TextLimit)) // nobody could be told of an error
	if m.Phase == Recovered {
		return
	}
	until := w.now().Add(taskTime)
	w.files.tasks(r, []int{os.Getpid(), w.keeper}, func() bool { return w.now() > until })
	r.Complete = true
	before := r.Cause
	r.judge()
	if r.Cause != before {
		w.log(r)
	}
	w.write(r.text(TextLimit))
}

// record begins a record with what the page tells.
func (w *witness) record(m Message) *Record {
	now := w.now()
	r := &Record{
		Boot: w.boot, Time: time.Now(), Uptime: time.Duration(now).Milliseconds(),
		Phase: m.Phase.String(), Beat: "daemon", Age: m.Age.Milliseconds(), Limit: m.Limit.Milliseconds(),
		CPUs: runtime.NumCPU(),
	}
	if m.Phase == Starved {
		r.Beat = "keeper"
	}
	if !w.page.Intact() {
		return r
	}
	if m.Slot >= 0 {
		r.Beat = w.page.Name(int(m.Slot))
	}
	var b beat.Reading
	for i := range beat.MaxSlots {
		if w.page.Read(i, &b) {
			r.Beats = append(r.Beats, Beat{b.Name(), now.Sub(b.Last).Milliseconds(), b.Limit.Milliseconds(), b.Count})
		}
	}
	return r
}

// log tells the kernel's log in a sentence, and pstore in full as far as there
// is room. Neither touches a disk.
func (w *witness) log(r *Record) {
	line := fmt.Sprintf("shisa: last words (%s, %s): beat %s is %d ms old, limit %d ms: %s", r.Phase, r.Cause, r.Beat, r.Age, r.Limit, r.Text)
	if w.kmsg >= 0 {
		unix.Write(w.kmsg, []byte("<2>"+short(line, 900)+"\n"))
	}
	if w.pmsg >= 0 {
		unix.Write(w.pmsg, r.text(pmsgLimit))
	}
}

// rehearse does once all that will be done in need, but for the writing, so
// that program and memory for it are there.
func (w *witness) rehearse() {
	r := w.record(Message{Phase: Final, Slot: 0})
	w.files.quick(r, os.Getpid())
	until := w.now().Add(taskTime)
	w.files.tasks(r, nil, func() bool { return w.now() > until })
	r.judge()
	seal(make([]byte, SlotSize), 0, r.text(TextLimit))
	runtime.GC() // what the rehearsal used is there for the performance
}
