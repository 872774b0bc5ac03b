package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/procfs"
)

// monitors writes a configuration with n monitors of mixed kind, all of
// targets on this machine.
func monitors(n, port int, interval string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "[[monitor]]\nname = \"m%d\"\ninterval = %q\n", i, interval)
		switch i % 2 {
		case 0:
			fmt.Fprintf(&b, "type = \"tcp\"\nport = %d\n", port)
		default:
			b.WriteString("type = \"process\"\nmatch = \"*shisad*\"\n")
		}
	}
	return b.String()
}

// listen accepts and closes connections until the returned function is called.
func listen() (port int, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, func() { l.Close() }, nil
}

func binarySizes(context.Context, *rig) ([]figure, error) {
	var all []figure
	for _, name := range []string{"shisad", "shisa-keeper", "shisa"} {
		info, err := os.Stat(filepath.Join("bin", name))
		if err != nil {
			return all, err
		}
		all = append(all, figure{Name: "size_" + name, Value: float64(info.Size()) / 1e6, Unit: "MB", Aim: "<= 20"})
	}
	return all, nil
}

// startTime: from exec to the keeper having its orders. On this machine they
// are to measure only; arming a device adds an ioctl.
func startTime(ctx context.Context, r *rig) ([]figure, error) {
	var samples []time.Duration
	for range r.samples(10) {
		i, err := r.start(ctx, "")
		if err != nil {
			return nil, err
		}
		for !i.guarded(ctx) && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		samples = append(samples, time.Since(i.began))
		if err := i.stop(); err != nil {
			return nil, err
		}
	}
	return []figure{{Name: "start_to_armed_p50", Value: quantile(samples, 0.5), Unit: "ms", Aim: "<= 200",
		Peers: map[string]float64{"monit": 34}, Note: "measuring engine; monit: start only, quoted"}}, nil
}

// guarded reports whether the keeper has its orders.
func (i *instance) guarded(ctx context.Context) bool {
	out, err := i.shisa(ctx, "status", "--json")
	var s struct {
		Protection struct {
			Keeper struct{ State string }
		}
	}
	return err == nil && json.Unmarshal(out, &s) == nil && s.Protection.Keeper.State == "running"
}

func idleCost(ctx context.Context, r *rig) ([]figure, error) {
	port, stop, err := listen()
	if err != nil {
		return nil, err
	}
	defer stop()
	i, err := r.start(ctx, monitors(20, port, "10s"))
	if err != nil {
		return nil, err
	}
	defer i.stop() //nolint:errcheck // measured already
	wait := 60 * time.Second
	if r.quick {
		wait = 10 * time.Second
	}
	time.Sleep(8 * time.Second) // past the start
	before, err := cpu(i.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	forks := forked()
	time.Sleep(wait)
	after, err := cpu(i.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	memory, err := pss(i.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	all := []figure{
		{Name: "pss_20_monitors", Value: memory, Unit: "MiB", Aim: "<= 20", Peers: r.monitPSS(ctx, port)},
		{Name: "idle_cpu", Value: 100 * (after - before).Seconds() / wait.Seconds(), Unit: "%", Aim: "<= 0.2",
			Note: fmt.Sprintf("20 monitors at 10 s, over %v, in which this machine started %d processes: the end of each is noticed", wait, forked()-forks)},
	}
	if pid := i.keeper(ctx); pid > 0 {
		k, err := pss(pid)
		if err != nil {
			return all, err
		}
		all = append(all, figure{Name: "pss_keeper", Value: k, Unit: "MiB", Aim: "<= 8"})
	}
	return all, nil
}

// forked is how many processes and threads this machine has started since its boot;
// 0: unknown.
func forked() uint64 {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return 0
	}
	s, err := fs.Stat()
	if err != nil {
		return 0
	}
	return s.ProcessCreated
}

func (i *instance) keeper(ctx context.Context) int {
	out, err := i.shisa(ctx, "status", "--json")
	var s struct {
		Protection struct{ Keeper struct{ PID int } }
	}
	if err != nil || json.Unmarshal(out, &s) != nil {
		return 0
	}
	return s.Protection.Keeper.PID
}

func statusTime(ctx context.Context, r *rig) ([]figure, error) {
	port, stop, err := listen()
	if err != nil {
		return nil, err
	}
	defer stop()
	i, err := r.start(ctx, monitors(20, port, "10s"))
	if err != nil {
		return nil, err
	}
	defer i.stop() //nolint:errcheck // measured already
	var samples []time.Duration
	for range r.samples(50) {
		d, err := timed(ctx, "bin/shisa", []string{"SHISA_SOCKET=" + i.socket()}, "status")
		if err != nil {
			return nil, err
		}
		samples = append(samples, d)
	}
	return []figure{{Name: "status_p50", Value: quantile(samples, 0.5), Unit: "ms", Aim: "<= 15", Peers: r.monitStatus(ctx, port)}}, nil
}

// reloadTime applies a change of one monitor among 1 000.
func reloadTime(ctx context.Context, r *rig) ([]figure, error) {
	port, stop, err := listen()
	if err != nil {
		return nil, err
	}
	defer stop()
	text := monitors(1000, port, "10s")
	i, err := r.start(ctx, text)
	if err != nil {
		return nil, err
	}
	defer i.stop() //nolint:errcheck // measured already
	var samples []time.Duration
	for n := range r.samples(20) {
		changed := text + fmt.Sprintf("[[monitor]]\nname = \"extra%d\"\ntype = \"tcp\"\nport = %d\n", n, port)
		if err := os.WriteFile(i.config(), []byte(changed), 0o644); err != nil {
			return nil, err
		}
		d, err := timed(ctx, "bin/shisa", []string{"SHISA_SOCKET=" + i.socket()}, "config", "apply")
		if err != nil {
			return nil, err
		}
		samples = append(samples, d)
	}
	return []figure{{Name: "reload_1000_p50", Value: quantile(samples, 0.5), Unit: "ms", Aim: "<= 50",
		Peers: map[string]float64{"monit": 750}, Note: "whole command; monit quoted: all checking stops"}}, nil
}

func (r *rig) samples(n int) int {
	if r.quick {
		return max(3, n/5)
	}
	return n
}
