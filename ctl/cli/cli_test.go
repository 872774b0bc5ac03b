package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"shisa/ctl/api"
	"shisa/ctl/api/apitest"
	"shisa/ctl/api/schema"
)

func TestMain(m *testing.M) {
	time.Local = time.UTC // screens hold local times
	os.Unsetenv(SocketVariable)
	os.Exit(m.Run())
}

// shisa runs the command line on the server at socket.
func shisa(socket string, args ...string) (code int, out, errOut string) {
	var o, e bytes.Buffer
	code = Main("1.2.3", append([]string{"--socket", socket}, args...), &o, &e)
	return code, o.String(), e.String()
}

// golden compares got with testdata/name; UPDATE=1 writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// What people see, screen by screen.
func TestScreens(t *testing.T) {
	socket := apitest.Serve(t, &apitest.Fake{})
	for name, args := range map[string][]string{
		"status":         {"status"},
		"why_boot":       {"why"},
		"why_monitor":    {"why", "web"},
		"why_group":      {"why", "group/shop"},
		"events":         {"events"},
		"events_errors":  {"events", "--severity", "error"},
		"monitor_list":   {"monitor", "list"},
		"group_list":     {"group", "list"},
		"monitor_test":   {"monitor", "test", "web"},
		"config_running": {"config", "show", "--running"},
		"config_diff":    {"config", "diff"},
		"config_apply":   {"config", "apply", "x.toml"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errOut := shisa(socket, args...)
			if code != ExitOK || errOut != "" {
				t.Errorf("exit %d: %s", code, errOut)
			}
			golden(t, name+".txt", out)
		})
	}
}

// What a shell completes: names of what there is, and no files where none are meant.
func TestCompletion(t *testing.T) {
	socket := apitest.Serve(t, &apitest.Fake{})
	for _, tt := range []struct {
		line string
		want string // part of the answer; empty: no words
		rest string // the directive
	}{
		{"monitor test ", "web\tmonitor, ", ":4"},
		{"monitor test web ", "", ":4"},
		{"explain ", "web\tmonitor, ", ":4"},
		{"why ", "shop\tgroup, ", ":4"},
		{"group start ", "shop\tgroup, ", ":4"},
		{"status ", "", ":4"},
		{"events --severity ", "warning\n", ":4"},
		{"events --code ", "monitor-failed\t", ":4"},
		{"config check ", "", ":0"}, // a file
	} {
		args := append([]string{"__complete"}, strings.Split(tt.line, " ")...)
		code, out, _ := shisa(socket, args...)
		words, rest, _ := strings.Cut(out, ":")
		if code != ExitOK || !strings.Contains(words, tt.want) || tt.want == "" && words != "" || ":"+strings.TrimSpace(rest) != tt.rest {
			t.Errorf("%q: exit %d, %q, want %q and %s", tt.line, code, out, tt.want, tt.rest)
		}
	}
	if code, out, _ := shisa(filepath.Join(t.TempDir(), "none"), "__complete", "why", ""); code != ExitOK || out != ":4\n" {
		t.Errorf("without a daemon: exit %d, %q", code, out)
	}
}

// The status on terminals of several widths, in every condition.
func TestStatusScreens(t *testing.T) {
	for name, s := range map[string]api.Status{"good": apitest.Status(), "empty": apitest.Empty(), "troubled": apitest.Troubled()} {
		for width, p := range map[string]painter{"plain": {}, "80": {width: 80}, "60": {width: 60}, "color": {color: true, width: 100}} {
			var b bytes.Buffer
			writeStatus(&b, p, s)
			golden(t, "status_"+name+"_"+width+".txt", b.String())
			for line := range strings.Lines(b.String()) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); p.width > 0 && !p.color && n > p.width {
					t.Errorf("%s on %s columns: %d: %q", name, width, n, line)
				}
				if strings.TrimRight(line, " \n") != strings.TrimRight(line, "\n") {
					t.Errorf("%s: blanks at the end of %q", name, line)
				}
			}
			if p.color != strings.Contains(b.String(), "\x1b[") {
				t.Errorf("%s on %s: colour is %v", name, width, !p.color)
			}
		}
	}
}

