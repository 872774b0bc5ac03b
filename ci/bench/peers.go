package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// packages of the peers and the libraries that they bring themselves. They are
// unpacked, not installed: installing would start their services.
var packages = []string{"monit", "runit", "s6", "libs6-2.11", "libskarnet2.13", "libexecline2.9",
	"supervisor", "python3-pkg-resources"}

// fetchPeers unpacks the peers from this machine's package sources into the
// cache and returns their root.
func fetchPeers(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	root := filepath.Join(cache, "shisa", "peers")
	if _, err := os.Stat(filepath.Join(root, "usr/bin/supervisord")); err == nil {
		return root, nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return "", errors.New("this machine has no apt-get")
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	for _, name := range packages {
		cmd := exec.CommandContext(ctx, "apt-get", "download", name)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil && name == "monit" {
			return "", fmt.Errorf("download %s: %w: %s", name, err, out)
		}
	}
	debs, err := filepath.Glob(filepath.Join(root, "*.deb"))
	if err != nil {
		return "", err
	}
	for _, deb := range debs {
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", deb, root).CombinedOutput(); err != nil {
			return "", fmt.Errorf("unpack %s: %w: %s", deb, err, out)
		}
	}
	return root, nil
}

// peer returns a command of the unpacked peers, or nil when it is not there.
func (r *rig) peer(ctx context.Context, path string, args ...string) *exec.Cmd {
	program := filepath.Join(r.peers, path)
	if _, err := os.Stat(program); r.peers == "" || err != nil {
		return nil
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(r.peers, "usr/lib/x86_64-linux-gnu"),
		"PATH="+filepath.Join(r.peers, "usr/bin")+":"+os.Getenv("PATH"))
	return cmd
}

// python returns a peer that is written in Python, or nil when it or Python is not
// there.
func (r *rig) python(ctx context.Context, path string, args ...string) *exec.Cmd {
	interpreter, err := exec.LookPath("python3")
	if err != nil {
		return nil
	}
	cmd := r.peer(ctx, path, args...)
	if cmd == nil {
		return nil
	}
	cmd.Args = append([]string{interpreter, cmd.Path}, args...)
	cmd.Path = interpreter
	cmd.Env = append(cmd.Env, "PYTHONPATH="+filepath.Join(r.peers, "usr/lib/python3/dist-packages"))
	return cmd
}

// monit runs monit with 20 checks of the same kind while f measures.
func (r *rig) monit(ctx context.Context, port int, f func(dir string, pid int) (float64, error)) map[string]float64 {
	dir := filepath.Join(r.dir, fmt.Sprintf("monit%d", time.Now().UnixNano()))
	if r.peers == "" || os.MkdirAll(dir, 0o755) != nil {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "set daemon 10\nset idfile %s/id\nset statefile %s/state\nset pidfile %s/pid\nset httpd unixsocket %s/sock\n  allow admin:monit\n", dir, dir, dir, dir)
	for i := range 20 {
		if i%2 == 0 {
			fmt.Fprintf(&b, "check host h%d with address 127.0.0.1\n  if failed port %d then alert\n", i, port)
		} else {
			fmt.Fprintf(&b, "check process p%d matching \"monit\"\n", i)
		}
	}
	rc := filepath.Join(dir, "rc")
	if os.WriteFile(rc, []byte(b.String()), 0o600) != nil {
		return nil
	}
	cmd := r.peer(ctx, "usr/bin/monit", "-I", "-c", rc)
	if cmd == nil || cmd.Start() != nil {
		return nil
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	time.Sleep(12 * time.Second) // one round of checks
	v, err := f(dir, cmd.Process.Pid)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: monit:", err)
		return nil
	}
	return map[string]float64{"monit": v}
}

func (r *rig) monitPSS(ctx context.Context, port int) map[string]float64 {
	return r.monit(ctx, port, func(_ string, pid int) (float64, error) { return pss(pid) })
}

func (r *rig) monitStatus(ctx context.Context, port int) map[string]float64 {
	return r.monit(ctx, port, func(dir string, _ int) (float64, error) {
		var samples []time.Duration
		for range r.samples(20) {
			cmd := r.peer(ctx, "usr/bin/monit", "-c", filepath.Join(dir, "rc"), "status")
			begin := time.Now()
			if out, err := cmd.CombinedOutput(); err != nil {
				return 0, fmt.Errorf("%w: %s", err, out)
			}
			samples = append(samples, time.Since(begin))
		}
		return quantile(samples, 0.5), nil
	})
}
