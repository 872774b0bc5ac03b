package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// largeGroup starts and stops a group of 500 resources that do nothing, one
// after the other and side by side.
func largeGroup(ctx context.Context, r *rig) ([]figure, error) {
	const n = 500
	var all []figure
	for _, one := range []struct{ name, depends, note string }{
		{"in_order", "", "each needs all before it; two processes each for start and stop"},
		{"side_by_side", "depends_on = []\n", "none needs another"},
	} {
		var b strings.Builder
		b.WriteString("[[group]]\nname = \"g\"\nauto_start = false\n")
		for i := range n {
			fmt.Fprintf(&b, "[[resource]]\nname = \"r%d\"\ntype = \"exec\"\ngroup = \"g\"\nstart = \"/bin/true\"\nstop = \"/bin/true\"\n%s", i, one.depends)
		}
		i, err := r.start(ctx, b.String())
		if err != nil {
			return all, err
		}
		env := []string{"SHISA_SOCKET=" + i.socket()}
		for _, verb := range []string{"start", "stop"} {
			d, err := timed(ctx, "bin/shisa", env, "group", verb, "g")
			if err != nil {
				return all, err
			}
			all = append(all, figure{Name: fmt.Sprintf("%s_500_%s", verb, one.name), Value: d.Seconds(), Unit: "s", Note: one.note})
		}
		if err := i.stop(); err != nil {
			return all, err
		}
	}
	return all, nil
}

// largeConfig applies a configuration with as many monitors as are allowed to
// a daemon that has none: reading, checking, comparing, and probing begins.
func largeConfig(ctx context.Context, r *rig) ([]figure, error) {
	const n = 16384
	port, stop, err := listen()
	if err != nil {
		return nil, err
	}
	defer stop()
	i, err := r.start(ctx, "")
	if err != nil {
		return nil, err
	}
	defer i.stop() //nolint:errcheck // measured already
	env := []string{"SHISA_SOCKET=" + i.socket()}
	// None is probed meanwhile, so that only the change itself is timed.
	text := strings.ReplaceAll(monitors(n, port, "1h"), "[[monitor]]\n", "[[monitor]]\nfirst_wait = \"2h\"\n")
	if err := os.WriteFile(i.config(), []byte(text), 0o644); err != nil {
		return nil, err
	}
	d, err := timed(ctx, "bin/shisa", env, "config", "apply")
	if err != nil {
		return nil, err
	}
	all := []figure{{Name: "apply_16384", Value: float64(d.Milliseconds()), Unit: "ms", Note: "whole command, from none to 16384 monitors"}}
	if d, err = timed(ctx, "bin/shisa", env, "config", "apply"); err != nil {
		return all, err
	}
	return append(all, figure{Name: "apply_16384_same", Value: float64(d.Milliseconds()), Unit: "ms", Note: "again, nothing changes"}), nil
}

// mixed returns a configuration with n monitors of mixed kind: connections,
// processes, pages and thresholds over others.
func mixed(n, tcp, web int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "[[monitor]]\nname = \"m%d\"\ninterval = \"10s\"\n", i)
		switch kind := i % 10; {
		case kind < 3:
			fmt.Fprintf(&b, "type = \"tcp\"\nport = %d\n", tcp)
		case kind < 6:
			b.WriteString("type = \"process\"\nmatch = \"*shisad*\"\n")
		case kind < 9:
			fmt.Fprintf(&b, "type = \"http\"\nwhen = \"always\"\nurl = \"http://127.0.0.1:%d/\"\n", web)
		default:
			fmt.Fprintf(&b, "type = \"multi\"\nmonitors = [\"m%d\", \"m%d\", \"m%d\"]\n", i-1, i-4, i-7)
		}
	}
	return b.String()
}

// pages serves an empty page until the returned function is called.
func pages() (port int, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, nil, err
	}
	s := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l) // ends with ErrServerClosed
	}()
	return l.Addr().(*net.TCPAddr).Port, func() { _ = s.Close(); <-done }, nil
}

// manyMonitors measures what 1 000 and 10 000 monitors of mixed kind cost, and
// the status command with them.
func manyMonitors(ctx context.Context, r *rig) ([]figure, error) {
	tcp, stop, err := listen()
	if err != nil {
		return nil, err
	}
	defer stop()
	web, stopWeb, err := pages()
	if err != nil {
		return nil, err
	}
	defer stopWeb()
	var all []figure
	for _, n := range []int{1000, 10000} {
		found, err := r.cost(ctx, n, mixed(n, tcp, web))
		if all = append(all, found...); err != nil {
			return all, err
		}
	}
	return all, nil
}

func (r *rig) cost(ctx context.Context, n int, config string) ([]figure, error) {
	i, err := r.start(ctx, config)
	if err != nil {
		return nil, err
	}
	defer i.stop() //nolint:errcheck // measured already
	if _, err := timed(ctx, "bin/shisa", nil, "config", "check", i.config()); err != nil {
		return nil, err // the daemon would run without it
	}
	wait := 60 * time.Second
	if r.quick {
		wait = 20 * time.Second
	}
	time.Sleep(15 * time.Second) // past the start: every monitor has been probed
	before, err := cpu(i.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	time.Sleep(wait)
	after, err := cpu(i.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	memory, err := pss(i.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	idle := (after - before).Seconds() / wait.Seconds()
	p50, used, err := i.status(ctx, r.samples(20), idle)
	if err != nil {
		return nil, err
	}
	aims := map[int][3]string{1000: {"<= 60", "<= 3", ""}, 10000: {"", "", "<= 150"}}[n]
	return []figure{
		{Name: fmt.Sprintf("pss_%d_mixed", n), Value: memory, Unit: "MiB", Aim: aims[0], Note: "tcp, process, http and multi, each every 10 s"},
		{Name: fmt.Sprintf("cpu_%d_mixed", n), Value: 100 * idle, Unit: "%", Aim: aims[1], Note: fmt.Sprintf("of one core, over %v", wait)},
		{Name: fmt.Sprintf("status_%d_p50", n), Value: p50, Unit: "ms", Aim: aims[2],
			Note: fmt.Sprintf("of which %d ms of processor time, both sides", used.Milliseconds())},
	}, nil
}

// status runs the status command n times and returns how long it took in the
// middle, in ms, and the processor time that one used on both sides, beyond
// the part of a core that the daemon uses anyway.
func (i *instance) status(ctx context.Context, n int, idle float64) (p50 float64, used time.Duration, err error) {
	began := time.Now()
	before, err := cpu(i.cmd.Process.Pid)
	if err != nil {
		return 0, 0, err
	}
	var samples []time.Duration
	for range n {
		cmd := exec.CommandContext(ctx, "bin/shisa", "status")
		cmd.Env = append(os.Environ(), "SHISA_SOCKET="+i.socket())
		begin := time.Now()
		if err := cmd.Run(); err != nil {
			return 0, 0, err
		}
		samples = append(samples, time.Since(begin))
		used += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	after, err := cpu(i.cmd.Process.Pid)
	used += after - before - time.Duration(idle*float64(time.Since(began)))
	return quantile(samples, 0.5), max(used, 0) / time.Duration(n), err
}
