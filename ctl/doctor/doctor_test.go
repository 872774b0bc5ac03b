package doctor_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
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
		if c.Mend == "" && (c.ID != "" || c.Level == api.LevelWarning || c.Level == api.LevelError || c.Level == api.LevelCritical) {
			t.Errorf("nothing mends %+v", c)
		}
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

// A program of the configuration is asked which libraries it has to be linked with.
func TestLibraries(t *testing.T) {
	program, err := exec.LookPath("env")
	if err != nil {
		t.Fatal(err)
	}
	m := parse(t, `
[[group]]
name = "web"
[[resource]]
name = "app"
group = "web"
type = "exec"
start = "`+program+`"
stop = "`+program+`"
`, nil)
	find := func(files map[string]string) *api.Check {
		root := t.TempDir()
		write(t, root, machine)
		write(t, root, files)
		d, err := doctor.Examine(t.Context(), m, doctor.Options{Root: root, Types: registry})
		if err != nil {
			t.Fatal(err)
		}
		return find(d, byID("library-missing"))
	}
	want := "libc.so.6 is not installed; the program " + program + " of resource app needs it"
	if c := find(nil); c == nil || c.Text != want {
		t.Errorf("%+v, want %q", c, want)
	}
	for name, files := range map[string]map[string]string{
		"usual folder": {"lib64/libc.so.6": ""},
		"ld.so.conf":   {"etc/ld.so.conf": "include ld.so.conf.d/*.conf\n/usr/local/lib64\n", "usr/local/lib64/libc.so.6": ""},
		"ld.so.conf.d": {"etc/ld.so.conf.d/a.conf": "/opt/lib\n", "opt/lib/libc.so.6": ""},
	} {
		if c := find(files); c != nil {
			t.Errorf("%s: %+v", name, c)
		}
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
	tests := []struct {
		release string
		want    []string // parts of what is said, in any order
		never   string
	}{
		{"6.1.0-18-amd64", []string{"Debian 12: works: control-plane", "not-tried: package", "since shisa 0.1.0", "is not installed here"}, "of the original"},
		{"5.14.0-427.13.1.el9_4.x86_64", []string{"on debian 12 is in no row", "Red Hat Enterprise Linux 9: not-tried: all of it", "Rocky Linux 9: not-tried"}, ": works"},
		{"3.10.0-1160.el7.x86_64", []string{"Red Hat Enterprise Linux 7: unsupported: ebpf/exit", "no bpf(2) before Linux 3.18"}, ": works"},
		{"2.6.18-371.el5", []string{"older than 3.2", "Red Hat Enterprise Linux 5 update10 (x86_64): clpka in its versions 3.2.0-1 and later"}, ": works"},
		{"2.6.18-128.7.AXS3", []string{"printed as 2.6.18-128.7AXS3, where 2.6.18-128.7.AXS3 was probably meant"}, ": works"},
		{"2.6.18-398.el5", []string{"older than 3.2"}, "the original"},
	}
	for _, tt := range tests {
		t.Run(tt.release, func(t *testing.T) {
			root := t.TempDir()
			write(t, root, machine)
			d, err := doctor.ForKernel(config.Default(), doctor.Options{Root: root}, tt.release)
			if err != nil {
				t.Fatal(err)
			}
			valid(t, d)
			var all strings.Builder
			for _, c := range d.Checks {
				all.WriteString(c.Name + ": " + c.Text + "\n")
				if works := strings.Contains(c.Text, "works: "); works != (c.Level == api.LevelOK) {
					t.Errorf("level %s: %s", c.Level, c.Text)
				}
			}
			for _, part := range tt.want {
				if !strings.Contains(all.String(), part) {
					t.Errorf("no %q in\n%s", part, all.String())
				}
			}
			if strings.Contains(all.String(), tt.never) {
				t.Errorf("%q in\n%s", tt.never, all.String())
			}
			if old := find(d, byID("kernel-below-floor")) != nil; d.Kernel != tt.release || old != strings.HasPrefix(tt.release, "2.6") {
				t.Errorf("kernel %s, below the floor: %v", d.Kernel, old)
			}
		})
	}
	if _, err := doctor.ForKernel(config.Default(), doctor.Options{Root: t.TempDir()}, "nonsense"); err == nil {
		t.Error("nonsense is taken for a release")
	}
}

// Nothing is made up about a kernel that could not be found out.
func TestNextBootUnknown(t *testing.T) {
	d, err := doctor.ForKernel(config.Default(), doctor.Options{Root: t.TempDir()}, "")
	if err != nil {
		t.Fatal(err)
	}
	valid(t, d)
	if len(d.Checks) != 1 || d.Checks[0].ID != "next-boot-unknown" || d.Checks[0].Mend == "" {
		t.Errorf("%+v", d.Checks)
	}
}
