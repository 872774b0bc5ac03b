// Command hurt provokes in a guest what the witnesses are there to see.
//
//	hurt spin CPU PRIORITY SECONDS   takes one CPU, in real time if PRIORITY is above 0
//	hurt read DISK                   reads one block, past the page cache
//	hurt ignore-term                 does not stop when asked to
//	hurt ping DEVICE                 pings the watchdog that somebody has open, whatever happens
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "hurt:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 4 && args[0] == "spin":
		var n [3]int
		for i := range n {
			var err error
			if n[i], err = strconv.Atoi(args[i+1]); err != nil {
				return err
			}
		}
		return spin(n[0], n[1], time.Duration(n[2])*time.Second)
	case len(args) == 2 && args[0] == "read":
		return read(args[1])
	case len(args) == 1 && args[0] == "ignore-term":
		signal.Ignore(unix.SIGTERM)
		time.Sleep(time.Hour)
		return nil
	case len(args) == 2 && args[0] == "ping":
		return ping(args[1])
	}
	return errors.New("usage: hurt spin CPU PRIORITY SECONDS | read DISK | ignore-term | ping DEVICE")
}

// unpreempted is the environment in which Go's runtime does not interrupt a loop
// (runtime, "Environment Variables"): it would park the thread, and hand its processor
// to one of ordinary priority, which gets none here.
const unpreempted = "GODEBUG=asyncpreemptoff=1"

func spin(cpu, priority int, d time.Duration) error {
	if !slices.Contains(os.Environ(), unpreempted) {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		return unix.Exec(self, os.Args, append(os.Environ(), unpreempted))
	}
	runtime.LockOSThread()
	// First, for there it may never come to it.
	if priority > 0 {
		attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: uint32(priority)}
		if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
			return fmt.Errorf("become real-time: %w", err)
		}
	}
	var one unix.CPUSet
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("stay on CPU %d: %w", cpu, err)
	}
	const sample = 20_000_000
	begin := time.Now()
	burn(sample)
	burn(uint64(sample * (d.Seconds() / time.Since(begin).Seconds())))
	return nil
}

// burn counts down, and calls nothing that Go's scheduler could preempt.
//
//go:nosplit
func burn(n uint64) {
	for ; n > 0; n-- {
	}
}

func read(disk string) error {
	fd, err := unix.Open(disk, unix.O_RDONLY|unix.O_DIRECT, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", disk, err)
	}
	block, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	if _, err := unix.Pread(fd, block, 0); err != nil {
		return fmt.Errorf("read %s: %w", disk, err)
	}
	return nil
}

// ping keeps a countdown from running out, as a keeper would that judges nothing.
func ping(device string) error {
	fd, err := borrow(device)
	if err != nil {
		return fmt.Errorf("borrow %s: %w", device, err)
	}
	for {
		if _, err := unix.Write(fd, []byte{0}); err != nil {
			return fmt.Errorf("ping %s: %w", device, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// borrow returns a descriptor for the file that another process has open.
func borrow(name string) (int, error) {
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0, err
	}
	for _, link := range links {
		to, err := os.Readlink(link)
		if err != nil || to != name {
			continue
		}
		var pid, fd int
		if _, err := fmt.Sscanf(link, "/proc/%d/fd/%d", &pid, &fd); err != nil {
			return 0, err
		}
		pidfd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			return 0, err
		}
		defer func() { _ = unix.Close(pidfd) }()
		return unix.PidfdGetfd(pidfd, fd, 0)
	}
	return 0, errors.New("nobody has it open")
}
