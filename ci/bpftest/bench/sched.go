package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"shisa/bpf"
	"shisa/bpf/beats"
)

// benchmarks of the scheduler that perf(1) has: the second is hackbench.
var benchmarks = map[string][]string{
	"pipe":      {"bench", "sched", "pipe", "-l", "300000"},
	"hackbench": {"bench", "sched", "messaging", "-g", "4", "-l", "100"},
}

// perf runs one of them and returns the CPU time that it took, in seconds, which
// other work on this machine disturbs less than the time that passed; 0: perf is
// not here. On one CPU: whether two tasks that talk meet on one or on two makes more of a
// difference than anything that is to be seen here.
func perf(name string) float64 {
	c := exec.Command("taskset", append([]string{"-c", "0", "perf"}, benchmarks[name]...)...)
	if c.Run() != nil {
		return 0
	}
	return (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds()
}

// hotPath compares what switches between tasks all the time, with the set loaded
// and without, in turns: the default set has no program on that path. It closes
// the set.
func hotPath(set *bpf.Set) error {
	names := []string{"pipe", "hackbench"}
	with, without := map[string][]float64{}, map[string][]float64{}
	const rounds = 10
	for range rounds {
		for _, name := range names {
			with[name] = append(with[name], perf(name))
		}
		if err := set.Close(); err != nil {
			return err
		}
		for _, name := range names {
			without[name] = append(without[name], perf(name))
		}
		set = bpf.Open(bpf.Options{})
	}
	for _, name := range names {
		if a, b := slices.Min(with[name]), slices.Min(without[name]); b > 0 {
			line("hot_path_"+name, (a/b-1)*100, "%", "<=1", "-")
		}
	}
	return set.Close()
}

// slot is a beat as the array in the kernel has it.
type slot struct {
	last, count, limit, flags, delay atomic.Int64
	name                             [24]byte
}

// misses measures how late the kernel notices a missed beat, and when user space
// hears of it. Without a timer in this kernel there is nothing to measure.
func misses(w *beats.Witness, state string, n int) error {
	if w == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	heard := make(chan beats.Miss, 16)
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() { failed = w.Watch(ctx, func(m beats.Miss) { heard <- m }) })
	s := (*slot)(unsafe.Pointer(&w.Guests()[0]))
	const limit = 30 * time.Millisecond
	s.limit.Store(int64(limit))
	var noticed, told []time.Duration
	for range n {
		s.last.Store(int64(monotonic()))
		s.flags.Store(1)
		m := <-heard
		told = append(told, monotonic()-m.At)
		noticed = append(noticed, m.Late())
	}
	s.flags.Store(0)
	cancel()
	wg.Wait()
	quantiles("miss_noticed_"+state, noticed, "<=20000")
	quantiles("miss_told_"+state, told, "-")
	return failed
}

// pinger measures how late a thread like the keeper's wakes up: real-time, and it
// sleeps to a moment.
func pinger(state string, n int) error {
	const period = 10 * time.Millisecond
	var late []time.Duration
	failed := make(chan error, 1)
	go func() {
		failed <- realtime(func() {
			next := monotonic()
			for range n {
				next += period
				ts := unix.NsecToTimespec(int64(next))
				for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil) == unix.EINTR {
				}
				late = append(late, monotonic()-next)
			}
		})
	}()
	if err := <-failed; err != nil {
		return err
	}
	quantiles("pinger_late_"+state, late, "<=1000")
	line("pinger_late_"+state+"_max", float64(slices.Max(late))/1e3, "us", "<=50000", "-")
	return nil
}

// quantiles prints the usual three, in microseconds; aim is that of the second.
func quantiles(name string, all []time.Duration, aim string) {
	slices.Sort(all)
	for _, q := range []float64{0.5, 0.99, 0.999} {
		a := "-"
		if q == 0.99 {
			a = aim
		}
		at := all[min(len(all)-1, int(q*float64(len(all))))]
		line(fmt.Sprintf("%s_p%g", name, q*100), float64(at)/1e3, "us", a, "-")
	}
}

func monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
