package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shisa/ctl/api"
	"shisa/ctl/api/apitest"
	"shisa/ctl/compat"
)

// TestTwins: the modern command lines that are named for the original's
// commands are there.
func TestTwins(t *testing.T) {
	for name, twins := range compat.Twins() {
		for twin := range strings.SplitSeq(twins, ", ") {
			a := &app{out: &bytes.Buffer{}, err: &bytes.Buffer{}}
			words := strings.Fields(twin)
			c, rest, err := a.root().Find(words[1:])
			if err != nil || len(rest) > 0 || c.Name() != words[len(words)-1] {
				t.Errorf("%s: there is no %q (%v)", name, twin, err)
			}
		}
	}
}

// twinArgs are arguments with which each twin succeeds on the sample server.
var twinArgs = map[string]string{
	"shisa status": "", "shisa suspend": "", "shisa resume": "", "shisa shutdown": "-r", "shisa group": "start shop", "shisa resource": "stop web",
	"shisa monitor": "suspend web", "shisa notify": "disk sdb", "shisa script run": "cleanup", "shisa stretch": "2 --for 1h", "shisa limiter": "show",
	"shisa note": "hello", "shisa speed": "auto", "shisa config apply": "",
	"shisa config import": "CONF --output OUT/in", "shisa config export": "FILE --clp --output OUT/out",
}

// TestTwinsInJSON: with --json each of them prints one JSON value and nothing
// else. Those of the service would ask systemd of this machine.
func TestTwinsInJSON(t *testing.T) {
	out := t.TempDir()
	conf, file := filepath.Join(out, "clp.conf"), filepath.Join(out, "shisa.toml")
	for path, text := range map[string]string{conf: "<root><server name='s'/></root>", file: "mode = \"observe\"\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	socket := apitest.Serve(t, &apitest.Fake{
		ShutdownFunc: func(context.Context, api.ShutdownCommand) (api.Result, error) {
			return api.Result{Text: "Going down."}, nil
		},
		ApplyFunc: func(context.Context, api.ConfigSource) (api.Plan, error) { return api.Plan{Applied: true}, nil },
	})
	for name, twins := range compat.Twins() {
		for twin := range strings.SplitSeq(twins, ", ") {
			args, known := twinArgs[twin]
			if twin == "shisa service" {
				continue
			}
			words := strings.Fields(twin + " " + strings.NewReplacer("CONF", conf, "FILE", file, "OUT", out).Replace(args) + " --json")
			code, text, errOut := shisa(socket, words[1:]...)
			if !known || code != 0 || !json.Valid([]byte(text)) {
				t.Errorf("%s: %v: code %d, %q, %q", name, words, code, text, errOut)
			}
		}
	}
}

func TestOperate(t *testing.T) {
	socket := apitest.Serve(t, &apitest.Fake{})
	for _, c := range []struct {
		args      string
		code      int
		out, says string
	}{
		{args: "stretch", out: "The configured timeouts hold.\n"},
		{args: "stretch 3 --for 2h", out: "Timeouts of probes: × 3.\n"},
		{args: "stretch three", code: ExitUsage, says: `"three" is no whole number`},
		{args: "stretch 3 --for long", code: ExitUsage, says: "is not a duration"},
		{args: "stretch --json", out: "{\n  \"ratio\": 1\n}\n"},
		{args: "note the batch is late --severity warning", out: "Written: the batch is late\n"},
		{args: "note x --severity loud", code: ExitUsage, says: "is not a severity"},
		{args: "script run cleanup", out: "cleaned\n", says: "cleanup exited with status 0"},
		{args: "script run fails", code: ExitFailed, says: "fails exited with status 3"},
		{args: "script run nosuch", code: ExitFailed, says: `there is no script "nosuch"`},
		{args: "trace --for long", code: ExitUsage, says: "is not a duration"},
		{args: "trace --for 5s", out: "Tasks waited 1000 times for a CPU in 5s: half of them less than 2.05µs, 99 % less than 4.1µs, all less than 16.8ms.\n" +
			"  <  1.02µs         0\n" +
			"  <  2.05µs       500  ##################################################\n" +
			"  <   4.1µs       499  ##################################################\n" +
			"  <  8.19µs         0\n" +
			"  <  16.8ms         1  #\n"},
		{args: "speed high", out: "Processor speed: high.\n"},
		{args: "speed", out: "Processor speed: auto.\n"},
		{args: "speed fast", code: ExitUsage, says: "fast"},
		{args: "service", code: ExitUsage, says: "needs a command"},
	} {
		code, out, errOut := shisa(socket, strings.Fields(c.args)...)
		if code != c.code || c.out != "" && out != c.out || !strings.Contains(errOut, c.says) {
			t.Errorf("%s: code %d, %q, %q", c.args, code, out, errOut)
		}
	}
}

func TestFreeFolder(t *testing.T) {
	dir := t.TempDir()
	if err := freeFolder(dir, false); err != nil {
		t.Errorf("empty: %v", err)
	}
	if err := freeFolder(filepath.Join(dir, "new"), false); err != nil {
		t.Errorf("new: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if freeFolder(dir, false) == nil || freeFolder("", true) == nil || freeFolder(dir, true) != nil {
		t.Error("a folder that is not empty needs --force, and none is no folder")
	}
}

func TestGist(t *testing.T) {
	long := "device_kprobe (with timer): creating tracefs event (arch-specific fallback for \"x\"): creating probe entry on tracefs: not mounted"
	for reason, want := range map[string]string{
		"halt_fentry: load program: operation not permitted": "halt_fentry: load program: operation not permitted",
		long:                             "device_kprobe (with timer): … not mounted",
		strings.Repeat("x", 200) + ": y": strings.Repeat("x", 200) + ": y",
		strings.Repeat("x", 200):         strings.Repeat("x", 200),
	} {
		if got := gist(reason); got != want {
			t.Errorf("%s\n  became %s\n  want %s", reason, got, want)
		}
	}
}
