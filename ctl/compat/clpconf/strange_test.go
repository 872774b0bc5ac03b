package clpconf

import (
	"archive/zip"
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"shisa/ctl/config"
)

// TestStrangers: files that another editor, or a hand, has written.
func TestStrangers(t *testing.T) {
	const exec = `<parameters><act><path>/bin/true</path></act></parameters>`
	for _, c := range []struct {
		name, text string
		toml       []string // occurs in what is written
		report     []string // occurs in the report
	}{
		{
			"within the announcement of its type",
			`<root><group name="g"><resource name="exec@e"/></group><resource><types name="exec"><exec name="e">` + exec + `</exec></types></resource>
			<monitor><types name="psw"><psw name="p"><parameters><processname>x</processname></parameters></psw></types></monitor></root>`,
			[]string{`name = "e"`, `start = "/bin/true"`, `name = "p"`, `match = "x"`},
			[]string{"/root/resource/exec@e/parameters/act/path = /bin/true", "/root/monitor/psw@p/parameters/processname = x"},
		},
		{
			"sections in parts",
			`<root><group name="g"><resource name="exec@a"/><resource name="exec@b"/></group><resource><exec name="a">` + exec + `</exec></resource>
			<resource><exec name="b"><parameters><act><path>/bin/b</path></act></parameters><parameters><deact><path>/bin/c</path></deact></parameters></exec></resource></root>`,
			[]string{`start = "/bin/true"`, `start = "/bin/b"`, `stop = "/bin/c"`}, nil,
		},
		{
			"a value twice",
			`<root><monitor><psw name="p"><parameters><processname>a</processname><processname>b</processname></parameters></psw></monitor></root>`,
			[]string{`match = "a"`}, []string{"/root/monitor/psw@p/parameters/processname = b (line 1) → monitor.p.match: it stands there again; the first counts"},
		},
		{
			"one resource in two groups",
			`<root><group name="g"><resource name="exec@e"/></group><group name="h"><resource name="exec@e"/></group><resource><exec name="e">` + exec + `</exec></resource></root>`,
			[]string{`group = "g"`}, []string{"/root/group@h/resource@exec@e (line 1) → resource.e.group: it is in a group already, and can be in one"},
		},
		{
			"a resource that cannot be imported is no member",
			`<root><group name="g"><resource name="exec@e"/></group><resource><exec name="e"/></resource></root>`,
			nil, []string{"/root/group@g/resource@exec@e (line 1): resource.e is not imported: required"},
		},
		{
			"a circle of two through one of three",
			`<root><group name="a"><depend><act><depend name="b"/><depend name="c"/></act></depend></group><group name="b"><depend><act><depend name="a"/></act></depend></group><group name="c"/></root>`,
			nil, []string{"groups wait for each other"},
		},
		{
			"a circle of resources is opened, and nothing else is needed instead",
			`<root><group name="g"><resource name="exec@a"/><resource name="exec@b"/></group><resource><exec name="a"><depend name="b"/>` + exec + `</exec>
			<exec name="b"><depend name="a"/>` + exec + `</exec></resource></root>`,
			[]string{"depends_on = []\n"}, []string{"resource.a.depends_on: resources need each other: a → b → a"},
		},
		{
			"a host without a hypervisor",
			`<root><group name="g"><resource name="vm@v"/></group><resource><vm name="v"><parameters><vmname>m</vmname><guestos><esxserverip>esx</esxserverip></guestos>
			<vmconfigpath>m/m.vmx</vmconfigpath></parameters></vm></resource></root>`,
			[]string{`hypervisor = "vsphere"`, `address = "esx"`}, []string{"since it names a host, vSphere is taken", "m/m.vmx (line 2): the host knows the machine by its name"},
		},
		{
			"a member that cannot be imported",
			`<root><monitor><psw name="p"><parameters><default>1</default><processname>x</processname></parameters></psw><ipw name="i"/>
			<mtw name="m"><parameters><list id="0"><name>p</name></list><list id="1"><name>i</name></list><list id="2"><name>lost</name></list></parameters></mtw></monitor></root>`,
			[]string{`monitors = ["p"]`}, []string{"list@1/name = i (line 2) → monitor.m.monitors: monitor i is not imported, and does not count", "list@2/name = lost (line 2) → monitor.m.monitors: monitor lost is not imported, and does not count"},
		},
		{
			"a table that cannot be imported leaves the others alone",
			`<root><server name="s"/><monitor><userw name="u"><parameters><usehb>0</usehb></parameters><polling><interval>100</interval><timeout>50</timeout></polling></userw></monitor></root>`,
			[]string{`name = "s"`}, []string{"stall is not imported: ", "/root/server@s (line 1) → server.name: s", "polling/interval = 100 (line 1): stall is not imported"},
		},
		{
			"KVM has no host",
			`<root><group name="g"><resource name="vm@v"/></group><resource><vm name="v"><parameters><vmtype>1</vmtype><vmname>m</vmname><guestos><esxserverip>10.0.0.1</esxserverip></guestos>
			</parameters></vm></resource></root>`,
			[]string{`hypervisor = "kvm"`}, []string{"esxserverip = 10.0.0.1 (line 1): the libvirt of this server is asked"},
		},
		{
			"scripts before both final actions",
			`<root><group name="g"><resource name="exec@e"/></group><resource><exec name="e">` + exec + `<act><preaction><use>1</use><path>/bin/a</path></preaction></act>
			<deact><preaction><use>1</use><path>/bin/b</path></preaction></deact></exec></resource></root>`,
			[]string{`before_final = "/bin/a"`}, []string{"deact/preaction/path = /bin/b (line 2) → resource.e.before_final: there is one script for both"},
		},
		{
			"a script before a final action that is not used",
			`<root><group name="g"><resource name="exec@e"/></group><resource><exec name="e">` + exec + `<act><preaction><use>0</use><path>/bin/a</path></preaction></act></exec></resource></root>`,
			nil, []string{"act/preaction/path = /bin/a (line 1) → resource.e.before_final: it is named, but not used"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := mustImport(t, conf(c.text), Options{})
			load(t, r)
			text := report(t, r)
			for _, want := range c.toml {
				if !strings.Contains(r.TOML, want) {
					t.Errorf("%q is not in\n%s", want, r.TOML)
				}
			}
			for _, want := range c.report {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not in\n%s", want, text)
				}
			}
		})
	}
}

