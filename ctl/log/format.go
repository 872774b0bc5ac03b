package log

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sirupsen/logrus"

	"shisa/ctl/event"
)

// LineLimit bounds one line in bytes: the journal splits longer ones
// (LineMax=, journald.conf(5)), and a message from outside must not fill it.
const LineLimit = 8 << 10

// textFormat writes "15:04:05.000 warning  Message. key=value".
type textFormat struct {
	prefix bool // "<4>" in place of the time
	color  bool
}

// priorities are those of syslog(3).
var priorities = map[string]string{"debug": "<7>", "info": "<6>", "warning": "<4>", "error": "<3>", "critical": "<2>"}

var colors = map[string]string{"debug": "\x1b[2m", "warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[1;31m"}

// Format implements logrus.Formatter.
func (t textFormat) Format(e *logrus.Entry) ([]byte, error) {
	var b bytes.Buffer
	name := severityOf(e)
	if t.prefix {
		b.WriteString(priorities[name])
	} else {
		b.WriteString(e.Time.Format("15:04:05.000 "))
		if c := colors[name]; t.color && c != "" {
			fmt.Fprintf(&b, "%s%-8s\x1b[0m ", c, name)
		} else {
			fmt.Fprintf(&b, "%-8s ", name)
		}
	}
	b.WriteString(oneLine(e.Message))
	for _, k := range sortedKeys(e.Data, severityKey) {
		fmt.Fprintf(&b, " %s=%s", k, quote(text(e.Data[k])))
	}
	return cut(b.Bytes()), nil
}

// jsonFormat writes one object with time, level, msg and the fields.
type jsonFormat struct{}

// Format implements logrus.Formatter.
func (jsonFormat) Format(e *logrus.Entry) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"time":%q,"level":%q,"msg":%s`, e.Time.Format(time.RFC3339Nano), severityOf(e), jsonText(e.Message))
	for _, k := range sortedKeys(e.Data, severityKey) {
		b.WriteByte(',')
		b.Write(jsonText(k))
		b.WriteByte(':')
		switch v := e.Data[k].(type) {
		case int, int64, uint64, float64, bool:
			fmt.Fprint(&b, v)
		default:
			b.Write(jsonText(text(v)))
		}
	}
	b.WriteString("}\n")
	return b.Bytes(), nil
}

// severityOf returns the severity of an event, or the level of another line.
func severityOf(e *logrus.Entry) string {
	if s, ok := e.Data[severityKey].(event.Severity); ok {
		return s.String()
	}
	return e.Level.String()
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case time.Duration:
		return v.String()
	}
	return fmt.Sprint(v)
}

// jsonText writes s, cut to LineLimit, as JSON.
func jsonText(s string) []byte {
	if len(s) > LineLimit {
		s = s[:LineLimit] + "…"
	}
	b, err := json.Marshal(s)
	if err != nil {
		return []byte(`""`) // cannot happen: every string can be marshalled
	}
	return b
}

// quote puts s in quotes when it could be misread without.
func quote(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '"' || r == '=' || r == 0x7f || r == utf8.RuneError }) {
		return strconv.Quote(s)
	}
	return s
}

// oneLine keeps control characters of texts from outside off the terminal and
// makes sure that nobody can forge a second line.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// cut bounds b and ends it with a newline.
func cut(b []byte) []byte {
	if len(b) > LineLimit {
		b = append(b[:LineLimit], "…"...)
	}
	return append(b, '\n')
}
