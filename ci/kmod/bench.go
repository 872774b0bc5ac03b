package main

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// bench prints what the module costs: "name value unit aim" a line. The size is that
// of the object in the kernel without what goes after its start. Timer interrupts are
// counted by the module's own timer, on an idle machine, armed for a minute.
const bench = tool + ` bench
echo clpka_loaded $(( $(cat /sys/module/clpka/coresize) / 1024 )) KiB 32
exec 3>/dev/clpka
cd /sys/kernel/tracing
echo 1 > events/timer/hrtimer_expire_entry/enable
: > trace
sleep 10
echo 0 > events/timer/hrtimer_expire_entry/enable
n=$(grep -c clpka_tick trace)
echo V >&3; exec 3>&-
cpus=$(grep -c ^processor /proc/cpuinfo)
awk -v n=$n -v cpus=$cpus 'BEGIN {
	per = n / 10 / cpus
	print "clpka_timer_interrupts", per, "/s/cpu 2"
	exit !(n > 0 && per <= 2)
}'`

// figures boots one guest and prints the figures as ci/bench does.
func (r *rig) figures(ctx context.Context, out io.Writer) error {
	g, err := r.boot(ctx, setup{})
	if err != nil {
		return err
	}
	defer g.Close()
	text, err := g.Sh(ctx, bench)
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		fmt.Fprintf(out, "%-28s %10s %-5s aim <= %-9s  (in a guest, %s)\n", f[0], f[1], f[2], f[3], r.kernel.Release)
	}
	return err
}
