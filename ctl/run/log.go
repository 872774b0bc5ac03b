package run

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// LineLimit bounds one line of a rotated log in bytes; longer ones are broken.
const LineLimit = 4096

// LogTo opens a log for the output of one command, to be its Command.Output.
//
// With rotate 0 the command writes to the file itself, unchanged and without
// end. Otherwise each line is preceded by "YYYY/MM/DD hh:mm:ss.mmm[pid] ", and
// when the file would exceed rotate bytes it is renamed to path.1, replacing
// the last one. Commands may share a path; folders are made as needed.
func LogTo(path string, rotate int64) (io.WriteCloser, error) {
	if rotate == 0 {
		return openLog(path)
	}
	f, err := shareLog(path, rotate)
	if err != nil {
		return nil, err
	}
	return &lines{log: f}, nil
}

func openLog(path string) (*os.File, error) {
	// MkdirAll is content when somebody else makes the folder meanwhile.
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	// Without O_NONBLOCK a named pipe would make us wait for its reader.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return f, nil
}

// rotatedName is what the full log is renamed to.
func rotatedName(path string) string { return path + ".1" }

// A rotatedLog is one file, shared by all commands that write to it.
type rotatedLog struct {
	path  string
	limit int64
	users int // guarded by logs.mu

	mu   sync.Mutex
	file *os.File // nil after an error; the next line tries again
	size int64
	lost int64 // lines that could not be written since the last that could
}

// logs are the rotated logs in use, by path.
var logs = struct {
	mu   sync.Mutex
	open map[string]*rotatedLog
}{open: map[string]*rotatedLog{}}

func shareLog(path string, limit int64) (*rotatedLog, error) {
	path = filepath.Clean(path)
	const nameMax = 255 // of one folder entry on every common file system
	if base := filepath.Base(rotatedName(path)); len(base) > nameMax {
		return nil, fmt.Errorf("open log %s: its rotated name has %d bytes, more than %d", path, len(base), nameMax)
	}
	logs.mu.Lock()
	defer logs.mu.Unlock()
	l, ok := logs.open[path]
	if !ok {
		l = &rotatedLog{path: path}
		if err := l.open(); err != nil {
			return nil, err
		}
		logs.open[path] = l
	}
	l.users++
	l.mu.Lock()
	l.limit = limit
	l.mu.Unlock()
	return l, nil
}

// release gives up one use; the last one closes the file.
func (l *rotatedLog) release() error {
	logs.mu.Lock()
	defer logs.mu.Unlock()
	if l.users--; l.users > 0 {
		return nil
	}
	delete(logs.open, l.path)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

func (l *rotatedLog) open() error {
	f, err := openLog(l.path)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.size = f, info.Size()
	return nil
}

// write appends one whole line. What cannot be written is counted, and the
// count stands in the log as soon as it can be written again: a full disk must
// not stop the command.
func (l *rotatedLog) write(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost > 0 {
		line = fmt.Appendf(nil, "(%d lines are missing: the log could not be written)\n%s", l.lost, line)
	}
	if err := l.append(line); err != nil {
		l.lost++
		return
	}
	l.lost = 0
}

func (l *rotatedLog) append(line []byte) error {
	if l.file != nil && l.size > 0 && l.size+int64(len(line)) > l.limit {
		l.file.Close()
		l.file = nil
		if err := os.Rename(l.path, rotatedName(l.path)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if l.file == nil {
		if err := l.open(); err != nil {
			return err
		}
	}
	n, err := l.file.Write(line)
	l.size += int64(n)
	return err
}

// lines cuts the output of one command into lines and stamps them.
type lines struct {
	log  *rotatedLog
	pid  int
	part []byte // of a line that has not ended yet
}

// Write implements io.Writer; it never fails, so that the command is not disturbed.
func (w *lines) Write(b []byte) (int, error) {
	w.part = append(w.part, b...)
	for {
		i := bytes.IndexByte(w.part, '\n')
		switch {
		case i >= 0 && i <= LineLimit:
			w.line(w.part[:i])
			w.part = w.part[i+1:]
		case len(w.part) >= LineLimit:
			w.line(w.part[:LineLimit])
			w.part = w.part[LineLimit:]
		default:
			w.part = append([]byte(nil), w.part...) // lets go of what was consumed
			return len(b), nil
		}
	}
}

func (w *lines) line(text []byte) {
	b := time.Now().AppendFormat(make([]byte, 0, len(text)+40), "2006/01/02 15:04:05.000")
	b = append(b, '[')
	b = strconv.AppendInt(b, int64(w.pid), 10)
	b = append(b, "] "...)
	b = append(b, text...)
	w.log.write(append(b, '\n'))
}

// Close writes what is left without an end of line, and lets go of the log.
func (w *lines) Close() error {
	if len(w.part) > 0 {
		w.line(w.part)
		w.part = nil
	}
	return w.log.release()
}
