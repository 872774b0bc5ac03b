package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// The service that is killed is this program under another name; it reports to
// a socket beside it.
const (
	childName  = "shisa-bench-child"
	birthsName = "births"
)

// child reports its pid and the time at which it began to run, and sleeps.
func child(socket string) {
	c, err := net.Dial("unixgram", socket)
	if err != nil {
		os.Exit(1)
	}
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], uint64(began))
	binary.LittleEndian.PutUint64(b[8:], uint64(os.Getpid()))
	if _, err := c.Write(b[:]); err != nil {
		os.Exit(1)
	}
	for {
		time.Sleep(time.Hour)
	}
}

// began is when this process began to run Go code.
var began = monotonic()

func monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err) // the clock always exists
	}
	return time.Duration(ts.Nano())
}

// births receives what children report.
type births struct{ c *net.UnixConn }

func newBirths(path string) (births, error) {
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	return births{c}, err
}

// next waits for the next child and returns when it began and its pid.
func (b births) next(limit time.Duration) (at time.Duration, pid int, err error) {
	if err := b.c.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return 0, 0, err
	}
	var m [16]byte
	if _, err := b.c.Read(m[:]); err != nil {
		return 0, 0, fmt.Errorf("no child was started: %w", err)
	}
	return time.Duration(binary.LittleEndian.Uint64(m[:8])), int(binary.LittleEndian.Uint64(m[8:])), nil
}

// kills kills the child n times and returns how long after each kill the next
// child ran. pause lets a supervisor that throttles come to rest.
func (b births) kills(n int, pause, limit time.Duration) ([]time.Duration, error) {
	_, pid, err := b.next(time.Minute)
	if err != nil {
		return nil, err
	}
	var samples []time.Duration
	for range n {
		time.Sleep(pause)
		begin := monotonic()
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			return samples, err
		}
		at, next, err := b.next(limit)
		if err != nil {
			return samples, err
		}
		samples, pid = append(samples, at-begin), next
	}
	return samples, nil
}

// restartTime: from the death of a process to its successor running.
func restartTime(ctx context.Context, r *rig) ([]figure, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	b, err := newBirths(filepath.Join(r.dir, birthsName))
	if err != nil {
		return nil, err
	}
	defer b.c.Close()
	script := filepath.Join(r.dir, childName)
	if err := os.Symlink(self, script); err != nil {
		return nil, err
	}
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
	samples, err := b.kills(r.samples(100), 300*time.Millisecond, 30*time.Second)
	if err != nil {
		return nil, err
	}
	return []figure{
		{Name: "death_to_restart_p50", Value: quantile(samples, 0.5), Unit: "ms", Aim: "<= 1", Peers: peers, Note: "start of the program included"},
		{Name: "death_to_restart_p99", Value: quantile(samples, 0.99), Unit: "ms", Aim: "<= 5"},
	}, nil
}

// writeRun makes the run script of a supervisor that knows no path of its own.
func writeRun(dir, program string) error {
	return os.WriteFile(filepath.Join(dir, "run"), []byte("#!/bin/sh\nexec "+program+"\n"), 0o755)
}

// supervisors measures the peers with the same script.
func (r *rig) supervisors(ctx context.Context, b births, script string) map[string]float64 {
	peers := map[string]float64{}
	for name, run := range map[string]func(dir string) *exec.Cmd{
		"runit": func(dir string) *exec.Cmd { return r.peer(ctx, "usr/bin/runsv", dir) },
		"s6":    func(dir string) *exec.Cmd { return r.peer(ctx, "usr/bin/s6-supervise", dir) },
	} {
		dir := filepath.Join(r.dir, name)
		if r.peers == "" || os.MkdirAll(dir, 0o755) != nil || writeRun(dir, script) != nil {
			continue
		}
		cmd := run(dir)
		if cmd == nil || cmd.Start() != nil {
			continue
		}
		samples, err := b.kills(r.samples(20), 1500*time.Millisecond, 10*time.Second)
		if err == nil {
			peers[name] = quantile(samples, 0.5)
		}
		_ = cmd.Process.Kill() // its child is an orphan that we end next
		_ = cmd.Wait()
		_ = exec.CommandContext(ctx, "pkill", "-KILL", "-f", script).Run()
	}
	return peers
}
