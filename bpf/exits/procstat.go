package exits

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// stat is what /proc/PID/stat says about a process (proc_pid_stat(5)).
type stat struct {
	ID
	Comm    string
	State   byte // 'Z': dead, not yet collected by its parent
	Parent  int
	Threads int // a dead leader whose threads live on is a 'Z' with more than one
	Code    int // wait status; 0 also when we may not know
}

// dead reports whether the whole process has ended.
func (s *stat) dead() bool { return (s.State == 'Z' || s.State == 'X') && s.Threads <= 1 }

var errStat = errors.New("not a line of /proc/PID/stat")

// Identify returns the identity of the process that has this number now.
func Identify(pid int) (ID, error) {
	var s stat
	err := s.read(pid)
	return s.ID, err
}

// read fills s for the process that has this number now.
func (s *stat) read(pid int) error {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("look at process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	var line [1024]byte // it is at most some 500 bytes
	n, err := unix.Read(fd, line[:])
	if err != nil { // ESRCH: it died between open and read
		return fmt.Errorf("look at process %d: %w", pid, err)
	}
	return s.parse(line[:n])
}

// parse reads one line. The name is in parentheses and may hold any byte,
// parentheses and blanks too, so the last ')' ends it.
func (s *stat) parse(line []byte) error {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 1 || end < open {
		return errStat
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(line[:open])))
	if err != nil {
		return errStat
	}
	const first = 3 // number of the first field after the name
	fields := bytes.Fields(line[end+1:])
	number := func(field int) (v uint64) {
		if err != nil || field-first >= len(fields) {
			err = errStat
			return 0
		}
		v, err = strconv.ParseUint(string(fields[field-first]), 10, 64)
		return v
	}
	if len(fields) == 0 || len(fields[0]) != 1 {
		return errStat
	}
	s.PID, s.Comm, s.State = pid, string(line[open+1:end]), fields[0][0]
	s.Parent, s.Threads, s.Start = int(number(4)), int(number(20)), number(22)
	if err != nil {
		return errStat
	}
	s.Code = 0
	if len(fields) > 52-first { // since 3.5
		s.Code = int(number(52))
	}
	return nil
}

// exit describes the death of the process that s was read from.
func (s *stat) exit() Exit {
	e := Exit{ID: s.ID, Parent: s.Parent, Comm: s.Comm}
	if s.dead() && os.Geteuid() == 0 { // others read exit_code as 0
		e.Status = Status{WaitStatus: syscall.WaitStatus(s.Code), Known: true}
	}
	return e
}

// processes calls yield with each process number in /proc.
func processes(yield func(pid int)) error {
	dir, err := os.Open("/proc")
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			yield(pid)
		}
	}
	return nil
}
