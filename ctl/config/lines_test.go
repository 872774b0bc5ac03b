package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/rogpeppe/go-internal/txtar"
)

func TestIndex(t *testing.T) {
	src := `# comment with [brackets] and "quotes
version = 1
"quoted key".'raw\n' . bare = [
  "a]b", # ] in a comment
  { x = 1,
    y.z = '''two
lines''' },
]
text = """
""quotes"" \" """"
after = 1979-05-27 07:32:00
"esc\u00e9\"" = 2
[a.b]
c = {d = {e = [[1], [2,
3]]}} # comment
[[list]]
name = "x"
[list.sub]
k = 1
[[list]]
name = "y"
[[list.deep]]
[[list.deep]]
k = 2
[a]
late = 1
`
	s := index(src)
	for _, tt := range []struct {
		line int
		path []any
	}{
		{2, []any{"version"}},
		{3, []any{"quoted key"}}, {3, []any{"quoted key", `raw\n`, "bare"}},
		{4, []any{"quoted key", `raw\n`, "bare", 0}}, {5, []any{"quoted key", `raw\n`, "bare", 1}},
		{5, []any{"quoted key", `raw\n`, "bare", 1, "x"}}, {6, []any{"quoted key", `raw\n`, "bare", 1, "y", "z"}},
		{9, []any{"text"}}, {11, []any{"after"}}, {12, []any{`escé"`}},
		{13, []any{"a", "b"}}, {14, []any{"a", "b", "c", "d", "e"}}, {14, []any{"a", "b", "c", "d", "e", 1, 0}}, {15, []any{"a", "b", "c", "d", "e", 1, 1}},
		{16, []any{"list", 0}}, {17, []any{"list", 0, "name"}}, {18, []any{"list", 0, "sub"}}, {19, []any{"list", 0, "sub", "k"}},
		{20, []any{"list", 1}}, {21, []any{"list", 1, "name"}}, {22, []any{"list", 1, "deep", 0}}, {24, []any{"list", 1, "deep", 1, "k"}},
		{25, []any{"a"}}, {26, []any{"a", "late"}},
	} {
		p := s.root
		for _, step := range tt.path {
			switch step := step.(type) {
			case string:
				p = p.child(step)
			case int:
				p = p.item(step)
			}
		}
		if p == nil || p.line != tt.line {
			t.Errorf("%v: got %+v, want line %d", tt.path, p, tt.line)
		}
	}
	checkIndex(t, []byte(src))
}

// checkIndex demands that the index has every key that the decoder finds.
func checkIndex(t *testing.T, src []byte) {
	t.Helper()
	s := index(string(src))
	if s.excess > 0 {
		return // and is refused before it is decoded
	}
	var raw any
	if _, err := toml.Decode(string(src), &raw); err != nil {
		return
	}
	if s.pos != len(s.src) {
		t.Fatalf("stopped at byte %d of %d of a valid file:\n%s", s.pos, len(s.src), src)
	}
	if len(s.repeats) > 0 {
		t.Fatalf("repeats %v in a valid file:\n%s", s.repeats, src)
	}
	if err := covers(s.root, raw, 1+bytes.Count(src, []byte("\n")), ""); err != nil {
		t.Fatalf("%v in\n%s", err, src)
	}
}

// covers reports a value without a place, or with an impossible one.
func covers(p *place, v any, lines int, path string) error {
	if p == nil {
		return fmt.Errorf("no line for %s", path)
	}
	if p.line < 1 || p.line > lines {
		return fmt.Errorf("line %d of %d for %s", p.line, lines, path)
	}
	item := func(i, n int, v any) error {
		if len(p.items) != n {
			return fmt.Errorf("%d items instead of %d for %s", len(p.items), n, path)
		}
		return covers(p.item(i), v, lines, fmt.Sprintf("%s[%d]", path, i))
	}
	switch v := v.(type) {
	case map[string]any:
		if p.count != len(v) {
			return fmt.Errorf("%d keys instead of %d for %s", p.count, len(v), path)
		}
		for k, v := range v {
			if err := covers(p.child(k), v, lines, path+"."+k); err != nil {
				return err
			}
		}
	case []map[string]any:
		for i, t := range v {
			if err := item(i, len(v), t); err != nil {
				return err
			}
		}
	case []any:
		for i, t := range v {
			if err := item(i, len(v), t); err != nil {
				return err
			}
		}
	}
	return nil
}

func FuzzIndex(f *testing.F) {
	cases, _ := filepath.Glob("testdata/broken/*.txtar")
	for _, path := range cases {
		a, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(a.Files[0].Data)
	}
	good, _ := filepath.Glob("testdata/good/*.toml")
	for _, path := range good {
		src, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	for _, src := range []string{
		"a = \"\"\"\n\"\"quotes\"\" \\\" \"\"\"\"\nb = '''x'''''\n", "a.b.c = 1\na.b.d = {x.y = [1, {z = 2}]}\n", "[[a.b]]\n[a.b.c]\n[[a.b]]\n",
		"\"\\u00e9\\x41\" = 1\n'' = 2\n\"\".x = 3\n", "d = 1979-05-27 07:32:00 # c\nf = [1e3,\n2,]\n", "a = [ [], {}, '', \"\\\\\" ]\n", "a = {\n b = 1, # c\n}\n",
	} {
		f.Add([]byte(src))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if notUTF8(src) < 0 { // anything else is refused before
			checkIndex(t, src)
		}
	})
}

// TestBrief: what cannot be shown in full names the first and counts the others.
func TestBrief(t *testing.T) {
	var ps Problems
	for i := range maxBrief + 2 {
		ps = append(ps, Problem{File: "f", Line: i + 1, Text: "wrong"})
	}
	got := ps.Brief()
	if !strings.HasPrefix(got, "f:1: wrong; f:2: wrong; ") || !strings.HasSuffix(got, "; f:10: wrong; and 2 more") || strings.Contains(got, "\n") {
		t.Errorf("%q", got)
	}
	if got := ps[:1].Brief(); got != "f:1: wrong" {
		t.Errorf("%q", got)
	}
}
