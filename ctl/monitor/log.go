package monitor

import (
	"context"
	"fmt"
	"sync"
)

// LogLimit bounds the lines that one probe may note; later ones are dropped.
const LogLimit = 64

type logKey struct{}

// A ProbeLog collects what one probe notes on its way. It is safe for use by
// several goroutines, since a probe that timed out may still be writing.
type ProbeLog struct {
	mu    sync.Mutex
	lines []string
}

// WithLog returns a context in which [Logf] writes to the returned log.
func WithLog(ctx context.Context) (context.Context, *ProbeLog) {
	l := new(ProbeLog)
	return context.WithValue(ctx, logKey{}, l), l
}

// Lines returns a copy of what was noted so far.
func (l *ProbeLog) Lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

// Logf notes a step of the running probe; "why did it fail" is answered from
// these notes. Without a log in ctx it does nothing.
func Logf(ctx context.Context, format string, args ...any) {
	l, ok := ctx.Value(logKey{}).(*ProbeLog)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) < LogLimit {
		l.lines = append(l.lines, fmt.Sprintf(format, args...))
	}
}
