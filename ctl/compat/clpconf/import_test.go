package clpconf

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"shisa/ctl/config"
	"shisa/ctl/monitor/types"
	restypes "shisa/ctl/resource/types"
)

var registry = config.NewRegistry(types.All(), restypes.All())

// samplesVariable names a folder with further files that are tried, such as
// published ones.
const samplesVariable = "SHISA_CLPCONF_SAMPLES"

// samples are the files that are tried: our own, and published ones where they
// are at hand.
func samples(t *testing.T) map[string]*Source {
	t.Helper()
	all := map[string]*Source{}
	for _, pattern := range samplePatterns() {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			s, err := Open(p)
			if err != nil {
				t.Fatal(err)
			}
			all[p] = s
		}
	}
	if len(all) == 0 {
		t.Fatal("no samples")
	}
	return all
}

func samplePatterns() []string {
	all := []string{"testdata/*/clp.conf"}
	if dir := os.Getenv(samplesVariable); dir != "" {
		all = append(all, dir+"/*.conf")
	}
	return all
}

func mustImport(t *testing.T, s *Source, o Options) *Result {
	t.Helper()
	o.Types = registry
	r, err := Import(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// parse reads what an import wrote from the folder that it is in.
func load(t *testing.T, r *Result) *config.Model {
	t.Helper()
	dir := t.TempDir()
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	m, problems := config.Load(dir, registry)
	if err := problems.Err(); m == nil || err != nil {
		t.Fatalf("what was imported is not good: %v\n%s", err, r.TOML)
	}
	return m
}

// TestSamples: every sample makes a configuration that passes every check.
func TestSamples(t *testing.T) {
	for name, s := range samples(t) {
		t.Run(filepath.Base(filepath.Dir(name))+"/"+filepath.Base(name), func(t *testing.T) {
			load(t, mustImport(t, s, Options{}))
		})
	}
}

// TestNothingIsDropped: each element that says anything is in the report once,
// with a key of ours that is in the configuration, or with a reason.
func TestNothingIsDropped(t *testing.T) {
	for name, s := range samples(t) {
		tree, err := Read(s.Files[FileName])
		if err != nil {
			t.Fatal(err)
		}
		r := mustImport(t, s, Options{})
		reported := map[string]int{}
		for _, i := range r.Items {
			if i.Line > 0 {
				reported[fmt.Sprintf("%s %d", i.Path, i.Line)]++
			}
			if i.Key == "" && i.Text == "" {
				t.Errorf("%s: %s: neither key nor reason", name, i.Path)
			}
		}
		count := 0
		tree.leaves(func(n *Node) {
			count++
			if got := reported[fmt.Sprintf("%s %d", n.Path(), n.Line)]; got != 1 {
				t.Errorf("%s:%d: %s is in the report %d times", name, n.Line, n.Path(), got)
			}
		})
		if count < 10 {
			t.Errorf("%s: only %d elements", name, count)
		}
		for _, i := range r.Items {
			if table, key, ok := cutLast(i.Key); ok && i.Outcome == Mapped && i.Value != "" && i.Text != "" && !strings.Contains(r.TOML, key) && table != "" {
				t.Errorf("%s: %s is said to be %s, which is not there", name, i.Path, i.Key)
			}
		}
	}
}

func cutLast(text string) (before, after string, ok bool) {
	i := strings.LastIndexByte(text, '.')
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+1:], true
}

// TestRoundTrip: import, export and import again change nothing, and from then
// on not a letter.
func TestRoundTrip(t *testing.T) {
	for name, s := range samples(t) {
		t.Run(filepath.Base(filepath.Dir(name))+"/"+filepath.Base(name), func(t *testing.T) {
			first := mustImport(t, s, Options{})
			one := load(t, first)
			second, out := again(t, one, first)
			two := load(t, second)
			if plan := config.Diff(one, two); !plan.Empty() {
				var b strings.Builder
				if err := plan.WriteText(&b); err != nil {
					t.Fatal(err)
				}
				t.Errorf("not the same:\n%s\nexported as\n%s", b.String(), out)
			}
			third, _ := again(t, two, second)
			if third.TOML != second.TOML {
				t.Errorf("not stable:\n%s\nthen\n%s", second.TOML, third.TOML)
			}
			if len(first.Files) != len(second.Files) {
				t.Errorf("%d scripts, then %d", len(first.Files), len(second.Files))
			}
		})
	}
}

// again exports a model and imports that.
func again(t *testing.T, m *config.Model, r *Result) (*Result, string) {
	t.Helper()
	out, err := Export(m, registry, "server1", Folder{Read: func(name string) ([]byte, error) { return r.Files[name].Data, nil }})
	if err != nil {
		t.Fatal(err)
	}
	out.Name = "again"
	return mustImport(t, out, Options{}), string(out.Files[FileName])
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

// TestShop is a whole configuration with its report, to be read.
func TestShop(t *testing.T) {
	s, err := Open("testdata/shop")
	if err != nil {
		t.Fatal(err)
	}
	r := mustImport(t, s, Options{})
	golden(t, "shop.toml", r.TOML)
	var b strings.Builder
	if err := r.WriteReport(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"To be looked at\n",
		"/root → mode: it only observes",
		"scripts/failover2/exec-batch/stop.sh was not with the configuration: write it",
		"/root/monitor/mysqlw@mysqlw1 → monitor.mysqlw1: shisa only looks whether somebody listens",
		"/root/monitor/mysqlw@mysqlw1/parameters/password = (secret)",
		`= __PERIOD__ (line 106) → monitor.genw1.interval: "__PERIOD__" is no number`,
		"/root/somethingnew/deep = 7 (line 130): this element is not known to shisa",
		"/root/group@failover1/policy@shop1/order = 0 (line 30): there is one server to run on",
		"/root/resource/exec@exec-orphan (line 70): it belongs to no group",
		`/root/group@failover1/comment = 表のサーバ (line 27) → group.failover1.comment: "表のサーバ"`,
		"stop.sh: its lines ended as on Windows",
		`/root/resource/exec@exec-batch → resource.exec-batch.on_stop_failure: "shutdown"`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	if got := slices.Sorted(keys(r.Files)); !slices.Equal(got, []string{"scripts/failover1/exec-apache/start.sh", "scripts/failover1/exec-apache/stop.sh",
		"scripts/failover2/exec-batch/start.sh", "scripts/failover2/exec-batch/stop.sh", "scripts/monitor.s/genw1/genw.sh", "scripts/monitor.s/genw1/preaction.sh"}) {
		t.Errorf("scripts: %q", got)
	}
}

// TestGolden: what becomes of files with every type of monitor, groups that wait
// for each other, every action, objects of clusters, odd blanks, mistakes,
// virtual machines, names that ours cannot have, and a declaration that lies.
func TestGolden(t *testing.T) {
	for _, name := range []string{"every", "waits", "actions", "cluster", "white", "broken", "machines", "names", "liar"} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(filepath.Join("testdata", name, FileName))
			if err != nil {
				t.Fatal(err)
			}
			r := mustImport(t, s, Options{})
			golden(t, name+".toml", r.TOML)
			var b strings.Builder
			if err := r.WriteReport(&b); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".report", b.String())
		})
	}
}

