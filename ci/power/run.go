package power

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// Run runs the cases one after the other and writes a line for each as soon as it
// is done. The error is about what kept cases from running; failed cases are in
// the report.
func Run(ctx context.Context, cases []Case, out, console io.Writer) (*Report, error) {
	return RunParallel(ctx, cases, 1, out, console)
}

// RunParallel is Run with so many kernels at once: each has its own guest. Lines
// come in the order in which cases end.
func RunParallel(ctx context.Context, cases []Case, kernels int, out, console io.Writer) (*Report, error) {
	report := &Report{Start: time.Now()}
	var mu sync.Mutex // of report and out
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan []Case)
	var wg sync.WaitGroup
	for range max(kernels, 1) {
		wg.Go(func() {
			for batch := range queue {
				err := runKernel(ctx, batch, console, func(r Result) {
					mu.Lock()
					defer mu.Unlock()
					report.add(r)
					fmt.Fprintln(out, r)
				})
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, batch := range byKernel(cases) {
		select {
		case queue <- batch:
		case <-ctx.Done():
		}
	}
	close(queue)
	wg.Wait()
	report.finish()
	return report, context.Cause(ctx)
}

// byKernel splits cases, which are ordered by kernel.
func byKernel(cases []Case) [][]Case {
	var batches [][]Case
	for _, c := range cases {
		if n := len(batches); n > 0 && batches[n-1][0].Kernel == c.Kernel {
			batches[n-1] = append(batches[n-1], c)
			continue
		}
		batches = append(batches, []Case{c})
	}
	return batches
}

// runKernel runs the cases of one kernel.
func runKernel(ctx context.Context, cases []Case, console io.Writer, done func(Result)) error {
	s := &stage{console: console, built: map[string]string{}, broken: map[string]error{}}
	defer s.close()
	if err := s.open(ctx, cases); err != nil {
		return err
	}
	for _, c := range cases {
		res := s.run(ctx, c)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		done(res)
	}
	return nil
}
