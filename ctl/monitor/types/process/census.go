package process

import (
	"errors"
	"fmt"
	"sync"

	"shisa/ctl/proc"
)

// A census is a look at every process of the machine, which all probes share
// that asked for it before it began: when many processes are missing at once,
// their monitors do not each go through /proc.
type census struct {
	look func() ([]life, error)

	mu      sync.Mutex
	current *count // that has begun last; nil: none has
	next    *count // not begun yet; nil: nobody has asked
}

// A count is one census.
type count struct {
	done  chan struct{} // closed when what follows is there
	lives []life
	err   error
}

// A life is a process that has not ended.
type life struct {
	proc.Stat
	line string // command line, or the name in square brackets
}

var everybody = census{look: look}

// take returns every process that lives at some moment after the call; with an
// error, those that could be looked at. The list is shared and must not be changed.
func (c *census) take() ([]life, error) {
	c.mu.Lock()
	n, before := c.next, c.current
	if n != nil {
		c.mu.Unlock()
		<-n.done
		return n.lives, n.err
	}
	n = &count{done: make(chan struct{})}
	c.next = n
	c.mu.Unlock()
	defer close(n.done)
	if before != nil {
		<-before.done
	}
	c.mu.Lock()
	c.current, c.next = n, nil // whoever comes from now on wants to know of a later moment
	c.mu.Unlock()
	n.lives, n.err = c.look()
	return n.lives, n.err
}

func look() ([]life, error) {
	all, unread := proc.List()
	lives := make([]life, 0, len(all))
	for _, s := range all {
		if s.Ended() {
			continue
		}
		switch line, err := command(s); {
		case err == nil:
			lives = append(lives, life{s, line})
		case !errors.Is(err, proc.ErrGone):
			unread = err
		}
	}
	if unread != nil {
		unread = fmt.Errorf("list processes: %w", unread)
	}
	return lives, unread
}

// command returns the command line of a process, or of a kernel thread, which
// has none, its name.
func command(s proc.Stat) (string, error) {
	line, err := proc.Command(s.PID)
	if err == nil && line == "" {
		line = "[" + s.Comm + "]"
	}
	return line, err
}
