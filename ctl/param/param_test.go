package param

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

type values struct {
	timeout time.Duration
	size    int64
	count   int
	ratio   float64
	mode    string
	on      bool
	names   []string
	text    string
}

func declare(v *values) *Set {
	var s Set
	s.Duration(&v.timeout, "timeout", 10*time.Second, time.Second, time.Hour, "Time limit of one probe.")
	s.Size(&v.size, "write_size", 10000, 1, 1<<20, "Bytes to write.")
	s.Int(&v.count, "count", 1, 1, 999, "processes", "How many.")
	s.Float(&v.ratio, "ratio", 0.5, 0, 1, "", "A ratio.")
	s.Choice(&v.mode, "mode", "observe", []string{"observe", "protect"}, "What to do.")
	s.Bool(&v.on, "on", false, "A switch.")
	s.Strings(&v.names, "names", nil, "Some names.")
	s.String(&v.text, "text", "", "Some text.")
	return &s
}

func TestDecode(t *testing.T) {
	for _, tt := range []struct {
		name string
		raw  map[string]any
		want []string // mistakes
	}{
		{"defaults", map[string]any{}, nil},
		{"everything", map[string]any{"timeout": "1m", "write_size": "1KiB", "count": int64(3), "ratio": 0.25,
			"mode": "protect", "on": true, "names": []any{"a"}, "text": "x"}, nil},
		{"number without unit", map[string]any{"timeout": int64(10)}, []string{`timeout: want a duration such as "30s", got the number 10`}},
		{"text without unit", map[string]any{"timeout": "10"}, []string{`timeout: "10" is not a duration: write a number with unit, such as "30s"`}},
		{"negative", map[string]any{"timeout": "-5s"}, []string{`timeout: "-5s" is not a duration: write a number with unit, such as "30s"`}},
		{"too long", map[string]any{"timeout": "2h"}, []string{"timeout: 2h is outside 1s to 1h"}},
		{"wrong size unit", map[string]any{"write_size": "10MB"}, []string{`write_size: "10MB" is not a size: write a number with unit, such as "500MiB"`}},
		{"size overflow", map[string]any{"write_size": "99999999TiB"}, []string{`write_size: "99999999TiB" is not a size: write a number with unit, such as "500MiB"`}},
		{"fraction", map[string]any{"count": 1.5}, []string{"count: want a whole number, got the number 1.5"}},
		{"out of range", map[string]any{"count": int64(0)}, []string{"count: 0 is outside 1 to 999"}},
		{"wrong word", map[string]any{"mode": "observ"}, []string{`mode: "observ" is none of observe, protect; did you mean "observe"?`}},
		{"typo", map[string]any{"tiemout": "1m"}, []string{`tiemout: no such key; did you mean "timeout"?`}},
		{"far off", map[string]any{"zzz": "1m"}, []string{"zzz: no such key"}},
		{"list of numbers", map[string]any{"names": []any{int64(1)}}, []string{"names: want text as item 1, got the number 1"}},
		{"all at once", map[string]any{"timeout": "x", "count": "y", "on": "z"}, []string{
			`timeout: "x" is not a duration: write a number with unit, such as "30s"`,
			`count: want a whole number, got text "y"`,
			`on: want true or false, got text "z"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var v values
			var got []string
			for _, m := range declare(&v).Decode(tt.raw) {
				got = append(got, m.Error())
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("mistakes (-want +got):\n%s", d)
			}
		})
	}
}

func TestRequired(t *testing.T) {
	var port int
	var s Set
	s.Int(&port, "port", 0, 1, 65535, "", "TCP port.").Required()
	got := s.Decode(nil)
	if want := []Mistake{{"port", "required. TCP port."}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestDurationRoundTrip(t *testing.T) {
	for in, want := range map[string]string{"90s": "1m30s", "2d": "48h", "1d12h": "36h", "500ms": "500ms", "60m": "1h", "10m": "10m", "1h5m": "1h5m"} {
		d, err := ParseDuration(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := FormatDuration(d); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestTOML(t *testing.T) {
	var v values
	var b strings.Builder
	declare(&v).TOML(&b, map[string]string{"mode": `"protect"`})
	for _, want := range []string{
		"# Time limit of one probe. (\"1s\" to \"1h\")\n#timeout = \"10s\"\n",
		"# What to do. (observe, protect)\nmode = \"protect\"\n",
		"#names = []\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("missing %q in\n%s", want, b.String())
		}
	}
}

// Every value reads back from the text it is written as, so that what is shown
// is a configuration that means the same.
func TestTextReadsBack(t *testing.T) {
	raw := map[string]any{"timeout": "90s", "write_size": "64KiB", "count": int64(7), "ratio": 0.125, "mode": "protect",
		"on": true, "names": []any{`a"b`, "c\\d", "\a\v\x7f é\n"}, "text": "tab\tquote\" \u2028"}
	var v, back values
	s := declare(&v)
	if m := s.Decode(raw); m != nil {
		t.Fatal(m)
	}
	var file strings.Builder
	for _, sp := range s.Specs() {
		if sp.IsDefault() {
			t.Errorf("%s counts as default", sp.Name)
		}
		file.WriteString(sp.Name + " = " + sp.Text() + "\n")
	}
	var again map[string]any
	if _, err := toml.Decode(file.String(), &again); err != nil {
		t.Fatalf("%v in\n%s", err, file.String())
	}
	if m := declare(&back).Decode(again); m != nil {
		t.Fatalf("%v in\n%s", m, file.String())
	}
	if d := cmp.Diff(v, back, cmp.AllowUnexported(values{})); d != "" {
		t.Errorf("read back (-want +got):\n%s", d)
	}
	s.Reset()
	var fresh values
	declare(&fresh)
	if d := cmp.Diff(fresh, v, cmp.AllowUnexported(values{})); d != "" {
		t.Errorf("after Reset (-want +got):\n%s", d)
	}
}

// A list without default tells "left out" from "empty".
func TestNoDefault(t *testing.T) {
	var names []string
	var s Set
	sp := s.Strings(&names, "names", nil, "Some names.").NoDefault()
	if sp.Text() != "" || !sp.IsDefault() {
		t.Errorf("left out: text %q, default %v", sp.Text(), sp.IsDefault())
	}
	s.Decode(map[string]any{"names": []any{}})
	if sp.Text() != "[]" || sp.IsDefault() {
		t.Errorf("empty: text %q, default %v", sp.Text(), sp.IsDefault())
	}
}

func TestKnownKeysAreNotHidden(t *testing.T) {
	var a, b string
	var first, second Set
	first.String(&a, "a", "", "A.")
	second.String(&b, "b", "", "B.")
	got := Join(&first, &second).Decode(map[string]any{"a": "1", "b": "2", "sub": true, "c": "3"}, "sub", "a")
	if want := []Mistake{{"c", "no such key"}}; !slices.Equal(got, want) || a != "1" || b != "2" {
		t.Errorf("got %v, %q, %q", got, a, b)
	}
}

func FuzzUnits(f *testing.F) {
	f.Add("1m")
	f.Add("3d4h")
	f.Add("500MiB")
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := ParseDuration(text); err == nil {
			if back, err := ParseDuration(FormatDuration(d)); d < 0 || d != 0 && (err != nil || back != d) {
				t.Fatalf("%q is %v, read back as %v, %v", text, d, back, err)
			}
		}
		if n, err := ParseSize(text); err == nil {
			if back, err := ParseSize(FormatSize(n)); err != nil || back != n || n < 0 {
				t.Fatalf("%q is %d, read back as %d, %v", text, n, back, err)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add("timeout", "1m")
	f.Fuzz(func(t *testing.T, k, text string) {
		var v values
		if len(declare(&v).Decode(map[string]any{k: text})) == 0 && (v.timeout < time.Second || v.timeout > time.Hour) {
			t.Fatalf("accepted %q = %q as %v", k, text, v.timeout)
		}
	})
}
