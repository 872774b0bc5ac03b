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

	"shisa/bpf"
	"shisa/bpf/exits"
	"shisa/bpf/stall"
)

func main() {
	deaths := flag.Int("deaths", 1000, "processes to kill for each source")
	flag.Parse()
	if err := run(*deaths); err != nil {
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
	if err := latencies("idle", deaths, kernel); err != nil {
		return err
	}
	release := load(2 * runtime.NumCPU())
	err = latencies("loaded", deaths, kernel)
	release()
	if err != nil {
		return err
	}
	return errors.Join(scans(set.Tasks), hotPath(set))
}

// latencies measures each source with the same deaths.
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
	for _, name := range []string{"kernel", "pidfd", "connector"} {
		source := peers[name]
		if source == nil {
			continue
		}
		took, notice, err := measure(source, pidfds, name == "pidfd", deaths)
		if err != nil {
			return err
		}
		if name == "kernel" {
			for q, aim := range map[float64]string{0.5: "-", 0.99: "<=250", 0.999: "<=1000"} {
				at := notice[min(len(notice)-1, int(q*float64(len(notice))))]
				line(fmt.Sprintf("notice_kernel_%s_p%g", state, q*100), float64(at)/1e3, "us", aim, "-")
			}
		}
		for _, q := range []float64{0.5, 0.99, 0.999} {
			at := took[min(len(took)-1, int(q*float64(len(took))))]
			line(fmt.Sprintf("death_%s_%s_p%g", name, state, q*100), float64(at)/1e3, "us", "-", "scan:1000000")
		}
	}
	return nil
}

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
	for range deaths {
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
		time.Sleep(2 * time.Millisecond) // it sleeps, the reader too
		begin := time.Now()
		cmd.Process.Kill()
		timeout := time.After(20 * time.Second)
		for found := false; !found; {
			select {
			case n := <-notices:
				if found = n.PID == cmd.Process.Pid; found {
					took = append(took, n.handled.Sub(begin))
					notice = append(notice, n.handled.Sub(n.At))
				}
			case <-timeout:
				return nil, nil, fmt.Errorf("%s: a death was lost", source.Name())
			}
		}
		cmd.Wait()
	}
	slices.Sort(took)
	slices.Sort(notice)
	return took, notice, failed
}

// load keeps n processes spinning until the returned function is called.
func load(n int) func() {
	var all []*exec.Cmd
	for range n {
		cmd := exec.Command("sh", "-c", "while :; do :; done")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if cmd.Start() == nil {
			all = append(all, cmd)
		}
	}
	return func() {
		for _, cmd := range all {
			cmd.Process.Kill()
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

// hotPath compares a ping-pong of two threads through pipes with the set loaded
// and without it: the default set has no program on that path.
func hotPath(set *bpf.Set) error {
	var with, without []float64
	for range 5 {
		with = append(with, pingPong())
	}
	if err := set.Close(); err != nil {
		return err
	}
	for range 5 {
		without = append(without, pingPong())
	}
	line("hot_path_pipe", (slices.Min(with)/slices.Min(without)-1)*100, "%", "<=1", "-")
	return nil
}

// pingPong returns nanoseconds a round trip.
func pingPong() float64 {
	const rounds = 20_000
	var there, back [2]int
	if syscall.Pipe(there[:]) != nil || syscall.Pipe(back[:]) != nil {
		return 0
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		runtime.LockOSThread()
		var b [1]byte
		for range rounds {
			syscall.Read(there[0], b[:])
			syscall.Write(back[1], b[:])
		}
	})
	begin := time.Now()
	var b [1]byte
	for range rounds {
		syscall.Write(there[1], b[:])
		syscall.Read(back[0], b[:])
	}
	took := time.Since(begin)
	wg.Wait()
	for _, fd := range append(there[:], back[:]...) {
		syscall.Close(fd)
	}
	return float64(took.Nanoseconds()) / rounds
}
