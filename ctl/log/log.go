// Package log writes log lines: a constant message, details in fields. It is
// the only package that knows the logger, logrus. What the operator must know
// is an event (package event); [Logger.Event] writes those, too.
//
// On a terminal a line is text with the time; under systemd, which adds the
// time itself, it is text behind a priority prefix (sd-daemon(3), "<4>"); with
// Options.JSON it is one object.
package log

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"

	"shisa/ctl/event"
)

// Fields are the details of one line. Values are written with %v.
type Fields map[string]any

// A Logger writes lines; safe for use by many goroutines. The zero Logger
// writes nothing.
type Logger struct{ e *logrus.Entry }

// Options select what is written, and how.
type Options struct {
	Level string // least severity: "debug", "info" (also empty), "warning", "error"
	JSON  bool   // one object a line
	Color bool   // severities in colour, text only
}

// New returns a logger that writes to w. An unknown level is an error.
func New(w io.Writer, o Options) (Logger, error) {
	l := logrus.New()
	l.SetOutput(w)
	l.SetLevel(logrus.InfoLevel)
	if o.Level != "" {
		level, err := logrus.ParseLevel(o.Level)
		if err != nil || level < logrus.ErrorLevel || level > logrus.DebugLevel {
			return Logger{}, fmt.Errorf("log level %q: use debug, info, warning or error", o.Level)
		}
		l.SetLevel(level)
	}
	l.SetFormatter(textFormat{prefix: underSystemd(), color: o.Color})
	if o.JSON {
		l.SetFormatter(jsonFormat{})
	}
	return Logger{logrus.NewEntry(l)}, nil
}

// Discard returns a logger that writes nothing.
func Discard() Logger { return Logger{} }

// underSystemd reports whether standard error is a stream to the journal:
// systemd sets JOURNAL_STREAM to its device and inode (systemd.exec(5)).
func underSystemd() bool { return os.Getenv("JOURNAL_STREAM") != "" }

// With returns a logger that adds key to every line.
func (l Logger) With(key string, value any) Logger {
	if l.e == nil {
		return l
	}
	return Logger{l.e.WithField(key, value)}
}

// Debug writes what helps a developer.
func (l Logger) Debug(msg string, f Fields) { l.write(logrus.DebugLevel, msg, f) }

// Info writes what is for the record.
func (l Logger) Info(msg string, f Fields) { l.write(logrus.InfoLevel, msg, f) }

// Warn writes what should be looked at.
func (l Logger) Warn(msg string, f Fields) { l.write(logrus.WarnLevel, msg, f) }

// Error writes what does not work; err may be nil.
func (l Logger) Error(msg string, err error, f Fields) {
	if err != nil {
		f = add(f, "error", err)
	}
	l.write(logrus.ErrorLevel, msg, f)
}

// Event writes an event: its text, with code, subject and sequence number as
// fields. A critical event stands out in the journal as priority 2.
func (l Logger) Event(e event.Event) {
	if l.e == nil {
		return
	}
	f := logrus.Fields{codeKey: e.Code, severityKey: e.Severity}
	if e.Subject != "" {
		f[subjectKey] = e.Subject
	}
	if e.Seq != 0 {
		f[seqKey] = e.Seq
	}
	l.e.WithFields(f).Log(levels[e.Severity], e.Text)
}

// Keys that events use; severityKey steers the priority and is not printed in text.
const (
	codeKey     = "code"
	severityKey = "severity"
	subjectKey  = "subject"
	seqKey      = "seq"
)

// levels maps severities to logrus's. Critical is not logrus's fatal, which exits.
var levels = map[event.Severity]logrus.Level{
	event.Info: logrus.InfoLevel, event.Warning: logrus.WarnLevel,
	event.Error: logrus.ErrorLevel, event.Critical: logrus.ErrorLevel,
}

func (l Logger) write(level logrus.Level, msg string, f Fields) {
	if l.e != nil {
		l.e.WithFields(logrus.Fields(f)).Log(level, msg)
	}
}

func add(f Fields, key string, value any) Fields {
	c := make(Fields, len(f)+1)
	for k, v := range f {
		c[k] = v
	}
	c[key] = value
	return c
}

// sortedKeys returns the keys of f in order, without those of hidden.
func sortedKeys(f logrus.Fields, hidden ...string) []string {
	keys := make([]string, 0, len(f))
	for k := range f {
		if !slices.Contains(hidden, k) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, strings.Compare)
	return keys
}
