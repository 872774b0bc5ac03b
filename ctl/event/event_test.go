package event

import (
	"regexp"
	"strings"
	"testing"
)

func TestCatalogue(t *testing.T) {
	code := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	legacy := regexp.MustCompile(`^([a-z]+/\d+)?$`)
	for _, d := range All() {
		if !code.MatchString(d.Code) || !legacy.MatchString(d.Legacy) {
			t.Errorf("%q, %q: malformed code or number", d.Code, d.Legacy)
		}
		if d.Title == "" || strings.HasSuffix(d.Title, ".") {
			t.Errorf("%s: a title is needed, without full stop", d.Code)
		}
		if Lookup(d.Code) != d {
			t.Errorf("%s: not found by its code", d.Code)
		}
	}
}

func TestNew(t *testing.T) {
	e := MonitorFailed.New("monitor/web", "detail", "connection refused")
	if want := "Monitor web found a failure: connection refused"; e.Text != want {
		t.Errorf("got %q, want %q", e.Text, want)
	}
	if e.Fields["detail"] != "connection refused" || e.Severity != Error || e.Subject != "monitor/web" {
		t.Errorf("fields lost: %+v", e)
	}
}

func TestSeverityText(t *testing.T) {
	for _, s := range []Severity{Info, Warning, Error, Critical} {
		b, err := s.MarshalText()
		var back Severity
		if err != nil || back.UnmarshalText(b) != nil || back != s {
			t.Errorf("%v does not survive its text %q", s, b)
		}
	}
	var s Severity
	if err := s.UnmarshalText([]byte("bad")); err == nil {
		t.Error("accepted an unknown severity")
	}
}

// TestFix047EachTextItsOwn: no two events say the same, nor stand for the same
// one of the original. (There, the end of a wait was told with the text of its
// beginning.)
func TestFix047EachTextItsOwn(t *testing.T) {
	texts, titles, numbers := map[string]string{}, map[string]string{}, map[string]string{}
	for _, d := range All() {
		for what, m := range map[string]map[string]string{d.Text: texts, d.Title: titles, d.Legacy: numbers} {
			if other, has := m[what]; has && what != "" {
				t.Errorf("%s and %s both have %q", d.Code, other, what)
			}
			m[what] = d.Code
		}
	}
}
