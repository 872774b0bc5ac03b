// Command demo shows in a guest what shisa is for: it boots a real kernel,
// protects it, stops user space dead, and shows the reset as the hypervisor saw
// it and the reason as shisa gives it after the next boot.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"shisa/ci/vm"
	"shisa/ci/vm/wire"
)

const (
	limit   = 4 * time.Minute
	timeout = "8s"
	config  = `mode = "protect"
[stall]
interval = "500ms"
timeout = "` + timeout + `"
[[monitor]]
name = "init"
type = "process"
match = "*init*"
`
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := show(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func show(ctx context.Context) error {
	if err := vm.Available(); err != nil {
		return err
	}
	kernel, err := kernel(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "shisa-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	disk := filepath.Join(dir, "state.img")
	if err := vm.MakeDisk(ctx, disk, 64); err != nil {
		return err
	}
	title("A server boots: Linux %s, a watchdog chip, shisa in mode protect", kernel.Release)
	g, err := vm.Start(ctx, vm.Config{
		Kernel:  kernel,
		Machine: vm.Machine{Watchdog: true, Disks: []string{disk}},
		Binaries: map[string]string{"/usr/sbin/shisad": "./cmd/shisad", "/usr/sbin/shisa-keeper": "./cmd/shisa-keeper",
			"/usr/sbin/shisa": "./cmd/shisa"},
		Present: []string{"softdog"},
		Mounts:  []wire.Mount{{Source: "/dev/vda", Target: "/var/lib/shisa", Type: "ext4"}},
	})
	if err != nil {
		return err
	}
	defer g.Close()
	return act(ctx, g)
}

func act(ctx context.Context, g *vm.Guest) error {
	if err := start(ctx, g); err != nil {
		return err
	}
	if err := print(ctx, g, "shisa status"); err != nil {
		return err
	}
	title("User space stalls: SIGSTOP to shisad. From now on no beat is fresh, nobody pings")
	begin := time.Now()
	if _, err := g.Sh(ctx, "killall -STOP shisad"); err != nil {
		return err
	}
	reset, err := g.WaitEvent(ctx, func(e vm.Event) bool { return e.Time.After(begin) && e.Kind == vm.KindReset })
	if err != nil {
		return err
	}
	fmt.Printf("  the hypervisor saw: %s, %.2f s after the stop (timeout %s)\n", reset, reset.Time.Sub(begin).Seconds(), timeout)
	title("The machine boots again. What happened?")
	if _, err := g.WaitBoot(ctx, 2); err != nil {
		return err
	}
	if err := start(ctx, g); err != nil {
		return err
	}
	return print(ctx, g, "shisa why")
}

// kernel returns the newest kernel of the cache, fetched when there is none.
func kernel(ctx context.Context) (vm.Kernel, error) {
	if k, err := vm.Cached("6.12"); err == nil {
		return k, nil
	}
	sources, err := vm.Sources()
	if err != nil {
		return vm.Kernel{}, err
	}
	for _, s := range sources {
		if s.Name == "6.12" {
			return vm.Fetch(ctx, s, false)
		}
	}
	return vm.Kernel{}, fmt.Errorf("ci/kernels.txt has no 6.12")
}

// start runs the daemon and waits until it answers and is armed.
func start(ctx context.Context, g *vm.Guest) error {
	if _, err := g.Sh(ctx, "mkdir -p /etc/shisa"); err != nil {
		return err
	}
	if err := g.WriteFile(ctx, "/etc/shisa/shisa.toml", []byte(config)); err != nil {
		return err
	}
	if _, err := g.Go("sh", "-c", "exec shisad -foreground >/run/shisad.log 2>&1"); err != nil {
		return err
	}
	for {
		out, err := g.Run(ctx, "shisa", "status", "--json")
		if err != nil {
			return err
		}
		if strings.Contains(out.Stdout, `"armed": true`) || strings.Contains(out.Stdout, `"armed":true`) {
			return nil
		}
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
			log, _ := g.Sh(context.Background(), "tail -n 20 /run/shisad.log")
			return fmt.Errorf("shisad is not armed: %w\n%s", ctx.Err(), log)
		}
	}
}

func print(ctx context.Context, g *vm.Guest, command string) error {
	out, err := g.Run(ctx, strings.Fields(command)...)
	if err != nil {
		return err
	}
	fmt.Printf("\n  # %s\n", command)
	for line := range strings.Lines(out.Stdout + out.Stderr) {
		fmt.Print("  ", line)
	}
	return nil
}

func title(format string, args ...any) { fmt.Printf("\n── %s\n", fmt.Sprintf(format, args...)) }
