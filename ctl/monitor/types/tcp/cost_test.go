package tcp

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/schedule"
)

// BenchmarkThousand is the CPU time that a thousand monitors cost which probe
// once a second, the listener that answers them included.
func BenchmarkThousand(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	s := schedule.New(schedule.Options{Emit: func(name string, r monitor.Report) {
		if r.Err != nil || r.Finding.Verdict != monitor.OK {
			b.Errorf("%s: %+v", name, r)
		}
	}})
	const monitors = 1000
	for i := range monitors {
		p, err := Type.New(map[string]any{"port": l.Addr().(*net.TCPAddr).Port}, monitor.Env{})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Set(fmt.Sprint(i), p, monitor.Timing{Interval: time.Second, Timeout: 10 * time.Second}); err != nil {
			b.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	time.Sleep(schedule.Spread)
	begin, seconds := used(b), 0
	for b.Loop() {
		time.Sleep(time.Second)
		seconds++
	}
	b.ReportMetric(float64((used(b)-begin).Microseconds())/float64(seconds*monitors), "cpu_µs/probe")
	cancel()
	if err := <-done; err != nil {
		b.Error(err)
	}
}

// used returns the CPU time of this process so far.
func used(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
