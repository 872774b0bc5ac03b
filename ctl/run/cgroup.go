package run

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/proc"
)

// A cgroup holds one command with all that it starts, also what leaves the
// process group by setsid or a double fork. A nil cgroup is the fallback: the
// process group alone.
type cgroup struct {
	dir string
	fd  int // of dir, for clone3
}

// cgroupSeq tells the control groups of one name apart.
var cgroupSeq atomic.Uint64

// base is the folder for our control groups, below the one that we run in
// ourselves: systemd gives it to us with Delegate=yes.
var base = sync.OnceValues(func() (string, error) {
	mount, err := cgroupMount("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		if own, ok := strings.CutPrefix(line, "0::"); ok {
			dir := filepath.Join(mount, strings.TrimSpace(own), "shisa-commands")
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
				return "", err
			}
			sweep(dir)
			return dir, nil
		}
	}
	return "", errors.New("we are in no control group of version 2")
})

// sweep removes what earlier runs have left and nothing lives in any more.
func sweep(dir string) {
	old, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range old {
		if e.IsDir() {
			_ = os.Remove(filepath.Join(dir, e.Name())) // EBUSY: somebody lives there
		}
	}
}

// Containment says how commands are held together: the folder of the control
// groups, or why there is only the process group, which a command can leave.
func Containment() (dir string, err error) { return base() }

// cgroupMount finds where control groups of version 2 are mounted; proc(5)
// describes the file.
func cgroupMount(mountinfo string) (string, error) {
	f, err := os.Open(mountinfo)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		mount, filesystem, ok := strings.Cut(s.Text(), " - ")
		fields := strings.Fields(mount)
		if ok && len(fields) >= 5 && strings.HasPrefix(filesystem, "cgroup2 ") {
			return fields[4], nil
		}
	}
	return "", errors.New("control groups of version 2 are not mounted")
}

func newCgroup(name string) *cgroup {
	parent, err := base()
	if err != nil {
		return nil
	}
	dir := filepath.Join(parent, fmt.Sprintf("%s.%d.%d", cgroupName(name), os.Getpid(), cgroupSeq.Add(1)))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		os.Remove(dir)
		return nil
	}
	return &cgroup{dir, fd}
}

// cgroupName keeps what is safe in the name of a folder.
func cgroupName(name string) string {
	const limit = 100 // bytes; NAME_MAX is 255
	safe := strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f && r != '/' {
			return r
		}
		return '_'
	}, name)
	return strings.TrimLeft(safe[:min(len(safe), limit)], ".")
}

// release lets go of the descriptor; it is needed for clone3 only.
func (g *cgroup) release() {
	if g != nil && g.fd >= 0 {
		unix.Close(g.fd)
		g.fd = -1
	}
}

// remove deletes the control group if nothing lives in it any more.
func (g *cgroup) remove() {
	if g == nil {
		return
	}
	g.release()
	_ = os.Remove(g.dir) // EBUSY: what was left behind on purpose lives in it
}

// empty reports whether no process lives in the control group or below.
func (g *cgroup) empty() bool {
	b, err := os.ReadFile(filepath.Join(g.dir, "cgroup.events"))
	return err != nil || bytes.Contains(b, []byte("populated 0"))
}

// kill ends every process in it with SIGKILL. Linux 5.14 does that in one
// write and lets no fork slip through; before, we repeat until none is left.
func (g *cgroup) kill() {
	if os.WriteFile(filepath.Join(g.dir, "cgroup.kill"), []byte("1"), 0) == nil {
		return
	}
	const rounds, pause = 50, 2 * time.Millisecond
	for range rounds {
		handles := g.open()
		if len(handles) == 0 {
			return
		}
		// A number may have passed on between the list and the handle. What
		// still stands in the list now is held by the handle, or is dead and
		// takes no signal.
		still := g.numbers()
		for _, h := range handles {
			if slices.Contains(still, h.ID().PID) {
				_ = h.Signal(syscall.SIGKILL)
			}
			h.Close()
		}
		time.Sleep(pause)
	}
}

func (g *cgroup) open() []*proc.Handle {
	var handles []*proc.Handle
	for _, pid := range g.numbers() {
		id, err := proc.Identify(pid)
		if err != nil {
			continue
		}
		if h, err := proc.Open(id); err == nil {
			handles = append(handles, h)
		}
	}
	return handles
}

// numbers lists what lives in the control group itself.
func (g *cgroup) numbers() []int {
	b, err := os.ReadFile(filepath.Join(g.dir, "cgroup.procs"))
	if err != nil {
		return nil
	}
	var pids []int
	for line := range strings.Lines(string(b)) {
		if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}
