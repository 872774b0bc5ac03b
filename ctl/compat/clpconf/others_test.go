package clpconf

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// withOthers is a configuration with files that no element names: some stand
// beside scripts, which may read them, and some in folders of nothing.
func withOthers() *Source {
	s := conf(`<root><group name="g 1"><resource name="exec@e"/></group>
		<resource><exec name="e"><parameters><act><path>start.sh</path></act></parameters></exec></resource>
		<monitor><genw name="genw1"><parameters><path>genw.sh</path></parameters></genw></monitor></root>`)
	for name, text := range map[string]string{
		"scripts/g 1/e/start.sh": "#!/bin/sh\n. ./env\n", "scripts/g 1/e/env": "A=1\r\n", "scripts/g 1/e/lib/tool.sh": "#!/bin/sh\r\nexit 0\r\n",
		"scripts/g 1/e/a\\b": "x", "scripts/monitor.s/genw1/genw.sh": "#!/bin/sh\n", "scripts/monitor.s/genw1/list": "x\n",
		"scripts/g 1/gone/start.sh": "x", "scripts/readme": "x",
	} {
		s.Files[name] = []byte(text)
	}
	return s
}

// TestOtherFiles: what stands beside a script comes with it, and what does not
// is in the report.
func TestOtherFiles(t *testing.T) {
	r := mustImport(t, withOthers(), Options{})
	want := map[string]string{
		"scripts/g-1/e/start.sh": "#!/bin/sh\n. ./env\n", "scripts/g-1/e/env": "A=1\r\n", "scripts/g-1/e/lib/tool.sh": "#!/bin/sh\nexit 0\n",
		"scripts/monitor.s/genw1/genw.sh": "#!/bin/sh\n", "scripts/monitor.s/genw1/list": "x\n",
	}
	got := map[string]string{}
	for name, f := range r.Files {
		got[name] = string(f.Data)
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	text := report(t, r)
	for _, line := range []string{
		"  scripts/g 1/e/env → scripts/g-1/e/env: it stands beside a script\n",
		"  scripts/g 1/gone/start.sh: it belongs to nothing that is imported\n",
		"  scripts/readme: it belongs to nothing that is imported\n",
		"  scripts/g 1/e/a\\b: its name cannot be taken over\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("%q is missing in\n%s", line, text)
		}
	}
}

// TestOtherFilesComeBack: an export has them, too.
func TestOtherFilesComeBack(t *testing.T) {
	first := mustImport(t, withOthers(), Options{})
	dir := t.TempDir()
	if err := first.Write(dir); err != nil {
		t.Fatal(err)
	}
	out, err := Export(load(t, first), registry, "server1", Beside(dir))
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Sorted(maps.Keys(first.Files))
	got := slices.Sorted(maps.Keys(mustImport(t, out, Options{}).Files))
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
