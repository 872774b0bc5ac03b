package log

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"shisa/ctl/event"
)

// write returns what use writes with o.
func write(t *testing.T, o Options, use func(Logger)) string {
	t.Helper()
	var b bytes.Buffer
	l, err := New(&b, o)
	if err != nil {
		t.Fatal(err)
	}
	use(l)
	return b.String()
}

func TestText(t *testing.T) {
	t.Setenv("JOURNAL_STREAM", "")
	tests := []struct {
		name string
		use  func(Logger)
		want string // regular expression
	}{
		{"fields are sorted", func(l Logger) { l.Info("Probe done", Fields{"took": 3 * time.Second, "name": "web"}) },
			`^\d\d:\d\d:\d\d\.\d{3} info     Probe done name=web took=3s\n$`},
		{"error", func(l Logger) { l.Error("Cannot listen", errors.New("address in use"), nil) },
			`error    Cannot listen error="address in use"\n$`},
		{"with", func(l Logger) { l.With("name", "a b").Warn("Slow", nil) }, `warning  Slow name="a b"\n$`},
		{"empty value is visible", func(l Logger) { l.Info("x", Fields{"k": ""}) }, `k=""\n$`},
		{"no second line can be forged", func(l Logger) { l.Info("a\n<2>b", Fields{"k": "c\nd\x1b[2J"}) }, `info     a <2>b k="c\\nd\\x1b\[2J"\n$`},
		{"debug is off", func(l Logger) { l.Debug("x", nil) }, `^$`},
		{"event", func(l Logger) { l.Event(event.MonitorFailed.New("monitor/web", "detail", "refused")) },
			`error    Monitor web found a failure: refused code=monitor-failed subject=monitor/web\n$`},
		{"critical event", func(l Logger) { l.Event(event.KeeperLost.New("", "error", "gone")) }, ` critical shisa-keeper does not`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := write(t, Options{}, test.use); !regexp.MustCompile(test.want).MatchString(got) {
				t.Errorf("got %q, want %s", got, test.want)
			}
		})
	}
}

func TestJournalPriorities(t *testing.T) {
	t.Setenv("JOURNAL_STREAM", "8:1234")
	got := write(t, Options{Level: "debug"}, func(l Logger) {
		l.Debug("d", nil)
		l.Info("i", nil)
		l.Warn("w", nil)
		l.Error("e", nil, nil)
		l.Event(event.Event{Code: "x", Severity: event.Critical, Text: "c"})
	})
	if want := "<7>d\n<6>i\n<4>w\n<3>e\n<2>c code=x\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestJSON(t *testing.T) {
	got := write(t, Options{JSON: true}, func(l Logger) {
		l.Info("say \"hi\"\n", Fields{"n": 3, "d": time.Second, "bad": "\xff", "ok": true})
	})
	var m map[string]any
	if err := json.Unmarshal([]byte(got), &m); err != nil {
		t.Fatalf("%q: %v", got, err)
	}
	for k, want := range map[string]any{"msg": "say \"hi\"\n", "n": 3.0, "d": "1s", "level": "info", "ok": true} {
		if m[k] != want {
			t.Errorf("%s: got %v, want %v", k, m[k], want)
		}
	}
	if strings.Count(got, "\n") != 1 {
		t.Errorf("more than one line: %q", got)
	}
}

func TestLinesAreBounded(t *testing.T) {
	huge := strings.Repeat("x", 100<<10)
	for _, json := range []bool{false, true} {
		if got := write(t, Options{JSON: json}, func(l Logger) { l.Info(huge, nil) }); len(got) > LineLimit+256 {
			t.Errorf("json %v: a line of %d bytes", json, len(got))
		}
	}
}

func TestBadLevel(t *testing.T) {
	for _, level := range []string{"loud", "fatal", "trace"} {
		if _, err := New(&bytes.Buffer{}, Options{Level: level}); err == nil {
			t.Errorf("level %s accepted", level)
		}
	}
}

func TestZeroLoggerIsSilent(t *testing.T) {
	l := Discard()
	l.With("a", 1).Info("x", nil)
	l.Event(event.Event{})
	l.Error("x", errors.New("y"), nil)
}
