package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// A rig runs the programs under test in a folder of their own.
type rig struct {
	dir   string
	quick bool
	peers string // root of the unpacked peers; empty: none
	n     int    // instances so far
}

// An instance is one running shisad.
type instance struct {
	dir   string
	cmd   *exec.Cmd
	began time.Time
}

// start runs shisad with a configuration and waits until it answers.
func (r *rig) start(ctx context.Context, config string) (*instance, error) {
	r.n++
	i := &instance{dir: filepath.Join(r.dir, strconv.Itoa(r.n))}
	if err := os.MkdirAll(i.dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(i.config(), []byte(config), 0o644); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(i.dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	i.cmd = exec.CommandContext(ctx, "bin/shisad", "-config", i.config(), "-run", filepath.Join(i.dir, "run"),
		"-state", filepath.Join(i.dir, "state"), "-keeper", abs("bin/shisa-keeper"))
	i.cmd.Stdout, i.cmd.Stderr = log, log
	i.began = time.Now()
	if err := i.cmd.Start(); err != nil {
		return nil, err
	}
	return i, i.wait(ctx)
}

func (i *instance) config() string { return filepath.Join(i.dir, "shisa.toml") }
func (i *instance) socket() string { return filepath.Join(i.dir, "run", "api.sock") }

// wait returns when the daemon answers.
func (i *instance) wait(ctx context.Context) error {
	for {
		if out, err := i.shisa(ctx, "status", "--json"); err == nil && len(out) > 0 {
			return nil
		}
		if i.cmd.ProcessState != nil || time.Since(i.began) > time.Minute || ctx.Err() != nil {
			log, _ := os.ReadFile(filepath.Join(i.dir, "log"))
			return fmt.Errorf("shisad does not answer: %s", log)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// shisa runs the command line against the instance.
func (i *instance) shisa(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "bin/shisa", args...)
	cmd.Env = append(os.Environ(), "SHISA_SOCKET="+i.socket())
	return cmd.Output()
}

// stop ends the instance deliberately, which ends its keeper, too.
func (i *instance) stop() error {
	if err := i.cmd.Process.Signal(unix.SIGTERM); err != nil {
		return err
	}
	err := i.cmd.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return fmt.Errorf("shisad: %w", err)
	}
	return err
}

func abs(path string) string {
	p, err := filepath.Abs(path)
	if err != nil {
		panic(err) // only without a working directory
	}
	return p
}

// pss is the proportional set size of a process, in MiB.
func pss(pid int) (float64, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	r, err := p.ProcSMapsRollup()
	return float64(r.Pss) / (1 << 20), err
}

// cpu is the processor time that all threads of a process have used, to 10 ms
// (proc(5), /proc/PID/stat fields 14 and 15).
func cpu(pid int) (time.Duration, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	s, err := p.Stat()
	return time.Duration(s.CPUTime() * float64(time.Second)), err
}

// quantile returns the q-th part of sorted samples, in ms.
func quantile(samples []time.Duration, q float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	s := slices.Clone(samples)
	slices.Sort(s)
	return float64(s[min(len(s)-1, int(q*float64(len(s))))].Microseconds()) / 1000
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// timed runs a command and returns how long it took.
func timed(ctx context.Context, name string, env []string, args ...string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	begin := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return time.Since(begin), nil
}
