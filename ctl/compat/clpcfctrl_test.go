package compat

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shisa/ctl/api"
	"shisa/ctl/api/apitest"
	"shisa/ctl/client"
	"shisa/ctl/config"
)

// configuredIn is a daemon whose configuration is in dir; it takes what it is
// given, and notes from where.
func configuredIn(t *testing.T, dir string, applied *[]string) string {
	s := apitest.Status()
	s.Config.Source = filepath.Join(dir, config.FileName)
	return apitest.Serve(t, &apitest.Fake{
		StatusFunc: func(context.Context) (api.Status, error) { return s, nil },
		ApplyFunc: func(_ context.Context, c api.ConfigSource) (api.Plan, error) {
			*applied = append(*applied, c.Path)
			return api.Plan{Applied: true}, nil
		},
	})
}

const smallConf = `<?xml version="1.0" encoding="EUC-JP"?>
<root><all><charset>EUC-JP</charset><serveros>linux</serveros></all><server name="shop1"><priority>0</priority></server>
<group name="failover1"><resource name="exec@exec1"/></group>
<resource><types name="exec"/><exec name="exec1"><parameters><act><path>start.sh</path></act><deact><path>stop.sh</path></deact></parameters></exec></resource>
<monitor><types name="psw"/><psw name="psw1"><parameters><processname>nginx*</processname></parameters><polling><interval>INTERVAL</interval></polling></psw></monitor></root>`

