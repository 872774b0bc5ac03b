// Command bench measures the witnesses in one run and prints lines "name value unit aim
// peer". It needs root. For peers that do not date
// their events a death is timed from the kill(2), which includes the time until
// the victim gets a CPU to die on; "notice" is from the kernel's event alone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"shisa/bpf"
	"shisa/bpf/exits"
	"shisa/bpf/stall"
)

func main() {
	deaths := flag.Int("deaths", 1000, "processes to kill for each source")
	hot := flag.Bool("hot-path", false, "measure the cost on the hot path only")
	asleep := flag.Int("asleep", 0, "be so many tasks that sleep, for another one that measures")
	flag.Parse()
	err := error(nil)
	switch {
	case *asleep > 0:
		sleepers(*asleep)
	case *hot:
		err = hotPath(bpf.Open(bpf.Options{}))
	default:
		err = run(*deaths)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func line(name string, value float64, unit, aim, peer string) {
	fmt.Printf("%s %.4g %s %s %s\n", name, value, unit, aim, peer)
}

func run(deaths int) error {
	set := bpf.Open(bpf.Options{})
	defer set.Close()
	line("bpf_load", set.Took().Seconds(), "s", "<=1.5", "-")
	bytes, err := set.MapBytes()
	if err != nil {
		return err
	}
	line("bpf_maps", float64(bytes)/(1<<20), "MiB", "<=2", "-")

	kernel, ok := set.Exits.(*exits.Kernel)
	if !ok {
		return fmt.Errorf("no kernel source here, only %s", set.Exits.Name())
	}
	each := func(state string) error {
		return errors.Join(latencies(state, deaths, kernel), misses(set.Beats, state, deaths/10), pinger(state, deaths))
	}
	if err := each("idle"); err != nil {
		return err
	}
	release := load(2*runtime.NumCPU(), spin)
	err = each("loaded")
	if err == nil {
		stop := load(runtime.NumCPU(), write)
		err = pinger("stressed", deaths) // by I/O, too
		stop()
	}
	release()
	if err != nil {
		return err
	}
	return errors.Join(scans(set.Tasks), wholeSet(set), hotPath(set))
}

// realtime runs f on a thread of its own, of the keeper's kind.
func realtime(f func()) error {
	runtime.LockOSThread() // never unlocked: the thread ends with its priority
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 99}
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
		return fmt.Errorf("become real-time: %w", err)
	}
	f()
	return nil
}

// scanned is how many deaths the scan of /proc is given: it takes up to a second
// for each.
const scanned = 20

// latencies measures each source with as many deaths.
func latencies(state string, deaths int, kernel exits.Source) error {
	peers := map[string]exits.Source{"kernel": kernel}
	if c, err := exits.Connect(); err == nil {
		defer c.Close()
		peers["connector"] = c
	}
	pidfds, err := exits.NewPidfds()
	if err != nil {
		return err
	}
	defer pidfds.Close()
	peers["pidfd"] = pidfds
	peers["scan"] = &exits.Scan{}
	for _, name := range []string{"kernel", "pidfd", "connector", "scan"} {
		source := peers[name]
		if source == nil {
			continue
		}
		n := deaths
		if name == "scan" {
			n = min(n, scanned)
		}
		took, notice, err := measure(source, pidfds, name == "pidfd", n)
		if err != nil {
			return err
		}
		aim := "-"
		if name == "kernel" {
			aim = "0"
		}
		line(fmt.Sprintf("death_%s_%s_lost", name, state), float64(n-len(took)), "deaths", aim, "-")
		if len(took) == 0 {
			continue
		}
		if name == "kernel" {
			for q, aim := range map[float64]string{0.5: "-", 0.99: "<=250", 0.999: "<=1000"} {
				at := notice[min(len(notice)-1, int(q*float64(len(notice))))]
				line(fmt.Sprintf("notice_kernel_%s_p%g", state, q*100), float64(at)/1e3, "us", aim, "-")
			}
		}
		for _, q := range []float64{0.5, 0.99, 0.999} {
			at := took[min(len(took)-1, int(q*float64(len(took))))]
			line(fmt.Sprintf("death_%s_%s_p%g", name, state, q*100), float64(at)/1e3, "us", "-", "-")
		}
	}
	return nil
}

