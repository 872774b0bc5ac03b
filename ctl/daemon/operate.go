package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/cpufreq"
	"shisa/ctl/decide"
	"shisa/ctl/event"
	"shisa/ctl/param"
	"shisa/ctl/run"
)

// A stretch is how much more time probes have at the moment. The zero stretch
// is none.
type stretch struct {
	mu    sync.Mutex
	ratio int
	until time.Time
}

func (s *stretch) view() api.Stretch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.until.IsZero() && time.Until(s.until) <= 0 {
		s.ratio, s.until = 1, time.Time{}
	}
	return api.Stretch{Ratio: max(s.ratio, 1), Until: s.until}
}

func (s *stretch) set(ratio int, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ratio, s.until = ratio, until
}

// Stretch multiplies the timeouts of probes, resources, scripts and waits for a
// while. The decision machine does it, and ends it.
func (d *Daemon) Stretch(ctx context.Context, c api.StretchCommand) (api.Result, error) {
	length := time.Duration(c.ForMS)
	switch {
	case c.Ratio < 1 || c.Ratio > api.MaxStretch:
		return api.Result{}, api.Errorf(api.BadRequest, "ratio %d is outside 1 to %d", c.Ratio, api.MaxStretch)
	case c.Ratio > 1 && (length <= 0 || length > api.MaxStretchFor):
		return api.Result{}, api.Errorf(api.BadRequest, "the time is missing, or longer than %s", param.FormatDuration(api.MaxStretchFor))
	}
	d.record(ctx, fmt.Sprintf("stretch %d %s", c.Ratio, param.FormatDuration(length)), c.Reason)
	by := api.CallerFrom(ctx).Name
	if c.Ratio == 1 {
		d.stretched.set(1, time.Time{})
		d.input(ctx, decide.Stretch{Ratio: 1, By: by})
		return api.Result{Text: "The configured timeouts hold."}, nil
	}
	until := time.Now().Add(length)
	d.stretched.set(c.Ratio, until)
	d.input(ctx, decide.Stretch{Ratio: c.Ratio, For: length, By: by})
	return api.Result{Text: fmt.Sprintf("Everything but the countdown has %d times as long until %s.", c.Ratio, until.Format(time.DateTime))}, nil
}

// Note writes an event in the operator's own words.
func (d *Daemon) Note(ctx context.Context, c api.NoteCommand) (api.Result, error) {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(c.Text, "?")), " ")
	if text == "" || len(text) > api.NoteLimit {
		return api.Result{}, api.Errorf(api.BadRequest, "a note has 1 to %d bytes, this one %d", api.NoteLimit, len(text))
	}
	e := event.OperatorNote.New("", "text", text, "id", strconv.Itoa(c.ID), "who", api.CallerFrom(ctx).String())
	e.Severity = c.Severity
	d.emit(e)
	return api.Result{Text: "The note is written."}, nil
}

// scriptOutput bounds the output of a script that is handed back, in bytes.
const scriptOutput = 256 << 10

// Script runs one of the scripts that may be asked for.
func (d *Daemon) Script(ctx context.Context, c api.ScriptCommand) (api.ScriptResult, error) {
	limit := cmp.Or(time.Duration(c.TimeMS), api.ScriptTime)
	switch {
	case c.Name != filepath.Base(c.Name) || strings.HasPrefix(c.Name, "."):
		return api.ScriptResult{}, api.Errorf(api.BadRequest, "%q is no name of a script: give the file name alone", c.Name)
	case limit < 0 || limit > time.Hour:
		return api.ScriptResult{}, api.Errorf(api.BadRequest, "a script may take at most an hour")
	}
	dir := filepath.Join(cmp.Or(d.Model().Dir, "/etc/shisa"), api.ScriptDir)
	path := filepath.Join(dir, c.Name)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return api.ScriptResult{}, api.Errorf(api.NotFound, "there is no script %q", c.Name).Try("put it into " + dir)
	}
	d.record(ctx, "script "+c.Name, c.Reason)
	r := run.Run(ctx, run.Command{Name: "script " + c.Name, Path: path, Dir: dir, Timeout: limit, OutputLimit: scriptOutput, Leave: true})
	if r.State == run.CouldNotStart {
		return api.ScriptResult{}, api.Errorf(api.Conflict, "script %s: %v", c.Name, r.Err)
	}
	ended := event.ScriptDone
	if !r.OK() {
		ended = event.ScriptFailed
	}
	d.emit(ended.New("", "name", c.Name, "who", api.CallerFrom(ctx).String(), "outcome", r.String()))
	status := r.Code
	if !r.Known() {
		status = -1
	}
	return api.ScriptResult{Text: c.Name + " " + r.String(), OK: r.OK(), Status: status, Output: strings.ToValidUTF8(string(r.Output), "?")}, nil
}

// Stop stops every group and ends the daemon.
func (d *Daemon) Stop(ctx context.Context, c api.StopCommand) (api.Result, error) {
	d.record(ctx, "stop", c.Reason)
	d.StopService(ctx, api.CallerFrom(ctx).String(), cmp.Or(c.Reason, "asked for"), "")
	return api.Result{Text: "Groups are stopped, then shisad ends."}, nil
}

// Trace measures for a while how long tasks wait for a CPU.
func (d *Daemon) Trace(ctx context.Context, c api.TraceCommand) (api.Trace, error) {
	length := cmp.Or(time.Duration(c.ForMS), api.TraceTime)
	switch {
	case length < 0 || length > api.MaxTraceTime:
		return api.Trace{}, api.Errorf(api.BadRequest, "a trace takes at most %s", param.FormatDuration(api.MaxTraceTime))
	case d.parts.Trace == nil:
		return api.Trace{}, api.Errorf(api.NotReady, "this daemon cannot trace")
	case !d.tracing.TryLock():
		return api.Trace{}, api.Errorf(api.Conflict, "another trace is under way").Try("wait for it: a minute at most")
	}
	defer d.tracing.Unlock()
	d.record(ctx, "trace "+param.FormatDuration(length), c.Reason)
	return d.parts.Trace(ctx, length)
}

// Speed sets the clock of the processors, or tells it.
func (d *Daemon) Speed(ctx context.Context, c api.SpeedCommand) (api.Result, error) {
	root := cmp.Or(d.parts.SysDir, "/sys")
	if c.Mode != "" {
		d.record(ctx, "processor speed "+string(c.Mode), c.Reason)
		switch err := cpufreq.Set(root, string(c.Mode)); {
		case errors.Is(err, cpufreq.ErrNone):
			return api.Result{}, api.Errorf(api.Conflict, "%v", err)
		case err != nil:
			return api.Result{}, api.Errorf(api.Internal, "set the speed of the processors: %v", err)
		}
	}
	governors, err := cpufreq.Get(root)
	if err != nil {
		return api.Result{}, api.Errorf(api.Conflict, "%v", err)
	}
	return api.Result{Text: "Governors of the processors: " + strings.Join(governors, ", ") + "."}, nil
}