// confDir is a folder as clpcfctrl takes it.
func confDir(t *testing.T, conf string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"clp.conf": conf, "scripts/failover1/exec1/start.sh": "#!/bin/sh\nexit 0\n", "scripts/failover1/exec1/stop.sh": "#!/bin/sh\nexit 0\n"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestPushAndPull: what is pushed is in force and comes back when it is pulled.
func TestPushAndPull(t *testing.T) {
	dir, applied := t.TempDir(), []string(nil)
	socket := configuredIn(t, dir, &applied)
	from := confDir(t, strings.Replace(smallConf, "INTERVAL", "7", 1))
	r := at(t, socket, &services{}, "clpcfctrl", "--push", "-l", "-x", from, "--force")
	want := "file delivery to server 127.0.0.1 success.\nThe upload is completed successfully.(cfmgr:0)\nCommand succeeded.(code:0)\n"
	if r.code != 0 || r.out != want {
		t.Fatalf("%+v", r)
	}
	if len(applied) != 1 || applied[0] != filepath.Join(dir, config.FileName) {
		t.Errorf("applied %q", applied)
	}
	m, problems := config.Load(dir, registry())
	if m == nil || problems.Err() != nil || m.Monitors[0].Timing.Interval != 7*time.Second || m.Mode != config.Protect {
		t.Errorf("%v: %+v", problems, m)
	}
	to := filepath.Join(t.TempDir(), "out")
	if r := at(t, socket, &services{}, "clpcfctrl", "--pull", "-w", "-x", to); r.code != 0 || r.out != "Command succeeded.(code:0)\n" {
		t.Fatalf("%+v", r)
	}
	if conf := read(t, filepath.Join(to, "clp.conf")); !strings.Contains(conf, `<psw name="psw1">`) || !strings.Contains(conf, "<interval>7</interval>") {
		t.Error(conf)
	}
	if got := read(t, filepath.Join(to, "scripts/failover1/exec1/start.sh")); got != "#!/bin/sh\nexit 0\n" {
		t.Errorf("start.sh: %q", got)
	}
}

// TestPushKeepsMode: a brake on the daemon does not get into the configuration.
func TestPushKeepsMode(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, config.FileName), []byte("mode = \"protect\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	braked := apitest.Empty()
	braked.Config.Source = filepath.Join(dir, config.FileName)
	if r := at(t, serve(t, braked), &services{}, "clpcfctrl", "--push", "-x", confDir(t, strings.Replace(smallConf, "INTERVAL", "7", 1))); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	if m, problems := config.Load(dir, registry()); m == nil || m.Mode != config.Protect {
		t.Errorf("%v: %+v", problems, m)
	}
}

// TestFix100EachFailureItsOwnText: a value that is wrong is named, and each
// failure has words of its own; none is a shortage of memory.
func TestFix100EachFailureItsOwnText(t *testing.T) {
	dir, applied := t.TempDir(), []string(nil)
	socket := configuredIn(t, dir, &applied)
	good := confDir(t, strings.Replace(smallConf, "INTERVAL", "7", 1))
	refusing := apitest.Serve(t, &apitest.Fake{
		StatusFunc: func(context.Context) (api.Status, error) {
			s := apitest.Status()
			s.Config.Source = filepath.Join(t.TempDir(), config.FileName)
			return s, nil
		},
		ApplyFunc: func(context.Context, api.ConfigSource) (api.Plan, error) {
			return api.Plan{Mistakes: []api.Mistake{{File: "shisa.toml", Line: 3, Key: "monitor.web.port", Text: "70000 is outside 1 to 65535"}}}, nil
		},
	})
	for _, c := range []struct {
		socket, words string
		code          int
		says          string
	}{
		{socket, "--push -x /nonexistent/x", codes[badConfig], "/nonexistent/x"},
		{socket, "--push -x " + confDir(t, "<root"), codes[badConfig], "not XML"},
		{socket, "--push -x " + confDir(t, "<?xml version='1.0' encoding='KLINGON'?><root/>"), codes[badConfig], "\"KLINGON\" is not known"},
		{socket, "--push", codes[badOption], "-x is missing"},
		{socket, "--push -l -w -x /tmp", codes[badOption], "exclude each other"},
		{socket, "--push -x /tmp -p 0", codes[badOption], "-p takes a number"},
		{socket, "--push --pull -x /tmp", codes[badOption], "exclude each other"},
		{socket, "--push -x " + good + " -h elsewhere", codes[badServer], "This is shop1"},
		{socket, "--pull -x " + t.TempDir(), codes[badConfig], "there is no such file"},
		{refusing, "--push -x " + good, codes[badConfig], "shisa.toml:3: monitor.web.port: 70000"},
	} {
		r := at(t, c.socket, &services{}, append([]string{"clpcfctrl"}, strings.Fields(c.words)...)...)
		if r.code != c.code || !strings.Contains(r.err, c.says) || strings.Contains(r.err, "memory") || strings.Contains(r.out, "succeeded") {
			t.Errorf("%s: %+v, want code %d and %q", c.words, r, c.code, c.says)
		}
	}
	r := at(t, socket, &services{}, "clpcfctrl", "--compcheck", "-l", "-x", confDir(t, strings.Replace(smallConf, "INTERVAL", "often", 1)))
	if r.code != 0 || !strings.Contains(r.err, `/root/monitor/psw@psw1/polling/interval = often: "often" is no number`) {
		t.Errorf("a wrong value: %+v", r)
	}
	if len(applied) != 0 {
		t.Errorf("something was applied: %q", applied)
	}
}

// TestFix120TimeoutInsideCommands: a daemon that does not answer in time makes
// every command end with a message, wherever it waits.
func TestFix120TimeoutInsideCommands(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	in := confDir(t, strings.Replace(smallConf, "INTERVAL", "7", 1))
	dir := t.TempDir()
	for name, f := range map[string]*apitest.Fake{
		"status": {StatusFunc: func(ctx context.Context) (api.Status, error) { return api.Status{}, hang(ctx) }},
		"change": {
			StatusFunc: func(context.Context) (api.Status, error) {
				s := apitest.Status()
				s.Config.Source = filepath.Join(dir, config.FileName)
				return s, nil
			},
			ApplyFunc:    func(ctx context.Context, _ api.ConfigSource) (api.Plan, error) { return api.Plan{}, hang(ctx) },
			GroupFunc:    func(ctx context.Context, _ api.UnitCommand) (api.Result, error) { return api.Result{}, hang(ctx) },
			ResourceFunc: func(ctx context.Context, _ api.UnitCommand) (api.Result, error) { return api.Result{}, hang(ctx) },
			MonitorFunc:  func(ctx context.Context, _ api.MonitorCommand) (api.Result, error) { return api.Result{}, hang(ctx) },
			ShutdownFunc: func(ctx context.Context, _ api.ShutdownCommand) (api.Result, error) { return api.Result{}, hang(ctx) },
		},
	} {
		socket := apitest.Serve(t, f)
		for _, words := range [][]string{{"clpcfctrl", "--push", "-l", "-x", in}, {"clpgrp", "-s", "shop"}, {"clprsc", "-t", "web"}, {"clpmonctrl", "-s", "-m", "web"}, {"clpstdn"}} {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			var out, errOut bytes.Buffer
			c := client.New(socket)
			code := run(call{ctx: ctx, client: c, units: &services{}, out: &out, err: &errOut}, words[0], words[1:])
			cancel()
			c.Close()
			if code == 0 || errOut.Len() == 0 || strings.Contains(out.String(), "Command succeeded") {
				t.Errorf("%s: %v: code %d, %q, %q", name, words, code, out.String(), errOut.String())
			}
		}
	}
}
