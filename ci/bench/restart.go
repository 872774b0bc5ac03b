package main

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
	"time"

	"golang.org/x/sys/unix"
)

// The service that is killed is a shell script, as such services are. It tells its
// process number through a named pipe beside it as the first thing it does.
const (
	childName  = "shisa-bench-child"
	birthsName = "births"
)

func monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err) // the clock always exists
	}
	return time.Duration(ts.Nano())
}

// births receives what children tell.
type births struct {
	pipe   *os.File
	told   chan birth
	kernel *chronicle
}

type birth struct {
	at  time.Duration
	pid int
}

// newBirths makes the pipe and the script in dir.
func newBirths(dir string) (b births, script string, err error) {
	path := filepath.Join(dir, birthsName)
	script = filepath.Join(dir, childName)
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return b, "", err
	}
	text := fmt.Sprintf("#!/bin/sh\necho $$ >%s\nexec sleep 100000\n", path)
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		return b, "", err
	}
	// Opened for writing too: then it never ends between two children. A blocking
	// read in a thread of its own wakes up sooner than one through the poller.
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return b, "", err
	}
	b = births{pipe: os.NewFile(uintptr(fd), path), told: make(chan birth, 100)}
	if b.kernel, err = chronicler(); err != nil {
		return b, "", err
	}
	go b.listen(fd)
	return b, script, nil
}

// listen ends with the program: what blocks in read(2) cannot be stopped.
func (b births) listen(fd int) {
	runtime.LockOSThread()
	var buf [64]byte
	for {
		n, err := unix.Read(fd, buf[:])
		at := monotonic()
		if err != nil {
			close(b.told)
			return
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(string(buf[:n]))); err == nil {
			b.told <- birth{at, pid}
		}
	}
}

// next waits for the next child and returns when it ran and its pid.
func (b births) next(limit time.Duration) (at time.Duration, pid int, err error) {
	select {
	case c, ok := <-b.told:
		if !ok {
			return 0, 0, errors.New("the pipe of the children is broken")
		}
		return c.at, c.pid, nil
	case <-time.After(limit):
		return 0, 0, errors.New("no child was started")
	}
}

// A restart is one, by the kernel's clock and as seen from outside.
type restart struct {
	exec time.Duration // from the end of the old process to the script's being executed
	word time.Duration // from kill(2) to the script's first word
}

// kills kills the child n times. pause lets a supervisor that throttles come to rest.
func (b births) kills(n int, pause, limit time.Duration) (all []restart, err error) {
	_, pid, err := b.next(time.Minute)
	if err != nil {
		return nil, err
	}
	for range n {
		time.Sleep(pause)
		begin := monotonic()
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			return all, err
		}
		at, next, err := b.next(limit)
		if err != nil {
			return all, err
		}
		time.Sleep(pause / 10) // the kernel's own word comes by another way
		if exec, ok := b.kernel.between(pid, next); ok {
			all = append(all, restart{exec, at - begin})
		}
		pid = next
	}
	return all, unix.Kill(pid, unix.SIGKILL)
}

func execs(all []restart) (times []time.Duration) {
	for _, r := range all {
		times = append(times, r.exec)
	}
	return times
}

func words(all []restart) (times []time.Duration) {
	for _, r := range all {
		times = append(times, r.word)
	}
	return times
}

// restartTime: from the death of a process to its successor running.
func restartTime(ctx context.Context, r *rig) ([]figure, error) {
	b, script, err := newBirths(r.dir)
	if err != nil {
		return nil, err
	}
	defer b.kernel.close() //nolint:errcheck // it was read only
	peers := r.supervisors(ctx, b, script)
	i, err := r.start(ctx, `mode = "protect"
[keepalive]
method = "none"
backstop = "none"
[[group]]
name = "g"
[[resource]]
name = "service"
type = "exec"
group = "g"
start = "`+script+`"
start_sync = false
[[monitor]]
name = "service"
type = "pid"
target = "service"
[monitor.recovery]
restarts = 99
backoff = "0s"
`)
	if err != nil {
		return nil, err
	}
	defer i.stop() //nolint:errcheck // measured already
	samples, err := b.kills(r.samples(90), 300*time.Millisecond, 30*time.Second)
	if err != nil {
		return nil, err
	}
	note := "from the end of the process to its successor's exec, by the kernel's clock"
	return []figure{
		{Name: "death_to_restart_p50", Value: quantile(execs(samples), 0.5), Unit: "ms", Aim: "<= 1", Peers: peers.at(0.5, execs), Note: note},
		{Name: "death_to_restart_p99", Value: quantile(execs(samples), 0.99), Unit: "ms", Aim: "<= 5", Peers: peers.at(0.99, execs)},
		{Name: "kill_to_first_word_p50", Value: quantile(words(samples), 0.5), Unit: "ms", Peers: peers.at(0.5, words), Note: "a shell's own start included"},
	}, nil
}

// restarts are those of each peer.
type restarts map[string][]restart

func (p restarts) at(q float64, of func([]restart) []time.Duration) map[string]float64 {
	values := map[string]float64{}
	for name, all := range p {
		values[name] = quantile(of(all), q)
	}
	return values
}

// supervisors measures the peers with the same script.
func (r *rig) supervisors(ctx context.Context, b births, script string) restarts {
	peers := restarts{}
	for name, run := range map[string]func(dir string) *exec.Cmd{
		"runit": func(dir string) *exec.Cmd { return r.peer(ctx, "usr/bin/runsv", dir) },
		"s6":    func(dir string) *exec.Cmd { return r.peer(ctx, "usr/bin/s6-supervise", dir) },
		"supervisor": func(dir string) *exec.Cmd {
			conf := filepath.Join(dir, "conf")
			text := fmt.Sprintf("[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=%s\n[program:child]\ncommand=%s\nstartsecs=0\n",
				filepath.Join(dir, "pid"), script)
			if os.WriteFile(conf, []byte(text), 0o600) != nil {
				return nil
			}
			return r.python(ctx, "usr/bin/supervisord", "-c", conf)
		},
	} {
		dir := filepath.Join(r.dir, name)
		if r.peers == "" || os.MkdirAll(dir, 0o755) != nil || os.Symlink(script, filepath.Join(dir, "run")) != nil {
			continue
		}
		cmd := run(dir)
		if cmd == nil || cmd.Start() != nil {
			continue
		}
		samples, err := b.kills(r.samples(40), 1100*time.Millisecond, 10*time.Second)
		_ = cmd.Process.Kill() // before it starts another child, most times
		_ = cmd.Wait()
		if err == nil {
			peers[name] = samples
		} else {
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", name, err)
		}
		if _, pid, err := b.next(500 * time.Millisecond); err == nil {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
	return peers
}