// TestOdds: a cluster of two servers, of which one is taken, with what only
// clusters have.
func TestOdds(t *testing.T) {
	s, err := Open("testdata/odds/clp.conf")
	if err != nil {
		t.Fatal(err)
	}
	for server, start := range map[string]string{"": "/usr/local/bin/start", "NODE2": "/usr/local/bin/start2"} {
		r := mustImport(t, s, Options{Server: server, Mode: config.Protect})
		m := load(t, r)
		if m.Mode != config.Protect || !strings.Contains(r.TOML, `start = "`+start+`"`) || !strings.EqualFold(m.Server.Name, map[string]string{"": "node1", "NODE2": "node2"}[server]) {
			t.Errorf("%q: %s", server, r.TOML)
		}
		if w := m.Monitors[0]; w.Name != "genw1" || w.When != "always" || w.Target != "" || w.Recovery.Policy.FinalAction != "none" {
			t.Errorf("a monitor of what is not imported: %+v", w)
		}
		for _, secret := range []string{"0a1b2c", "= public"} {
			for _, i := range r.Items {
				if strings.Contains(i.Value, secret) || strings.Contains(i.Text, secret) {
					t.Errorf("%s shows a secret: %+v", i.Path, i)
				}
			}
		}
	}
	if _, err := Import(s, Options{Types: registry, Server: "node3"}); err == nil || !strings.Contains(err.Error(), `no server "node3"`) {
		t.Errorf("error %v", err)
	}
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}
