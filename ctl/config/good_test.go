package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/sys/unix"
)

// goodFiles returns the sources of all good examples by name.
func goodFiles(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{}
	paths, err := filepath.Glob("testdata/good/*.toml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no good examples: %v", err)
	}
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".toml")] = string(src)
	}
	return all
}

func TestGood(t *testing.T) {
	files := goodFiles(t)
	for name, src := range files {
		t.Run(name, func(t *testing.T) { parse(t, src) })
	}
	m := parse(t, files["webserver"])
	for _, tt := range []struct {
		what      string
		got, want any
	}{
		{"mode", m.Mode, Protect},
		{"stall timeout", m.Stall.Timeout, 2 * time.Minute},
		{"start after", fmt.Sprint(m.Groups[1].StartAfter), "[db]"},
		{"timeout of the type", m.Resources[0].Timing.Start, time.Minute},
		{"own timeout", m.Resources[0].Timing.Stop, 5 * time.Minute},
		{"line of a resource", m.Resources[1].Line, 28},
		{"default target is the monitor's", m.Monitors[0].Recovery.Target, Ref{"resource", "nginx"}},
		{"retry reaches the policy", m.Monitors[0].Recovery.Policy.Retry, 2},
		{"restarts", m.Monitors[0].Recovery.Policy.MaxRestart, 2},
		{"secret stays a reference", m.Monitors[0].Params["password"], "file:/etc/shisa/password"},
		{"inline recovery", m.Monitors[1].Recovery.Target, Ref{"group", "db"}},
		{"server is the target of last resort", m.Monitors[2].Recovery.Target, Ref{Kind: "server"}},
		{"which is not restarted", m.Monitors[2].Recovery.Policy.MaxRestart, 0},
		{"parameters that are defaults are left out", len(m.Monitors[2].Params), 2},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.what, tt.got, tt.want)
		}
	}
}

// What show prints is a configuration that means the same.
func TestShowReadsBack(t *testing.T) {
	files := goodFiles(t)
	files["default"] = defaultText(t)
	for name, src := range files {
		t.Run(name, func(t *testing.T) {
			m := parse(t, src)
			var b strings.Builder
			if err := m.WriteTOML(&b); err != nil {
				t.Fatal(err)
			}
			back := parse(t, b.String())
			if d := sameMeaning(m, back); d != "" {
				t.Errorf("read back (-shown +read):\n%s", d)
			}
			if plan := Diff(m, back); !plan.Empty() {
				t.Errorf("the plan is not empty: %+v", plan)
			}
		})
	}
}

func TestSecretsAreMasked(t *testing.T) {
	const src = "[[monitor]]\nname = \"a\"\ntype = \"http\"\nurl = \"http://x/\"\npassword = %q\n"
	literal, _ := Parse(fmt.Appendf(nil, src, "hunter2"), "f", "", fakes())
	other, _ := Parse(fmt.Appendf(nil, src, "hunter3"), "f", "", fakes())
	reference, _ := Parse(fmt.Appendf(nil, src, "file:/secret"), "f", "", fakes())
	plan := Diff(literal, other)
	var shown, refShown, text strings.Builder
	js, _ := json.Marshal(plan)
	_ = literal.WriteTOML(&shown)
	_ = reference.WriteTOML(&refShown)
	_ = plan.WriteText(&text)
	for _, out := range []string{shown.String(), text.String(), string(js)} {
		if strings.Contains(out, "hunter") {
			t.Errorf("the secret shows in\n%s", out)
		}
	}
	if s, ok := plan.Step(MonitorKind, "a"); !ok || s.Op != OpRestart {
		t.Errorf("a changed secret must restart the monitor: %+v", plan)
	}
	if !strings.Contains(refShown.String(), `password = "file:/secret"`) {
		t.Errorf("the reference does not show in\n%s", refShown.String())
	}
}

