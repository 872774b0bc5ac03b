package simulate

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"shisa/ctl/config"
)

var update = flag.Bool("update", false, "write the cases of the tables and what is decided; read the difference before committing it")

const casesDir = "testdata/cases"

// tables returns the cases of all tables.
func tables() []testCase {
	var c corpus
	c.ladders()
	c.patterns()
	c.finals()
	c.scripts()
	c.pauses()
	c.families()
	c.windows()
	c.blockers()
	c.limits()
	c.holds()
	c.dummies()
	c.operators()
	c.orders()
	c.attempts()
	c.late()
	c.several()
	c.between()
	c.ends()
	c.starts()
	return c.cases
}

// TestCases runs every case of testdata: those of the tables, which are written
// with -update, and those that were written by hand, whose names begin with
// "hand-".
func TestCases(t *testing.T) {
	want := map[string]bool{}
	for _, c := range tables() {
		if want[c.name] {
			t.Fatalf("two cases are called %s", c.name)
		}
		want[c.name] = true
		a := &txtar.Archive{Comment: []byte(c.shows + "\n"), Files: []txtar.File{
			{Name: "shisa.toml", Data: []byte(c.config)}, {Name: "history", Data: []byte(c.history)}, {Name: "want"}}}
		path := filepath.Join(casesDir, c.name+".txtar")
		if *update {
			if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		written, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		written.Files[len(written.Files)-1].Data = nil
		if !bytes.Equal(txtar.Format(written), txtar.Format(a)) {
			t.Errorf("%s is not as its table says: go test -update", path)
		}
	}
	paths, err := filepath.Glob(casesDir + "/*.txtar")
	if err != nil || len(paths) < 500 {
		t.Fatalf("%d cases, %v; want at least 500", len(paths), err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		if !want[name] && !strings.HasPrefix(name, "hand-") {
			t.Errorf("%s is of no table any more: remove it", path)
		}
		t.Run(name, func(t *testing.T) { runCase(t, path) })
	}
	t.Logf("%d cases", len(paths))
}

func runCase(t *testing.T, path string) {
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := len(a.Files) - 1
	if last != 2 || a.Files[last].Name != "want" {
		t.Fatalf("want the files shisa.toml, history and want")
	}
	model, problems := config.Parse(a.Files[0].Data, "shisa.toml", "", testTypes())
	if problems.Err() != nil {
		t.Fatal(problems)
	}
	h, err := Parse(string(a.Files[1].Data))
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Check(model); err != nil {
		t.Error(err)
	}
	record := Run(model, h)
	for _, wrong := range invariants(model, record) {
		t.Error(wrong)
	}
	var got strings.Builder
	if err := record.WriteText(&got); err != nil {
		t.Fatal(err)
	}
	if *update {
		a.Files[last].Data = []byte(got.String())
		if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(string(a.Files[last].Data), got.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