// What a daemon answers cannot take over the terminal, or forge a line.
func TestScreensAreInert(t *testing.T) {
	s := apitest.Status()
	s.Monitors[0].Detail = "200\x1b[2J\x1b]0;title\x07 OK\nmonitors: all well\r!"
	var b bytes.Buffer
	writeStatus(&b, painter{}, s)
	if out := b.String(); strings.ContainsAny(out, "\x1b\x07\r") || strings.Contains(out, "\nmonitors: all") {
		t.Errorf("%q", out)
	}
	w := apitest.WhyMonitor()
	w.Monitor.Probes[0].Log[0] = "body: \x1b[31mred\nand more"
	a := &app{out: &b, err: &b}
	a.writeWhy(w)
	if out := b.String(); strings.Contains(out, "\x1b") || strings.Contains(out, "\nand more") {
		t.Errorf("%q", out)
	}
}

// The same for programs, which rely on the schemas in the tree.
func TestJSONFollowsTheSchemas(t *testing.T) {
	socket := apitest.Serve(t, &apitest.Fake{})
	for name, args := range map[string][]string{"status": {"status"}, "why": {"why"}, "events": {"events"}} {
		code, out, errOut := shisa(socket, append(args, "--json")...)
		if code != ExitOK || errOut != "" {
			t.Errorf("%s: exit %d: %s", name, code, errOut)
		}
		text, err := schema.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		if err := c.AddResource(name, doc); err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.MustCompile(name).Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestExitCodesAndAdvice(t *testing.T) {
	socket := apitest.Serve(t, &apitest.Fake{})
	gone := filepath.Join(t.TempDir(), "gone.sock")
	for _, test := range []struct {
		name, socket, args string
		code               int
		says               string // on standard error
	}{
		{"done", socket, "suspend", ExitOK, ""},
		{"version needs no daemon", gone, "version", ExitOK, ""},
		{"unknown monitor", socket, "monitor test wob", ExitFailed, "shisa monitor list"},
		{"unknown subject", socket, "why wob", ExitFailed, "no monitor, group or resource"},
		{"refused", socket, "shutdown --reboot --reason x", ExitRefused, `set mode = "protect"`},
		{"unreachable", gone, "status", ExitUnreachable, "systemctl start shisad"},
		{"unreachable for json", gone, "status --json", ExitUnreachable, "systemctl start shisad"},
		{"typo", socket, "statsu", ExitUsage, "status"},
		{"typo below", socket, "monitor suspnd web", ExitUsage, "suspend"},
		{"flag typo", socket, "status --jsno", ExitUsage, "--help"},
		{"name missing", socket, "monitor test", ExitUsage, "name one monitor"},
		{"too many", socket, "status now", ExitUsage, ""},
		{"nothing below", socket, "monitor", ExitUsage, "needs a command"},
		{"group without name", socket, "group start", ExitUsage, "name one group"},
		{"bad severity", socket, "events --severity awful", ExitUsage, "use one of info"},
		{"bad since", socket, "events --since yesterday", ExitUsage, "neither a time span"},
		{"bad code", socket, "events --code no-such", ExitUsage, "no event"},
		{"missing file", socket, "config check /no/such/file.toml", ExitFailed, "/no/such/file.toml"},
		{"unknown type", socket, "type doc no-such-type", ExitUsage, "no-such-type"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, _, errOut := shisa(test.socket, strings.Fields(test.args)...)
			if code != test.code || !strings.Contains(errOut, test.says) {
				t.Errorf("shisa %s: exit %d, want %d: %q", test.args, code, test.code, errOut)
			}
			if test.code != ExitOK && !strings.HasPrefix(errOut, "shisa: ") && !strings.Contains(errOut, ".toml") {
				t.Errorf("says %q", errOut)
			}
		})
	}
}

func TestCommandsReachTheDaemon(t *testing.T) {
	var got []string
	note := func(words ...string) (api.Result, error) {
		got = append(got, strings.Join(words, " "))
		return api.Result{Text: "done"}, nil
	}
	socket := apitest.Serve(t, &apitest.Fake{
		MonitorFunc: func(_ context.Context, c api.MonitorCommand) (api.Result, error) {
			return note("monitor", string(c.Verb), c.Name, c.Reason)
		},
		GroupFunc: func(_ context.Context, c api.UnitCommand) (api.Result, error) {
			return note("group", string(c.Verb), c.Name, c.Reason)
		},
		ResourceFunc: func(_ context.Context, c api.UnitCommand) (api.Result, error) {
			return note("resource", string(c.Verb), c.Name, c.Reason)
		},
		ShutdownFunc: func(_ context.Context, c api.ShutdownCommand) (api.Result, error) {
			return note("shutdown", string(c.How), c.Reason)
		},
	})
	for args, want := range map[string]string{
		"monitor suspend web --reason upgrade": "monitor suspend web upgrade",
		"monitor resume web":                   "monitor resume web ",
		"monitor fail web":                     "monitor fail web ",
		"monitor unfail web":                   "monitor unfail web ",
		"monitor reset web":                    "monitor reset web ",
		"group start shop":                     "group start shop ",
		"group stop --all --reason night":      "group stop * night",
		"resource stop database":               "resource stop database ",
		"shutdown --reboot --reason kernel":    "shutdown reboot kernel",
		"shutdown --reason move":               "shutdown poweroff move",
	} {
		got = nil
		if code, out, errOut := shisa(socket, strings.Fields(args)...); code != ExitOK || out != "done\n" || len(got) != 1 || got[0] != want {
			t.Errorf("shisa %s: exit %d, %q, %q; the daemon saw %q", args, code, out, errOut, got)
		}
	}
}

func TestMistakesInAConfiguration(t *testing.T) {
	socket := apitest.Serve(t, &apitest.Fake{PlanFunc: func(context.Context, api.ConfigSource) (api.Plan, error) {
		return api.Plan{Mistakes: []api.Mistake{{File: "x.toml", Line: 3, Key: "mod", Text: "unknown key"}}}, nil
	}})
	code, out, errOut := shisa(socket, "config", "diff", "x.toml")
	if code != ExitFailed || out != "" || !strings.Contains(errOut, "x.toml:3: mod: unknown key") {
		t.Errorf("exit %d, %q, %q", code, out, errOut)
	}
	if code, out, _ = shisa(socket, "config", "diff", "x.toml", "--json"); code != ExitFailed || !json.Valid([]byte(out)) {
		t.Errorf("exit %d, %q", code, out)
	}
}

// TestWordsMissing: who gives too few or too many words is told how it is written.
func TestWordsMissing(t *testing.T) {
	for line, want := range map[string]string{
		"type doc":         "shisa: write shisa type doc NAME; see shisa type doc --help\n",
		"status more":      "shisa: write shisa status; see shisa status --help\n",
		"config check a b": "shisa: write shisa config check [FILE]; see shisa config check --help\n",
	} {
		code, out, errOut := shisa("", strings.Fields(line)...)
		if code != ExitUsage || out != "" || errOut != want {
			t.Errorf("%s: exit %d, %q, %q", line, code, out, errOut)
		}
	}
}

// TestCheckOfWhatIsNotThere: a script that is named and not there is a mistake
// like any other, and such a configuration is not called good.
func TestCheckOfWhatIsNotThere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shisa.toml")
	text := "[[group]]\nname = \"g\"\n[[resource]]\nname = \"r\"\ntype = \"exec\"\ngroup = \"g\"\nstart = \"nosuch.sh\"\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errOut := shisa("", "config", "check", file)
	if code != ExitFailed || out != "" || !strings.Contains(errOut, "nosuch.sh") {
		t.Errorf("exit %d, %q, %q", code, out, errOut)
	}
}

func TestMoment(t *testing.T) {
	now := apitest.Now
	for text, want := range map[string]time.Time{
		"": {}, "2h": now.Add(-2 * time.Hour), "3d": now.Add(-72 * time.Hour), "2026-11-23T09:00": now.Add(-30 * time.Minute),
		"2026-11-23T09:00:00+09:00": now.Add(-9*time.Hour - 30*time.Minute),
	} {
		if got, err := moment(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// BenchmarkStatus is one `shisa status` without the start of the process.
func BenchmarkStatus(b *testing.B) {
	socket := apitest.Serve(b, &apitest.Fake{})
	for b.Loop() {
		if code, _, errOut := shisa(socket, "status"); code != ExitOK {
			b.Fatal(errOut)
		}
	}
}
