package pid

import (
	"context"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/monitor/monitortest"
	"shisa/ctl/proc"
	"shisa/ctl/run"
	"shisa/ctl/schedule"
)

// BenchmarkDeath is the way from the death of a process to the report of its
// monitor, and on to the command that follows it having started.
func BenchmarkDeath(b *testing.B) {
	var reported, followed []time.Duration
	for b.Loop() {
		c := exec.Command("/bin/sleep", "60")
		if err := c.Start(); err != nil {
			b.Fatal(err)
		}
		id, err := proc.Identify(c.Process.Pid)
		if err != nil {
			b.Fatal(err)
		}
		begin, told, started := death(b, id)
		_ = c.Wait() // it was killed
		reported = append(reported, told.Sub(begin))
		followed = append(followed, started.Sub(begin))
	}
	for name, samples := range map[string][]time.Duration{"report": reported, "command": followed} {
		slices.Sort(samples)
		b.ReportMetric(float64(samples[len(samples)/2].Microseconds()), name+"_p50_µs")
		b.ReportMetric(float64(samples[len(samples)*99/100].Microseconds()), name+"_p99_µs")
	}
}

// death kills the process under the eyes of a monitor, and returns when it did,
// when the monitor reported, and when a command had been started.
func death(b *testing.B, id proc.ID) (begin, told, started time.Time) {
	reports := make(chan time.Time, 1)
	commands := make(chan *run.Process, 1)
	s := schedule.New(schedule.Options{Emit: func(_ string, r monitor.Report) {
		if r.Finding.Verdict != monitor.Failed {
			return
		}
		now := time.Now()
		p, err := run.Start(context.Background(), run.Command{Path: "/bin/true"})
		if err != nil {
			b.Error(err)
		}
		reports <- now
		commands <- p
	}})
	p, err := Type.New(nil, monitor.Env{Target: monitortest.TargetFunc(func() (int, uint64, bool) { return id.PID, id.Start, true })})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Set("m", p, monitor.Timing{Interval: time.Hour, Timeout: time.Minute}); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	w, err := proc.Default()
	if err != nil {
		b.Fatal(err)
	}
	for w.Len() == 0 { // until the first probe is over and the watch stands
		time.Sleep(time.Millisecond)
	}
	begin = time.Now()
	if err := proc.Signal(id, syscall.SIGKILL); err != nil {
		b.Fatal(err)
	}
	told = <-reports
	command := <-commands
	started = time.Now()
	command.Wait()
	cancel()
	if err := <-done; err != nil {
		b.Error(err)
	}
	return begin, told, started
}
