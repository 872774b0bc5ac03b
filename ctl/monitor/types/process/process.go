// Package process declares the process monitor.
package process

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/param"
	"shisa/ctl/proc"
)

// WatchLimit is how many processes of one monitor are watched by pidfd. Beyond
// it the death of a single one is found at the next probe.
const WatchLimit = 64

type params struct {
	match  string
	regexp bool
	min    int
	max    int

	pattern pattern
}

// Type counts the processes whose command line matches a pattern.
var Type = monitor.Define(monitor.Spec[params]{
	Name:  "process",
	Alias: "psw",
	Title: "Process by name",
	Doc: "Counts the processes whose command line matches a pattern. Fewer than `min` or more than `max` of them are a failure.\n\n" +
		"The pattern is compared with the whole command line, as `ps -ef` shows it; `*` stands for any text, so " +
		"`/usr/sbin/httpd*` finds every process of that program whatever its arguments. A kernel thread is known by its name in " +
		"square brackets. Processes that have exited and only wait to be reaped do not count.\n\n" +
		"The death of a process that was counted is noticed at once, by pidfd, and looked at without waiting for the interval.",
	Timing: monitor.Timing{Interval: 5 * time.Second, Timeout: 60 * time.Second, Retry: 1},
	Params: func(p *params, s *param.Set) {
		s.String(&p.match, "match", "", "Command line to look for; * stands for any text.").Required().As("parameters/processname")
		s.Bool(&p.regexp, "regexp", false, "Whether match is a regular expression, which may match a part of the command line.").Check(p.compile)
		s.Int(&p.min, "min", 1, 0, 99999, "processes", "Least number of processes.").As("parameters/processnum")
		s.Int(&p.max, "max", 0, 0, 99999, "processes", "Greatest number of processes; 0: any.").Check(func() error {
			if p.max != 0 && p.max < p.min {
				return fmt.Errorf("max %d is less than min %d", p.max, p.min)
			}
			if p.max == 0 && p.min == 0 {
				return errors.New("with neither min nor max any number would do")
			}
			return nil
		})
	},
	Example: map[string]any{"match": "/usr/sbin/httpd*"},
	New:     func(p params, _ monitor.Env) (monitor.Prober, error) { return &prober{params: p}, nil },
})

// compile makes a pattern of match.
func (p *params) compile() (err error) {
	if !p.regexp {
		p.pattern = newGlob(p.match)
		return nil
	}
	p.pattern, err = regexp.Compile(p.match)
	return err
}

// A prober remembers which processes it has found: as long as enough of them
// live and still match, the rest of the machine need not be searched.
type prober struct {
	params

	mu    sync.Mutex
	found []proc.ID
}

// Probe implements monitor.Prober.
func (p *prober) Probe(ctx context.Context) (monitor.Finding, error) {
	if err := ctx.Err(); err != nil {
		return monitor.Finding{}, err
	}
	if p.max == 0 {
		if n := p.still(); n >= p.min {
			return monitor.Finding{Detail: fmt.Sprintf("%s running", processes(n))}, nil
		}
	}
	found, err := p.search(ctx)
	p.remember(found)
	f := monitor.Finding{Detail: fmt.Sprintf("%s running", processes(len(found)))}
	switch n := len(found); {
	case err != nil && (n < p.min || p.max > 0 && n <= p.max): // those that were not seen may count
		return monitor.Finding{}, err
	case n < p.min:
		f = monitor.Finding{Verdict: monitor.Failed, Detail: fmt.Sprintf("%s running that match %q, at least %d wanted", processes(n), p.match, p.min)}
	case p.max > 0 && n > p.max:
		f = monitor.Finding{Verdict: monitor.Failed, Detail: fmt.Sprintf("%s running that match %q, at most %d wanted", processes(n), p.match, p.max)}
	}
	return f, nil
}

func processes(n int) string {
	if n == 1 {
		return "1 process is"
	}
	return fmt.Sprintf("%d processes are", n)
}

// still returns how many of the remembered processes live and match.
func (p *prober) still() int {
	found := slices.DeleteFunc(p.known(), func(id proc.ID) bool { return announced(id) || !p.matches(id) })
	p.remember(found)
	return len(found)
}

// matches reports whether a process lives and matches.
func (p *prober) matches(id proc.ID) bool {
	s, err := proc.Read(id.PID)
	if err != nil || s.ID != id || s.Ended() {
		return false
	}
	line, err := command(s)
	return err == nil && p.pattern.MatchString(line)
}

func (p *prober) known() []proc.ID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.found)
}

func (p *prober) remember(ids []proc.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.found = ids
}

// search looks at every process of the machine; with an error, at those that
// could be looked at.
func (p *prober) search(ctx context.Context) ([]proc.ID, error) {
	all, unread := everybody.take()
	// Thousands that search at once must not keep everything else waiting.
	select {
	case searching <- struct{}{}:
		defer func() { <-searching }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var found []proc.ID
	for _, l := range all {
		if p.pattern.MatchString(l.line) && !announced(l.ID) {
			found = append(found, l.ID)
			monitor.Logf(ctx, "found %d (%q)", l.PID, l.Comm)
		}
	}
	return found, unread
}

// searching bounds how many probes go through a census at the same time.
var searching = make(chan struct{}, 2)

// announced reports whether the process is dying, although it is still there.
func announced(id proc.ID) bool {
	w, err := proc.Default()
	return err == nil && w.Dying(id)
}

// Watch implements monitor.Watcher: it asks for a probe when one of the
// processes has died that the last one found.
func (p *prober) Watch(ctx context.Context, changed func()) error {
	w, err := proc.Default()
	if err != nil {
		return err
	}
	// Every death asks for a probe, and the first one ends the watch: the
	// probe finds who is left or has come, and the next watch is of those.
	died := make(chan struct{}, 1)
	known := p.known()
	if len(known) == 0 {
		return nil // the next probe may find some
	}
	for _, id := range known[:min(len(known), WatchLimit)] {
		stop, err := w.Notice(id, func() {
			select {
			case died <- struct{}{}:
			default:
			}
		})
		if err != nil {
			return err
		}
		defer stop()
	}
	select {
	case <-ctx.Done():
	case <-died:
		changed()
	}
	return nil
}
