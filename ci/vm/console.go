package vm

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
)

// A console collects what the guest prints. It is the writer behind QEMU's
// standard output.
type console struct {
	tee io.Writer

	mu      sync.Mutex
	text    []byte        // guarded by mu: at most maxConsole
	changed chan struct{} // guarded by mu: closed at each change
	ended   bool          // guarded by mu
}

func newConsole(tee io.Writer) *console {
	return &console{tee: tee, changed: make(chan struct{})}
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, p...)
	if over := len(c.text) - maxConsole; over > 0 {
		c.text = c.text[over:]
	}
	c.wake()
	if c.tee != nil {
		_, _ = c.tee.Write(p) // a broken copy must not stop the guest
	}
	return len(p), nil
}

func (c *console) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *console) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.wake()
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.text)
}

// expect returns the first whole line that contains the text.
func (c *console) expect(ctx context.Context, text string) (string, error) {
	for {
		c.mu.Lock()
		all, changed, ended := string(c.text), c.changed, c.ended
		c.mu.Unlock()
		for line := range strings.Lines(all) {
			if strings.HasSuffix(line, "\n") && strings.Contains(line, text) {
				return strings.TrimRight(line, "\r\n"), nil
			}
		}
		if ended {
			return "", fmt.Errorf("expect %q on the console: %w", text, ErrEnded)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return "", fmt.Errorf("expect %q on the console: %w", text, ctx.Err())
		}
	}
}
