package event

import "sync"

// Changes remembers the state that each subject is in, so that an event is
// made when it changes and not at every probe that finds it unchanged. The
// zero Changes is empty and ready.
type Changes struct {
	mu   sync.Mutex
	last map[string]string
}

// Changed records that subject is in state and reports whether it was in
// another one, or unknown, before.
func (c *Changes) Changed(subject, state string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, known := c.last[subject]; known && old == state {
		return false
	}
	if c.last == nil {
		c.last = map[string]string{}
	}
	c.last[subject] = state
	return true
}

// Forget removes subject, which is configured no more.
func (c *Changes) Forget(subject string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.last, subject)
}
