package doctor_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"shisa/ctl/api"
	"shisa/ctl/api/schema"
	"shisa/ctl/config"
	"shisa/ctl/doctor"
	"shisa/ctl/monitor/types"
	restypes "shisa/ctl/resource/types"
)

// write makes the files of a machine: name → content.
func write(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// machine is a small server with softdog only.
var machine = map[string]string{
	"etc/os-release":                        "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
	"etc/hosts":                             "127.0.0.1 localhost\n",
	"proc/sys/kernel/osrelease":             "6.1.0-1-amd64\n",
	"proc/sys/kernel/hostname":              "lonely\n",
	"sys/class/watchdog/watchdog0/identity": "Software Watchdog\n",
	"sys/class/watchdog/watchdog0/state":    "inactive\n",
	"sys/class/watchdog/watchdog0/nowayout": "0\n",
	"dev/watchdog0":                         "",
	"dev/watchdog":                          "",
	"usr/bin/sh":                            "",
}

// parse reads a configuration whose scripts are files.
func parse(t *testing.T, text string, scripts map[string]string) *config.Model {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, scripts)
	m, problems := config.Parse([]byte(text), filepath.Join(dir, "shisa.toml"), dir, registry)
	if m == nil {
		t.Fatal(problems)
	}
	return m
}

var registry = config.NewRegistry(types.All(), restypes.All())

func examine(t *testing.T, m *config.Model) api.Doctor {
	t.Helper()
	root := t.TempDir()
	write(t, root, machine)
	d, err := doctor.Examine(t.Context(), m, doctor.Options{Root: root, Types: registry})
	if err != nil {
		t.Fatal(err)
	}
	valid(t, d)
	return d
}

// valid checks what --json prints against the schema in the tree.
func valid(t *testing.T, d api.Doctor) {
	t.Helper()
	text, err := schema.Read("doctor")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("doctor", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("doctor")
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(v); err != nil {
		t.Error(err)
	}
}

func find(d api.Doctor, f func(api.Check) bool) *api.Check {
	if i := slices.IndexFunc(d.Checks, f); i >= 0 {
		return &d.Checks[i]
	}
	return nil
}

func byID(id string) func(api.Check) bool { return func(c api.Check) bool { return c.ID == id } }

func TestCountdowns(t *testing.T) {
	d := examine(t, config.Default())
	chosen := find(d, func(c api.Check) bool { return c.Name == "primary softdog" })
	if chosen == nil || chosen.Level != api.LevelOK || !strings.Contains(chosen.Text, "chosen: /dev/watchdog0") {
		t.Errorf("softdog: %+v", chosen)
	}
	absent := find(d, func(c api.Check) bool { return c.Name == "primary ipmi" })
	if absent == nil || absent.Level != api.LevelInfo {
		t.Errorf("what is not there is neither good nor bad: %+v", absent)
	}
}

// A finding comes with its identifier, the command that mends it, and the
// restrictions of the original's guide that it stands for.
func TestFinding(t *testing.T) {
	d := examine(t, config.Default())
	c := find(d, byID("host-name"))
	if c == nil || c.Level != api.LevelWarning || c.Mend == "" || c.Area != "network" {
		t.Fatalf("host-name: %+v in %+v", c, d.Checks)
	}
	if !slices.ContainsFunc(d.Checks, func(c api.Check) bool { return len(c.Restrictions) > 0 }) {
		t.Error("no finding names a restriction")
	}
	seen := map[string]bool{}
	last := ""
	for _, c := range d.Checks {
		if c.Area != last && seen[c.Area] {
			t.Errorf("area %s comes twice", c.Area)
		}
		seen[c.Area], last = true, c.Area
	}
}

// What the scripts and types of the configuration need is looked for.
func TestPrograms(t *testing.T) {
	m := parse(t, `
[[group]]
name = "web"
[[resource]]
name = "app"
group = "web"
type = "exec"
start = "start"
stop = "stop"
[[resource]]
name = "unit"
group = "web"
type = "systemd"
unit = "app.service"
`, map[string]string{"start": "#!/usr/bin/env -S LANG=C python9 -u\n", "stop": "#! /bin/sh\n"})
	d := examine(t, m)
	var texts []string
	for _, c := range d.Checks {
		if c.ID == "program-missing" {
			texts = append(texts, c.Text+" → "+c.Mend)
		}
	}
	all := strings.Join(texts, "\n")
	if len(texts) != 2 || !strings.Contains(all, "python9 is not installed; the script") || !strings.Contains(all, "of resource app needs it") ||
		!strings.Contains(all, "install the package systemd") {
		t.Errorf("missing programs:\n%s", all)
	}
	if d.Level != api.LevelError {
		t.Errorf("level %s", d.Level)
	}
}

// What the configuration listens on is looked for among what others do.
func TestPorts(t *testing.T) {
	root := t.TempDir()
	write(t, root, machine)
	write(t, root, map[string]string{
		"proc/net/udp": "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
			"  9: 00000000:00A2 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 0\n",
		"proc/sys/net/ipv4/ip_local_port_range": "100 60999\n",
	})
	m := parse(t, `
[[monitor]]
name = "traps"
type = "message"
category = "BMCNotice"
trap_listen = "192.0.2.1:162"
trap_from = ["192.0.2.7"]
`, nil)
	d, err := doctor.Examine(t.Context(), m, doctor.Options{Root: root, Types: registry})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{
		"port-taken": "an unknown program listens on 162/udp, which we need for monitor traps",
		"port-range": "162 lie in net.ipv4.ip_local_port_range (100 to 60999)",
	} {
		if c := find(d, byID(id)); c == nil || c.Text != want {
			t.Errorf("%s: %+v, want %q", id, c, want)
		}
	}
}

func TestForKernel(t *testing.T) {
	for _, release := range []string{"5.14.0-427.13.1.el9_4.x86_64", "2.6.18-398.el5", "6.1.0-18-amd64", "nonsense"} {
		t.Run(release, func(t *testing.T) {
			root := t.TempDir()
			write(t, root, machine)
			d, err := doctor.ForKernel(config.Default(), doctor.Options{Root: root}, release)
			if err != nil {
				t.Fatal(err)
			}
			valid(t, d)
			if d.Kernel != release || len(d.Checks) == 0 {
				t.Errorf("%+v", d)
			}
			if old := find(d, byID("kernel-below-floor")) != nil; old != strings.HasPrefix(release, "2.6") {
				t.Errorf("below the floor: %v", old)
			}
		})
	}
}
