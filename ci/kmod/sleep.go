package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"shisa/ci/vm"
)

// crashMemory is what a crash kernel gets.
const crashMemory = "crashkernel=192M"

// sleepScenarios: CPUs that come and go, suspend, other kernels.
func sleepScenarios() []scenario {
	return []scenario{
		{name: "hotplug", run: script(hotplug)},
		{name: "hotplug-then-stall", setup: setup{params: "timeout_ms=3000"},
			run: afterScript("exec 3>/dev/clpka; echo 0 > /sys/devices/system/cpu/cpu1/online; sleep 1; echo >&3", timeout)},
		{name: "suspend", setup: setup{params: "timeout_ms=3000"}, run: suspend},
		{name: "kexec", setup: setup{machine: vm.Machine{MemoryMiB: 1024}}, run: kexec},
		{name: "kdump", setup: setup{cmdline: crashMemory + " panic=0", machine: vm.Machine{MemoryMiB: 1024}}, run: kdump},
	}
}

// hotplug: a CPU that comes back is watched again after the next ping; several
// times round, for the races.
const hotplug = `
cpu=/sys/devices/system/cpu/cpu1/online
covered=/sys/class/misc/clpka/cpus_covered
exec 3>/dev/clpka
for i in 1 2 3 4 5; do
	echo 0 > $cpu || exit 1
	echo >&3
	[ $(cat $covered) = 1 ] || { echo $(cat $covered) of 1; exit 1; }
	[ $i -gt 2 ] && sleep 1.3
	echo 1 > $cpu || exit 1
	sleep 1.3
	echo >&3
	sleep 0.1
	[ $(cat $covered) = 2 ] || { echo $(cat $covered) of 2; exit 1; }
done
echo V >&3`

// suspend freezes user space for longer than the timeout. The countdown must stand
// still meanwhile, run in full afterwards, and work.
func suspend(ctx context.Context, _ *rig, g *vm.Guest) (result, error) {
	const freeze = `
exec 3>/dev/clpka
echo freezer > /sys/power/pm_test && echo freeze > /sys/power/state || exit 1
cat /sys/class/misc/clpka/timeleft_ms`
	left, err := g.Sh(ctx, freeze)
	if err != nil {
		return result{}, err
	}
	s := &shot{guest: g, deadline: time.Now().Add(timeout)}
	if err := calm(g); err != nil {
		return result{}, err
	}
	res, err := s.want(ctx, soon, vm.KindReset)
	res.seen, res.fired = "left/"+strings.TrimSpace(left)+"ms+"+res.seen, false
	return res, err
}

// kexec starts a second kernel with the countdown armed: nothing may reset it.
func kexec(ctx context.Context, r *rig, g *vm.Guest) (result, error) {
	if err := sendKernel(ctx, r, g); err != nil {
		return result{}, err
	}
	s, err := hold(ctx, g, 5*timeout) // a busy host takes long to load the second kernel
	if err != nil {
		return result{}, err
	}
	if _, err := g.Go(tool, "kexec", "/root/vmlinuz", "console=ttyS0 panic=0", "now"); err != nil {
		return result{}, err
	}
	if err := secondKernel(ctx, g); err != nil {
		return result{}, err
	}
	res, err := s.want(ctx, 0)
	res.seen = "second-kernel+" + res.seen
	return res, err
}

// kdump panics with a crash kernel loaded.
func kdump(ctx context.Context, r *rig, g *vm.Guest) (result, error) {
	if err := sendKernel(ctx, r, g); err != nil {
		return result{}, err
	}
	if _, err := g.Sh(ctx, tool+" kexec /root/vmlinuz 'console=ttyS0 panic=0 nr_cpus=1' crash"); err != nil {
		return result{}, err
	}
	if _, err := hold(ctx, g, timeout, "-action", "2"); err != nil {
		return result{}, err
	}
	return result{seen: "crash-kernel"}, errors.Join(secondKernel(ctx, g), says(ctx, g, "clpka: FIRED"))
}

// sendKernel puts the guest's own kernel image where it can load it.
func sendKernel(ctx context.Context, r *rig, g *vm.Guest) error {
	image, err := os.ReadFile(r.kernel.Vmlinuz())
	if err != nil {
		return err
	}
	return g.WriteFile(ctx, "/root/vmlinuz", image)
}

// secondKernel waits for a kernel that is not quiet: the first one is.
func secondKernel(ctx context.Context, g *vm.Guest) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	_, err := g.Expect(ctx, "Linux version")
	return err
}