func TestReveal(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SHISA_TEST_SECRET", "from the environment")
	set := fakes().Monitors["http"].Params()
	for _, tt := range []struct{ in, want, err string }{
		{"plain", "plain", ""},
		{"file:secret", "hunter2", ""},
		{"file:" + dir + "/secret", "hunter2", ""},
		{"env:SHISA_TEST_SECRET", "from the environment", ""},
		{"file:none", "", "password: read the secret: open " + dir + "/none: no such file or directory"},
		{"env:SHISA_TEST_NONE", "", "password: environment variable SHISA_TEST_NONE is not set; set it for the service"},
	} {
		params := map[string]any{"url": "file:not a secret", "password": tt.in}
		got, err := Reveal(set, params, dir)
		if err != nil {
			if err.Error() != tt.err {
				t.Errorf("%s: %v, want %s", tt.in, err, tt.err)
			}
			continue
		}
		if tt.err != "" || got["password"] != tt.want || got["url"] != params["url"] || params["password"] != tt.in {
			t.Errorf("%s: got %v, params are now %v", tt.in, got, params)
		}
	}
}

func TestLoadFile(t *testing.T) {
	dir := t.TempDir()
	_, problems := Load(dir, fakes())
	if !errors.Is(problems.Err(), fs.ErrNotExist) || !strings.Contains(problems.String(), "shisa config default") {
		t.Errorf("no file: %v", problems)
	}
	path := filepath.Join(dir, FileName)
	for _, tt := range []struct{ name, src, want string }{
		{"latin1", "[server]\nname = \"h\xf6st\"\n", path + ":2: byte 0xF6 is not UTF-8 text; convert the file, for example with `iconv -f LATIN1 -t UTF-8`\n"},
		{"nul", "mode\x00 = 1\n", path + ":1: byte 0x00 is not UTF-8 text; convert the file, for example with `iconv -f LATIN1 -t UTF-8`\n"},
		{"utf16", "\xff\xfem\x00", path + ":1: byte 0xFF is not UTF-8 text; convert the file, for example with `iconv -f LATIN1 -t UTF-8`\n"},
		{"large", "#" + strings.Repeat(" ", SizeLimit), path + ": larger than 16MiB; move texts such as long scripts to files beside it\n"},
	} {
		if err := os.WriteFile(path, []byte(tt.src), 0o600); err != nil {
			t.Fatal(err)
		}
		if m, problems := Load(path, fakes()); m != nil || problems.String() != tt.want {
			t.Errorf("%s: got %s", tt.name, problems)
		}
	}
	if err := os.WriteFile(path, []byte("mode = \"protect\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, odd := range []string{pipe, "/dev/zero"} { // neither waits nor reads without end
		if m, problems := Load(odd, fakes()); m != nil || !strings.Contains(problems.String(), odd+": not a file") {
			t.Errorf("%s: got %s", odd, problems)
		}
	}
	m, problems := Load(dir, fakes())
	if len(problems) > 0 || m.Source != path || m.Dir != dir || m.Mode != Protect {
		t.Errorf("got %+v, %v", m, problems)
	}
}

func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		kind, keys string
		limit      int
	}{
		{"group", "", MaxGroups},
		{"resource", "group = \"g\"\ntype = \"systemd\"\nunit = \"u\"\n", MaxResources},
		{"monitor", "type = \"tcp\"\nport = 80\n", MaxMonitors},
	} {
		var b strings.Builder
		b.WriteString("[[group]]\nname = \"g\"\n[[resource]]\nname = \"r\"\ngroup = \"g\"\ntype = \"systemd\"\nunit = \"u\"\n")
		n := tt.limit
		if tt.kind != "monitor" {
			n-- // one stands there already
		}
		for i := range n {
			fmt.Fprintf(&b, "[[%s]]\nname = \"n%d\"\n%s", tt.kind, i, tt.keys)
		}
		if _, problems := Parse([]byte(b.String()), "f", "", fakes()); problems.Err() != nil {
			t.Errorf("%d of %s: %v", tt.limit, tt.kind, problems.Err())
		}
		line := 1 + strings.Count(b.String(), "\n")
		fmt.Fprintf(&b, "[[%s]]\nname = \"last\"\n%s", tt.kind, tt.keys)
		want := fmt.Sprintf("f:%d: %s: more than %d of them; this is number %d of %d", line, tt.kind, tt.limit, tt.limit+1, tt.limit+1)
		if _, problems := Parse([]byte(b.String()), "f", "", fakes()); problems.Err() == nil || problems.Err().Error() != want {
			t.Errorf("got %v, want %s", problems.Err(), want)
		}
	}
}

