package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shisa/ctl/api"
	"shisa/ctl/api/apitest"
	"shisa/ctl/decide/simulate"
)

const simulated = `mode = "protect"
[[group]]
name = "shop"
[[resource]]
name = "nginx"
type = "systemd"
unit = "nginx.service"
group = "shop"
[[monitor]]
name = "port"
type = "tcp"
port = 80
target = "nginx"
interval = "10s"
retry = 1
[monitor.recovery]
restarts = 1
backoff_jitter_percent = 0
final_action = "reboot"
`

// files writes files into a new directory and returns their paths.
func files(t *testing.T, texts map[string]string) map[string]string {
	t.Helper()
	dir, paths := t.TempDir(), map[string]string{}
	for name, text := range texts {
		paths[name] = filepath.Join(dir, name)
		if err := os.WriteFile(paths[name], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

func TestSimulate(t *testing.T) {
	f := files(t, map[string]string{
		"shisa.toml": simulated,
		"history":    "10s probe port ok\n+10s probe port failed \"connection refused\x1b[2J\" x6 every 10s\n",
		"wrong":      "10s probe port bad\n5s end\nnonsense\n",
	})
	code, out, errOut := shisa("/nowhere", "simulate", f["shisa.toml"], f["history"])
	if code != ExitOK || errOut != "" {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	golden(t, "simulate.txt", out)
	if strings.Contains(out, "\x1b") {
		t.Error("what a history says takes over the terminal")
	}
	code, out, _ = shisa("/nowhere", "simulate", "--json", f["shisa.toml"], f["history"])
	var r simulate.Record
	if err := json.Unmarshal([]byte(out), &r); code != ExitOK || err != nil {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	restarts := 0
	for _, e := range r {
		if e.Kind == simulate.Decision && e.Action == "restart" && e.Reason != "" {
			restarts++
		}
	}
	if restarts != 1 {
		t.Errorf("%d restarts, want 1: %s", restarts, out)
	}
	for _, tt := range []struct{ config, history, want string }{
		{f["shisa.toml"], f["wrong"], "line 1:"},
		{f["shisa.toml"], f["wrong"], "line 3:"},
		{f["shisa.toml"], f["shisa.toml"] + "x", "no such file"},
		{f["history"], f["history"], ""},
	} {
		if code, _, errOut := shisa("/nowhere", "simulate", tt.config, tt.history); code != ExitFailed || !strings.Contains(errOut, tt.want) {
			t.Errorf("%v: exit %d: %s", tt, code, errOut)
		}
	}
}

func TestExplain(t *testing.T) {
	f := files(t, map[string]string{"shisa.toml": simulated, "history": "10s probe port failed x3 every 10s\n"})
	code, out, errOut := shisa("/nowhere", "explain", "port", "--config", f["shisa.toml"])
	if code != ExitOK || errOut != "" {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	golden(t, "explain_config.txt", out)
	code, out, _ = shisa("/nowhere", "explain", "port", "--json", "--config", f["shisa.toml"], "--history", f["history"])
	var e explanation
	if err := json.Unmarshal([]byte(out), &e); code != ExitOK || err != nil || len(e.Recorded) == 0 || len(e.Ahead) == 0 {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
	if code, _, errOut := shisa("/nowhere", "explain", "ports", "--config", f["shisa.toml"]); code != ExitFailed || !strings.Contains(errOut, "no monitor") {
		t.Errorf("exit %d: %s", code, errOut)
	}
	if code, _, _ := shisa("/nowhere", "explain", "port"); code != ExitUnreachable {
		t.Errorf("without a daemon: exit %d", code)
	}
}

// configured is a daemon with a monitor web.
type configured struct{ *apitest.Fake }

func (configured) Config(context.Context) (api.ConfigText, error) {
	return api.ConfigText{Source: "test", Text: strings.ReplaceAll(simulated, `"port"`, `"web"`)}, nil
}

// With the daemon: what it recorded is played, and can be had as a history that
// simulate reads.
func TestExplainRecorded(t *testing.T) {
	socket := apitest.Serve(t, configured{&apitest.Fake{}})
	code, out, errOut := shisa(socket, "explain", "web", "--record")
	if code != ExitOK || !strings.Contains(out, " probe web ") {
		t.Fatalf("exit %d: %s%s", code, out, errOut)
	}
	if _, err := simulate.Parse(out); err != nil {
		t.Errorf("%v in\n%s", err, out)
	}
	code, out, errOut = shisa(socket, "explain", "web", "--json")
	var e explanation
	if err := json.Unmarshal([]byte(out), &e); code != ExitOK || err != nil {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errOut)
	}
	if len(e.Recorded) == 0 || len(e.Ahead) == 0 || e.Summary == "" {
		t.Errorf("%+v", e)
	}
}
