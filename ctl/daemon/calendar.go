package daemon

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"shisa/ctl/decide"
	"shisa/ctl/run"
)

// clockSlack is by how much the wall clock may differ from what the decision
// machine reckons before it is told anew.
const clockSlack = time.Second

// A calendar remembers what the decision machine knows of the wall clock. It
// belongs to the loop.
type calendar struct {
	told time.Time     // zero: nothing yet
	at   time.Duration // since the daemon began
}

// tellClock tells the decision machine what the calendar says, at first and
// whenever the wall clock was set.
func (d *Daemon) tellClock(ctx context.Context) {
	now, at := time.Now(), time.Since(d.since)
	wall := now.Round(0) // without the monotonic clock, which no setting moves
	if c := d.calendar; !c.told.IsZero() && wall.Sub(c.told.Add(at-c.at)).Abs() < clockSlack {
		return
	}
	d.calendar = calendar{wall, at}
	d.step(ctx, decide.Clock{Wall: wall})
}

// forbidden asks whether anything forbids to take the machine down now; empty:
// nothing does. What cannot be found out forbids it: it is asked again, and not
// for ever.
func (d *Daemon) forbidden(ctx context.Context, c decide.AskBlockers) string {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	found := make(chan string, 1)
	go func() { found <- existing(c.Files) }() // a file system may hang
	select {
	case why := <-found:
		if why != "" {
			return why
		}
	case <-ctx.Done():
		return fmt.Sprintf("the blocker files cannot be looked for within %v", c.Timeout)
	}
	if c.Program == "" {
		return ""
	}
	path := c.Program
	if !filepath.IsAbs(path) {
		path = filepath.Join(d.Model().Dir, path)
	}
	r := run.Run(ctx, run.Command{Name: "blocker", Path: path, Env: run.BaseEnv(), Timeout: c.Timeout})
	if err := r.AsError(); err != nil {
		return c.Program + ": " + err.Error()
	}
	return ""
}

// existing names the first of files that exists.
func existing(files []string) string {
	for _, path := range files {
		switch _, err := os.Lstat(path); {
		case err == nil:
			return "file " + path + " exists"
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission):
			return err.Error()
		}
	}
	return ""
}

// seed turns the name of the server into what tells its chances from those of
// others.
func seed(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // which never fails
	return h.Sum64()
}