// TestNothingMappedIsMissing: what the report calls taken over is there.
func TestNothingMappedIsMissing(t *testing.T) {
	for name, s := range samples(t) {
		r := mustImport(t, s, Options{})
		for _, i := range r.Items {
			parts := strings.Split(i.Key, ".")
			if i.Outcome != Mapped || len(parts) < 3 || !slices.Contains(repeated, parts[0]) {
				continue
			}
			if object := strings.Join(parts[1:len(parts)-1], "."); !strings.Contains(r.TOML, `name = "`+strings.TrimSuffix(object, ".recovery")+`"`) {
				t.Errorf("%s: %s is not in what was written: %+v", name, object, i)
			}
		}
	}
}

// TestSkipped: what was not read is in the report.
func TestSkipped(t *testing.T) {
	dir := t.TempDir()
	const text = `<root><group name="g"/></root>`
	files := map[string]string{FileName: text, "notes.txt": "x", "scripts/g/e/start.sh": "x"}
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[name]), 0o644); err != nil {
			t.Fatal(err)
		}
		w, err := z.Create("export/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "scripts/link")); err != nil {
		t.Fatal(err)
	}
	packed := filepath.Join(t.TempDir(), "x.zip")
	if err := os.WriteFile(packed, archive.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]string{
		dir:    {"  notes.txt: it is no part of a configuration\n", "  scripts/link: it is no regular file, and what it leads to was not read\n"},
		packed: {"  notes.txt: it is no part of a configuration\n"},
	} {
		s, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		text := report(t, mustImport(t, s, Options{}))
		for _, line := range append(want, "  scripts/g/e/start.sh: it belongs to nothing that is imported\n") {
			if !strings.Contains(text, line) {
				t.Errorf("%s: %q is not in\n%s", path, line, text)
			}
		}
	}
}

// TestFilesOfTheServer: a file that no object names comes with an export, and a
// secret stays where it is, so that what is taken back is good.
func TestFilesOfTheServer(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"ask.sh": "#!/bin/sh\n", "pw": "secret\n",
		config.FileName: "[reboot]\nblocker = \"ask.sh\"\n[[monitor]]\nname = \"h\"\ntype = \"http\"\nwhen = \"always\"\nurl = \"http://h/\"\nuser = \"u\"\npassword = \"file:pw\"\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	m, problems := config.Load(dir, registry)
	if m == nil || problems.Err() != nil {
		t.Fatal(problems.Err())
	}
	s, err := Export(m, registry, "s", Beside(m.Dir))
	if err != nil {
		t.Fatal(err)
	}
	back := load(t, mustImport(t, s, Options{}))
	if back.Reboot.Blocker != "scripts/shisa/reboot/ask.sh" || back.Monitors[0].Params["password"] != "file:"+filepath.Join(dir, "pw") {
		t.Errorf("%q and %v", back.Reboot.Blocker, back.Monitors[0].Params)
	}
}

// TestExtensionsStayInside: what is taken back names no file elsewhere, and none
// that is missing.
func TestExtensionsStayInside(t *testing.T) {
	for file, want := range map[string]string{
		"../../etc/passwd":        "this path leaves the folder of the scripts",
		"scripts/../../x":         "this path leaves the folder of the scripts",
		"ask.sh":                  "this path leaves the folder of the scripts",
		"scripts/shisa/reboot/up": "was not with the configuration",
	} {
		r := mustImport(t, conf(`<root><shisa><reboot><blocker>"`+file+`"</blocker></reboot></shisa></root>`), Options{})
		load(t, r)
		if text := report(t, r); !strings.Contains(text, want) {
			t.Errorf("%s: %q is not in\n%s", file, want, text)
		}
	}
}
