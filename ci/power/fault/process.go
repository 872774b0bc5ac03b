package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// signalFault sends a signal to every process of a name: "signal STOP shisad".
func signalFault(args []string) (func() error, error) {
	flags := flag.NewFlagSet("signal", flag.ContinueOnError)
	if err := parse(flags, args, 2); err != nil {
		return nil, err
	}
	number := unix.SignalNum("SIG" + flags.Arg(0))
	if number == 0 {
		return nil, fmt.Errorf("no signal %q", flags.Arg(0))
	}
	pids, err := named(flags.Arg(1))
	if err != nil {
		return nil, err
	}
	return func() error {
		for _, pid := range pids {
			if err := unix.Kill(pid, number); err != nil {
				return fmt.Errorf("signal %d: %w", pid, err)
			}
		}
		return nil
	}, nil
}

// named returns the processes with that program name; none is an error.
func named(program string) ([]int, error) {
	comms, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, path := range comms {
		comm, err := os.ReadFile(path)
		if err != nil || strings.TrimSpace(string(comm)) != program {
			continue // gone, or another
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	if len(pids) == 0 {
		return nil, fmt.Errorf("no process is called %q", program)
	}
	return pids, nil
}

// hog keeps every CPU busy with a real-time thread, for ever. What the kernel does
// to protect others from that is turned off: the throttling of real-time tasks, and
// the fair server that followed it in 6.12 (kernel/sched/deadline.c).
func hog(args []string) (func() error, error) {
	flags := flag.NewFlagSet("hog", flag.ContinueOnError)
	priority := flags.Uint("priority", 1, "SCHED_FIFO priority, 1 to 99")
	if err := parse(flags, args, 0); err != nil {
		return nil, err
	}
	if err := os.WriteFile("/proc/sys/kernel/sched_rt_runtime_us", []byte("-1"), 0); err != nil {
		return nil, err
	}
	if err := stopFairServer(); err != nil {
		return nil, err
	}
	return func() error {
		cpus := runtime.NumCPU()
		runtime.GOMAXPROCS(cpus + 1) // none waits for another's
		failed := make(chan error, cpus)
		var ready atomic.Int32
		for cpu := range cpus {
			go func() {
				failed <- spin(cpu, uint32(*priority), func() {
					for ready.Add(1); ready.Load() < int32(cpus); {
						runtime.Gosched()
					}
				})
			}()
		}
		return <-failed
	}, nil
}

func stopFairServer() error {
	const debug = "/sys/kernel/debug"
	if err := unix.Mount("debugfs", debug, "debugfs", 0, ""); err != nil && err != unix.EBUSY {
		return fmt.Errorf("mount debugfs: %w", err)
	}
	files, err := filepath.Glob(debug + "/sched/fair_server/*/runtime")
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := os.WriteFile(file, []byte("0"), 0); err != nil {
			return err
		}
	}
	return nil
}

// spin makes the calling thread a real-time one on one CPU and never gives it up. It
// waits until all spinners have a thread: the first to start would keep Go from
// starting the others.
func spin(cpu int, priority uint32, together func()) error {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("move to CPU %d: %w", cpu, err)
	}
	together()
	attr := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: priority}
	if err := unix.SchedSetAttr(0, attr, 0); err != nil {
		return fmt.Errorf("become SCHED_FIFO %d: %w", priority, err)
	}
	for turns := 0; ; turns++ { // never gives up the CPU
	}
}

// execFault becomes another program: "exec shisa shutdown".
func execFault(args []string) (func() error, error) {
	if len(args) == 0 {
		return nil, errors.New("exec: no program")
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return nil, err
	}
	return func() error { return unix.Exec(path, args, os.Environ()) }, nil
}

// ignoreTerm is a process that ignores SIGTERM.
func ignoreTerm(args []string) (func() error, error) {
	if err := parse(flag.NewFlagSet("ignore-term", flag.ContinueOnError), args, 0); err != nil {
		return nil, err
	}
	return func() error {
		signal.Ignore(unix.SIGTERM, unix.SIGHUP, unix.SIGINT)
		for {
			time.Sleep(time.Hour)
		}
	}, nil
}

// memory takes all memory there is, out of the OOM killer's reach.
func memory(args []string) (func() error, error) {
	if err := parse(flag.NewFlagSet("memory", flag.ContinueOnError), args, 0); err != nil {
		return nil, err
	}
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0); err != nil {
		return nil, err
	}
	return func() error {
		const step = 1 << 20
		for {
			data, err := unix.Mmap(-1, 0, step, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_POPULATE)
			if err != nil {
				time.Sleep(10 * time.Millisecond) // what others free is taken next
				continue
			}
			for i := 0; i < len(data); i += os.Getpagesize() {
				data[i] = 1
			}
		}
	}, nil
}

// clockPause is from one jump of the clock to the next.
const clockPause = 3 * time.Second

// clock sets the wall clock forward and back, by each of the spans: "clock 5h -10h".
func clock(args []string) (func() error, error) {
	var spans []time.Duration
	for _, arg := range args {
		by, err := time.ParseDuration(arg)
		if err != nil {
			return nil, err
		}
		spans = append(spans, by)
	}
	if len(spans) == 0 {
		return nil, errors.New("clock: by how much?")
	}
	return func() error {
		for _, by := range spans {
			ts := unix.NsecToTimespec(time.Now().Add(by).UnixNano())
			if err := unix.ClockSettime(unix.CLOCK_REALTIME, &ts); err != nil {
				return fmt.Errorf("set the clock by %v: %w", by, err)
			}
			time.Sleep(clockPause)
		}
		return nil
	}, nil
}
