package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// root is where the proc file system is mounted.
const root = "/proc"

// An ID names one process for as long as the machine runs.
type ID struct {
	PID   int
	Start uint64 // clock ticks from boot: proc(5), /proc/PID/stat field 22
}

// String returns "1234@567890", as it appears in records and logs.
func (id ID) String() string { return fmt.Sprintf("%d@%d", id.PID, id.Start) }

// Alive reports whether the process still exists and has not ended: a zombie,
// which only waits to be reaped by its parent, is not alive. One that cannot be
// looked at counts as alive.
func (id ID) Alive() bool {
	alive, err := id.Lives()
	return alive || err != nil
}

// Lives is Alive for those who must know when the process cannot be looked at.
func (id ID) Lives() (bool, error) {
	s, err := Read(id.PID)
	if errors.Is(err, ErrGone) {
		return false, nil
	}
	return err == nil && s.Start == id.Start && !s.Ended(), err
}

// A Stat is what the kernel says about a process in /proc/PID/stat.
type Stat struct {
	ID
	Comm    string // file name of the program, at most 15 bytes; the process may set it to anything
	State   byte   // 'R', 'S', 'D', 'Z' …: proc(5)
	Parent  int
	Group   int    // process group
	Session int    // session
	Ticks   uint64 // CPU time used, user and system, in clock ticks
	Threads int
}

// Ended reports whether the process has exited and only waits to be reaped.
func (s Stat) Ended() bool { return s.State == 'Z' || s.State == 'X' || s.State == 'x' }

// ErrGone says that there is no such process (any more).
var ErrGone = errors.New("no such process")

// ErrHidden says that there are processes which /proc does not show.
var ErrHidden = errors.New(root + " does not show every process: mount it, without the option hidepid")

// Read returns the state of a process. The error is ErrGone when there is none.
func Read(pid int) (Stat, error) {
	// 52 numbers of at most 20 digits and a name of at most 64 bytes.
	var buf [2048]byte
	n, err := readInto(pid, "stat", buf[:])
	if errors.Is(err, ErrGone) && exists(pid) { // it has come just now, or is hidden
		if n, err = readInto(pid, "stat", buf[:]); errors.Is(err, ErrGone) && exists(pid) {
			err = ErrHidden
		}
	}
	if err != nil {
		return Stat{}, err
	}
	s, err := parseStat(buf[:n])
	if err != nil {
		return Stat{}, fmt.Errorf("read state of process %d: %w", pid, err)
	}
	return s, nil
}

// Identify returns the ID of the process that has pid now.
func Identify(pid int) (ID, error) {
	s, err := Read(pid)
	return s.ID, err
}

// exists asks the kernel without /proc (getpgid(2)).
func exists(pid int) bool {
	_, err := unix.Getpgid(pid)
	return pid > 0 && !errors.Is(err, unix.ESRCH)
}

// readInto reads a file of /proc/PID in one system call: the kernel then
// answers from one moment.
func readInto(pid int, file string, buf []byte) (int, error) {
	path := root + "/" + strconv.Itoa(pid) + "/" + file
	fd, err := open(path)
	if err != nil {
		return 0, gone(path, err)
	}
	defer unix.Close(fd)
	n, err := read(fd, buf)
	return n, gone(path, err)
}

// open opens a file of /proc without package os, which would offer each one to
// the poller.
func open(path string) (fd int, err error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) }

func read(fd int, buf []byte) (int, error) {
	for {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		return max(n, 0), err
	}
}

func gone(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ESRCH):
		return ErrGone
	}
	return &os.PathError{Op: "read", Path: path, Err: err}
}

var space = []byte{' '}

var errStat = errors.New("unknown form of /proc/PID/stat")

// Positions of fields after the name in parentheses. proc(5) counts from 1 and
// includes the number and the name.
const (
	fieldState   = 0  // (3) in proc(5)
	fieldParent  = 1  // (4)
	fieldGroup   = 2  // (5)
	fieldSession = 3  // (6)
	fieldUser    = 11 // (14)
	fieldSystem  = 12 // (15)
	fieldThreads = 17 // (20)
	fieldStart   = 19 // (22)
)

// parseStat reads one line of /proc/PID/stat. The name stands in parentheses
// and may itself hold parentheses, spaces and line feeds, so it ends at the
// last closing one: only numbers follow.
func parseStat(b []byte) (Stat, error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 2 || end < open {
		return Stat{}, errStat
	}
	var s Stat
	var bad error
	number := func(f []byte) uint64 {
		n, err := strconv.ParseUint(string(f), 10, 64)
		if err != nil {
			bad = errStat
		}
		return n
	}
	s.PID = int(number(bytes.TrimSpace(b[:open])))
	s.Comm = string(b[open+1 : end])
	rest := bytes.TrimLeft(b[end+1:], " ")
	for i := 0; len(rest) > 0; i++ {
		var f []byte
		f, rest, _ = bytes.Cut(rest, space)
		switch i {
		case fieldState:
			if len(f) != 1 {
				return Stat{}, errStat
			}
			s.State = f[0]
		case fieldParent:
			s.Parent = int(number(f))
		case fieldGroup:
			s.Group = int(number(f))
		case fieldSession:
			s.Session = int(number(f))
		case fieldUser, fieldSystem:
			s.Ticks += number(f)
		case fieldThreads:
			s.Threads = int(number(f))
		case fieldStart:
			s.Start = number(f)
			return s, bad
		}
	}
	return Stat{}, errStat
}

// CommandLimit bounds what Command reads, in bytes. A command line may be as
// long as the stack limit allows (megabytes); no pattern needs more than this.
const CommandLimit = 32 << 10

// Command returns the command line of a process with its arguments separated
// by single spaces, cut at CommandLimit. It is empty for kernel threads and
// for processes that have ended. The process may have set it to anything, also
// to bytes that are no text.
func Command(pid int) (string, error) {
	path := root + "/" + strconv.Itoa(pid) + "/cmdline"
	fd, err := open(path)
	if err != nil {
		return "", gone(path, err)
	}
	defer unix.Close(fd)
	var first [512]byte // enough for nearly all
	buf, n := first[:], 0
	for {
		m, err := read(fd, buf[n:])
		n += m
		if m == 0 || err != nil || n == CommandLimit {
			break
		}
		if n == len(buf) {
			buf = append(buf, make([]byte, min(len(buf)*3, CommandLimit-n))...)
		}
	}
	return joinArguments(buf[:n]), nil
}

// joinArguments turns NUL-terminated arguments into one line, in place.
func joinArguments(b []byte) string {
	b = bytes.TrimRight(b, "\x00")
	for i := range b {
		if b[i] == 0 {
			b[i] = ' '
		}
	}
	return string(b)
}

// List returns every process, without threads, in order of number. Processes that
// end meanwhile are left out. With an error, those that could be looked at are
// returned all the same; it is ErrHidden when even the first one, which always
// lives, is not there.
func List() ([]Stat, error) {
	dir, err := os.Open(root)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	all := make([]Stat, 0, len(names))
	var unread error
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		switch s, err := Read(pid); {
		case err == nil:
			all = append(all, s)
		case !errors.Is(err, ErrGone):
			unread = err
		}
	}
	if unread == nil && !slices.ContainsFunc(all, func(s Stat) bool { return s.PID == 1 }) {
		unread = ErrHidden
	}
	return all, unread
}
