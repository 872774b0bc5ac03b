package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"shisa/bpf"
	"shisa/bpf/beats"
	"shisa/bpf/exits"
)

// The default set at work is watched for so long, among so many tasks that sleep.
const (
	setTime  = 10 * time.Second
	setTasks = 1000
)

// sleepers makes n threads that sleep, and is never back.
func sleepers(n int) {
	for range n {
		go func() {
			ts := unix.NsecToTimespec(int64(time.Hour))
			unix.Nanosleep(&ts, nil)
		}()
	}
	time.Sleep(time.Hour)
}

// wholeSet measures what the default set costs a machine that does nothing else, as a
// part of one CPU: the time of the programs, and that of this process, which looks at
// all tasks once a second and listens.
func wholeSet(set *bpf.Set) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	others := exec.Command(self, "-asleep", strconv.Itoa(setTasks))
	others.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := others.Start(); err != nil {
		return err
	}
	defer func() { others.Process.Kill(); others.Wait() }()
	account, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		return fmt.Errorf("have the kernel count the time of programs: %w", err)
	}
	defer account.Close()
	time.Sleep(beginning)

	ctx, cancel := context.WithTimeout(context.Background(), setTime)
	defer cancel()
	if kernel, ok := set.Exits.(*exits.Kernel); ok { // as the daemon does: nobody waits for a death
		if only, err := kernel.Only(); err == nil {
			defer func() { _ = only.Close() }() // the programs are about to be unloaded
		}
	}
	var wg sync.WaitGroup
	var failed [2]error
	wg.Go(func() { failed[0] = set.Exits.Watch(ctx, func(exits.Exit) {}) })
	if set.Beats != nil {
		wg.Go(func() { failed[1] = set.Beats.Watch(ctx, func(beats.Miss) {}) })
	}
	programs, outside := spent(nil), spent(walksTasks)
	begin, ours := time.Now(), used() // what looking at the programs took is not part of it
	for range int(setTime / time.Second) {
		if _, err := set.Tasks.Scan(); err != nil {
			return err
		}
		if set.Blocks != nil {
			if _, err := set.Blocks.Scan(); err != nil {
				return err
			}
		}
		time.Sleep(time.Second)
	}
	share := func(d time.Duration) float64 { return 100 * float64(d) / float64(time.Since(begin)) }
	line("set_cpu_1000_tasks", share(used()-ours+spent(walksTasks)-outside), "%", "<=0.2", "-")
	line("set_cpu_1000_tasks_programs", share(spent(nil)-programs), "%", "-", "-")
	cancel()
	wg.Wait()
	return errors.Join(failed[:]...)
}

// used is the CPU time of this process.
func used() time.Duration {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// walksTasks is the program that runs while this process reads: its time is ours already.
func walksTasks(name string) bool { return name == "tasks_iter" }

// spent is the time that the programs of this process took, wherever they ran, but for
// those that except names.
func spent(except func(program string) bool) (total time.Duration) {
	names, _ := filepath.Glob("/proc/self/fdinfo/*")
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(text, []byte("prog_id:")) || !bytes.Contains(text, []byte("run_time_ns:")) {
			continue
		}
		if except != nil && except(program(string(text))) {
			continue
		}
		total += time.Duration(number(string(text), "run_time_ns:"))
	}
	return total
}

// program is the name of the program that a descriptor's information is about.
func program(fdinfo string) string {
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(number(fdinfo, "prog_id:")))
	if err != nil {
		return ""
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return ""
	}
	return info.Name
}

// number is what stands behind a key.
func number(fdinfo, key string) int64 {
	_, value, _ := strings.Cut(fdinfo, key)
	n, _ := strconv.ParseInt(strings.Fields(value + " 0")[0], 10, 64)
	return n
}