func TestSchema(t *testing.T) {
	data, err := json.Marshal(Schema(fakes()))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("shisa.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("shisa.json")
	if err != nil {
		t.Fatal(err)
	}
	validate := func(src string) error {
		var raw map[string]any
		if _, err := toml.Decode(src, &raw); err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(raw)
		if err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(v)
	}
	for name, src := range goodFiles(t) {
		if err := validate(src); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var b strings.Builder
		if err := parse(t, src).WriteTOML(&b); err != nil {
			t.Fatal(err)
		}
		if err := validate(b.String()); err != nil {
			t.Errorf("%s, all keys: %v", name, err)
		}
	}
	for _, src := range []string{
		"moed = \"observe\"", "mode = \"x\"", "[stall]\ntimeout = 90", "[stall]\ntimeout = \"90\"", "[stall]\nwarn_percent = 101", "[stall]\nx = 1",
		"[[monitor]]\nname = \"a\"\ntype = \"tcp\"", "[[monitor]]\nname = \"a\"\ntype = \"tpc\"\nport = 1", "[[monitor]]\nname = \"a\"\ntype = \"tcp\"\nport = 1\nx = 1",
		"[[monitor]]\nname = \"a\"\ntype = \"pid\"", "[[monitor]]\nname = \"a\"\ntype = \"tcp\"\nport = 1\n[monitor.recovery]\nx = 1", "[[group]]\nauto_start = true",
	} {
		if validate(src) == nil {
			t.Errorf("the schema accepts\n%s", src)
		}
	}
}

// Every key that exists is in the reference, and the default file.
func TestNothingIsLeftOut(t *testing.T) {
	var ref strings.Builder
	if err := Reference(&ref, fakes()); err != nil {
		t.Fatal(err)
	}
	text := defaultText(t)
	for key, homes := range homes() {
		if !strings.Contains(ref.String(), "| `"+key+"` |") || !strings.Contains(text, "\n#"+key+" = ") && !strings.Contains(text, "\n"+key+" = ") {
			t.Errorf("%s of %s is missing", key, homes)
		}
	}
	for name, typ := range fakes().Monitors {
		for _, sp := range typ.Params().Specs() {
			if !strings.Contains(ref.String(), "| `"+sp.Name+"` |") || !strings.Contains(text, "\n#"+sp.Name+" = ") {
				t.Errorf("%s of monitor type %s is missing", sp.Name, name)
			}
		}
	}
	for _, want := range []string{"| `version` | `1` | 1 |", "`interval` 10s", "The original calls it `psw`", "`target` is required"} {
		if !strings.Contains(ref.String(), want) {
			t.Errorf("no %q in the reference", want)
		}
	}
}

func TestFindCycle(t *testing.T) {
	const deep = 100_000
	for _, tt := range []struct {
		name  string
		n     int
		edges func(int) []int
		want  string
	}{
		{"none", 3, func(i int) []int { return nil }, "[]"},
		{"self", 1, func(i int) []int { return []int{0} }, "[0 0]"},
		{"diamond", 4, func(i int) []int { return [][]int{{1, 2}, {3}, {3}, {}}[i] }, "[]"},
		{"tail", 4, func(i int) []int { return [][]int{{1}, {2}, {3}, {1}}[i] }, "[1 2 3 1]"},
		{"deep chain", deep, func(i int) []int { return []int{i + 1}[:min(1, deep-1-i)] }, "[]"},
	} {
		if got := fmt.Sprint(findCycle(tt.n, tt.edges)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}
