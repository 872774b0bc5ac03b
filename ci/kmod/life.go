package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"shisa/ci/vm"
)

// lifeScenarios: owners, openers, unloading, abuse.
func lifeScenarios(fuzz time.Duration, quick bool) []scenario {
	cycles := 100000
	if quick {
		cycles = 2000
	}
	return []scenario{
		{name: "api", quick: true, setup: setup{params: "bootstatus=32"}, run: script(tool + " api")},
		{name: "go-driver", quick: true, run: goDriver},
		{name: "fallback", lasts: caseTimeout, setup: setup{machine: vm.Machine{Watchdog: true, BMC: true}, present: []string{"softdog"}}, run: fallback},
		{name: "cycles", quick: true, lasts: 4 * caseTimeout, run: script(fmt.Sprintf(manyCycles, tool, cycles))},
		{name: "api-32-bit", quick: true, setup: setup{params: "bootstatus=32"}, run: script(tool32 + " api")},
		{name: "cycles-32-bit", lasts: caseTimeout, run: script(fmt.Sprintf(manyCycles, tool32, cycles/10))},
		{name: "fuzz-32-bit", lasts: fuzz, run: script(fmt.Sprintf("%s fuzz %v && rmmod clpka", tool32, fuzz))},
		{name: "fuzz", quick: true, lasts: fuzz, run: script(fmt.Sprintf("%s fuzz %v && %s api 2>&1 | grep -v 'boot status'; rmmod clpka", tool, fuzz, tool))},
		{name: "bench", run: script(bench)},
		{name: "kfunc", quick: true, run: kfunc},
		{name: "owner-killed", quick: true, run: ownerKilled},
		{name: "owner-inherited", run: inherited},
		{name: "nowayout", setup: setup{params: "nowayout=1 timeout_ms=3000"}, run: afterScript("echo V > /dev/clpka", timeout)},
		{name: "closed-without-magic", setup: setup{params: "timeout_ms=3000"}, run: afterScript("echo > /dev/clpka", timeout)},
		{name: "busybox-watchdog-killed", run: afterScript(busybox+"kill -9 $pid", timeout)},
		{name: "busybox-watchdog-stopped", run: script(busybox + "kill $pid; sleep 5; cat /sys/class/misc/clpka/state | grep -x inactive")},
		{name: "bad-parameters", run: script(badParameters)},
	}
}

// manyCycles leaks neither module references nor memory, on CPUs that are busy.
const manyCycles = `
slab() { awk '/^Slab:/ {print $2}' /proc/meminfo; }
for cpu in 0 1; do (while :; do :; done) & busy="$busy $!"; done
%[1]s cycles 100
before=$(slab)
%[1]s cycles %[2]d || exit 1
grew=$(( $(slab) - before ))
kill $busy
echo slab $grew KiB after %[2]d cycles
[ $grew -lt 2048 ] && rmmod clpka`

// busybox starts its watchdog program on the device: 3 s, pinged each second.
const busybox = `busybox watchdog -T 3 -t 1 -F /dev/clpka & pid=$!; sleep 5; `

// badParameters are refused when the module is loaded.
const badParameters = `
rmmod clpka || exit 1
for p in timeout_ms=99 timeout_ms=-1 timeout_ms=65535001 action=5 action=-1; do
	if modprobe clpka $p 2>/dev/null; then echo $p was accepted; exit 1; fi
done
modprobe clpka timeout_ms=100 action=4 && rmmod clpka`

// script runs a shell script that must succeed, with nothing untoward.
func script(text string) func(context.Context, *rig, *vm.Guest) (result, error) {
	return func(ctx context.Context, _ *rig, g *vm.Guest) (result, error) {
		r, err := g.Run(ctx, "sh", "-c", text)
		if err != nil {
			return result{}, err
		}
		seen := strings.Join(strings.Fields(r.Stdout), " ")
		if r.Exit != 0 {
			return result{seen: seen}, fmt.Errorf("state %d: %s", r.Exit, r.Stderr)
		}
		return result{seen: seen}, calm(g)
	}
}

// afterScript wants a reset a while after a script. The lateness is not exact: when
// the last ping was is not known.
func afterScript(text string, within time.Duration) func(context.Context, *rig, *vm.Guest) (result, error) {
	return func(ctx context.Context, _ *rig, g *vm.Guest) (result, error) {
		if _, err := g.Sh(ctx, text); err != nil {
			return result{}, err
		}
		s := &shot{guest: g, deadline: time.Now().Add(within)}
		res, err := s.want(ctx, soon, vm.KindReset)
		res.fired = false
		return res, err
	}
}

// goDriver wants what the driver left with the module in the log.
func goDriver(ctx context.Context, _ *rig, g *vm.Guest) (result, error) {
	if _, err := g.Sh(ctx, tool+" engine"); err != nil {
		return result{}, err
	}
	return result{}, says(ctx, g, "clpka: FIRED countdown=main action=none", "clpka: note: written by the driver")
}

func ownerKilled(ctx context.Context, _ *rig, g *vm.Guest) (result, error) {
	s, err := hold(ctx, g, timeout)
	if err != nil {
		return result{}, err
	}
	if err := s.owner.Signal(ctx, syscall.SIGKILL); err != nil {
		return result{}, err
	}
	res, err := s.want(ctx, soon, vm.KindReset)
	return res, errors.Join(err, says(ctx, g, "closed by clpka-guest", "without disarming"))
}

// inherited: the countdown belongs to the open file, not to who opened it.
func inherited(ctx context.Context, _ *rig, g *vm.Guest) (result, error) {
	const heirs = `
exec 3>/dev/clpka
(while sleep 1; do echo >&3; done) >/dev/null 2>&1 &
echo $!`
	pid, err := g.Sh(ctx, heirs)
	if err != nil {
		return result{}, err
	}
	if _, err := g.Sh(ctx, "sleep 3; grep -x active /sys/class/misc/clpka/state"); err != nil {
		return result{}, err
	}
	if err := errors.Join(calm(g), silent(g, "without disarming")); err != nil {
		return result{}, err
	}
	if _, err := g.Sh(ctx, "kill -9 "+strings.TrimSpace(pid)+"; sleep 1.5"); err != nil {
		return result{}, err
	}
	return result{seen: "alive"}, says(ctx, g, "without disarming")
}

// silent is the opposite of says.
func silent(g *vm.Guest, text string) error {
	if strings.Contains(g.Console(), text) {
		return fmt.Errorf("the console says %q", text)
	}
	return nil
}