// beginning is enough for a source to begin, and for a scan to have seen what lives.
const beginning = 2 * time.Second

// measure lets as many processes die and returns how long after that the source told
// of each, and how long after the source's own time, sorted; those lost are left out.
func measure(source exits.Source, pidfds *exits.Pidfds, add bool, deaths int) (took, notice []time.Duration, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	type news struct {
		exits.Exit
		handled time.Time
	}
	notices := make(chan news, 1<<16)
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() { failed = source.Watch(ctx, func(e exits.Exit) { notices <- news{e, time.Now()} }) })
	defer wg.Wait()
	defer cancel()
	for i := -1; i < deaths; i++ {
		cmd := exec.Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			return nil, nil, err
		}
		if add {
			id, err := exits.Identify(cmd.Process.Pid)
			if err == nil {
				err = pidfds.Add(id)
			}
			if err != nil {
				return nil, nil, err
			}
		}
		if i < 0 {
			time.Sleep(beginning) // the first is not counted: it shows that the source listens
		}
		time.Sleep(2 * time.Millisecond) // it sleeps, the reader too
		begin := time.Now()
		cmd.Process.Kill()
		timeout := time.After(20 * time.Second)
		for waiting := true; waiting; {
			select {
			case n := <-notices:
				if waiting = n.PID != cmd.Process.Pid; !waiting && i >= 0 {
					took = append(took, n.handled.Sub(begin))
					notice = append(notice, n.handled.Sub(n.At))
				}
			case <-timeout:
				waiting = false // lost
			}
		}
		cmd.Wait()
	}
	slices.Sort(took)
	slices.Sort(notice)
	return took, notice, failed
}

// What a load does, as scripts.
const (
	spin  = "while :; do :; done"
	write = `f=$(mktemp); trap 'rm -f "$f"; exit' TERM; while :; do dd if=/dev/zero of="$f" bs=1M count=32 conv=fsync status=none; done`
)

// load keeps n processes at work until the returned function is called.
func load(n int, script string) func() {
	var all []*exec.Cmd
	for range n {
		cmd := exec.Command("sh", "-c", script)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
		if cmd.Start() == nil {
			all = append(all, cmd)
		}
	}
	return func() {
		for _, cmd := range all {
			cmd.Process.Signal(syscall.SIGTERM)
			cmd.Wait()
		}
	}
}

// scans measures one look at all tasks, by the iterator and through /proc.
func scans(tasks *stall.Witness) error {
	before, err := tasks.Counters()
	if err != nil {
		return err
	}
	const rounds = 50
	each := func(w *stall.Witness) (time.Duration, error) {
		begin := time.Now()
		for range rounds {
			if _, err := w.Scan(); err != nil {
				return 0, err
			}
		}
		return time.Since(begin) / rounds, nil
	}
	iterator, err := each(tasks)
	if err != nil {
		return err
	}
	after, err := tasks.Counters()
	if err != nil {
		return err
	}
	proc, err := each(stall.FromProc(stall.DefaultLimits))
	if err != nil {
		return err
	}
	n := float64(after.Seen-before.Seen) / rounds
	line("scan_task_iterator", float64(iterator.Nanoseconds())/n/1e3, "us", "-", fmt.Sprintf("proc:%.3g", float64(proc.Nanoseconds())/n/1e3))
	// One scan a second of 1 000 tasks, as a part of one core.
	line("scan_cpu_1000_tasks", float64(iterator.Nanoseconds())/n*1000/1e9*100, "%", "<=0.2", "-")
	return nil
}
