package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what is reported into the golden files; read the difference before committing it")

// golden compares got with a golden file, or writes it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

// Each file of testdata/broken is a directory of a configuration and, as
// "want", every problem with it, in order.
func TestBroken(t *testing.T) {
	cases, err := filepath.Glob("testdata/broken/*.txtar")
	if err != nil || len(cases) < 60 {
		t.Fatalf("%d cases, %v; want at least 60", len(cases), err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got, model := report(t, a)
			want := a.Files[len(a.Files)-1]
			if want.Name != "want" {
				t.Fatalf("the last file is %q, not want", want.Name)
			}
			if *update {
				a.Files[len(a.Files)-1].Data = []byte(got)
				if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(string(want.Data), got); d != "" {
				t.Errorf("problems (-want +got):\n%s", d)
			}
			// Only files outside of the text may be wrong with a model that is used at boot.
			if outside := strings.Contains(string(a.Comment), "outside"); (model != nil) != outside {
				t.Errorf("model %v, want one: %v", model != nil, outside)
			}
		})
	}
}

// report returns the problems of the configuration in a. One with scripts is
// put into a directory first.
func report(t *testing.T, a *txtar.Archive) (string, *Model) {
	t.Helper()
	if len(a.Files) == 2 {
		m, problems := Parse(a.Files[0].Data, FileName, "", fakes())
		return problems.String(), m
	}
	dir := t.TempDir()
	for _, f := range a.Files[:len(a.Files)-1] {
		mode := os.FileMode(0o600)
		if strings.Contains(f.Name, "bin/") {
			mode = 0o755
		} else if strings.Contains(f.Name, "public") {
			mode = 0o644
		}
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, mode); err != nil {
			t.Fatal(err)
		}
	}
	m, problems := Load(dir, fakes())
	return strings.ReplaceAll(problems.String(), dir, "$DIR"), m
}
