package config

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// sameMeaning compares models without what says where they came from.
func sameMeaning(a, b *Model) string {
	return cmp.Diff(a, b, cmpopts.IgnoreUnexported(Model{}), cmpopts.EquateEmpty(),
		cmpopts.IgnoreFields(Model{}, "Source", "Dir"),
		cmpopts.IgnoreFields(Group{}, "Line"), cmpopts.IgnoreFields(Resource{}, "Line"), cmpopts.IgnoreFields(Monitor{}, "Line"))
}

func defaultText(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	if err := WriteDefault(&b, fakes()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func parse(t *testing.T, text string) *Model {
	t.Helper()
	m, problems := Parse([]byte(text), "shisa.toml", "", fakes())
	if len(problems) > 0 {
		t.Fatalf("%s\n%s", problems, text)
	}
	return m
}

func TestDefault(t *testing.T) {
	m := Default()
	if m.Mode != Observe || !m.Stall.Enabled || m.Source != DefaultSource {
		t.Errorf("the default must observe stalls: %+v", m)
	}
	if d := sameMeaning(m, parse(t, "")); d != "" {
		t.Errorf("an empty file differs from the default (-default +file):\n%s", d)
	}
	if d := sameMeaning(m, parse(t, defaultText(t))); d != "" {
		t.Errorf("the written default differs (-default +file):\n%s", d)
	}
}

// The examples and defaults in the comments are configuration, too.
func TestDefaultUncommented(t *testing.T) {
	text := regexp.MustCompile(`(?m)^#([a-z\[])`).ReplaceAllString(defaultText(t), "$1")
	m := parse(t, text)
	if len(m.Groups) != 1 || len(m.Resources) != len(fakes().Resources) || len(m.Monitors) != len(fakes().Monitors) {
		t.Errorf("%d groups, %d resources, %d monitors", len(m.Groups), len(m.Resources), len(m.Monitors))
	}
	m.Groups, m.Resources, m.Monitors = nil, nil, nil
	if d := sameMeaning(Default(), m); d != "" {
		t.Errorf("a default in a comment is wrong (-default +comment):\n%s", d)
	}
}
