package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../.." // of the module
	module = "shisa/"
)

// TestLayers reads the sources itself instead of asking "go list": the test
// cache follows the files that a test opens, but not those that a command opens
// for it, so a subprocess would let a stale pass through.
func TestLayers(t *testing.T) {
	layers, rules := readRules(t)
	for path, f := range sources(t, parser.ImportsOnly) {
		from := packageOf(t, path)
		at := layerOf(layers, from)
		if at < 0 {
			t.Errorf("%s is in no layer: add it to layers.txt", from)
			continue
		}
		for _, spec := range f.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if to, ok := strings.CutPrefix(imp, module); ok && layerOf(layers, to) >= at && !within(from, to) {
				t.Errorf("%s: %s must not import %s, which is not in a lower layer", path, from, to)
			}
			for _, r := range rules {
				if r.forbids(from, strings.TrimPrefix(imp, module)) {
					t.Errorf("%s: %s must not import %s: %s", path, from, imp, r.why)
				}
			}
		}
	}
}

// within reports whether one of two packages lies below the other: a package
// and its parts are one idea and order themselves.
func within(from, to string) bool {
	return strings.HasPrefix(from+"/", to+"/") || strings.HasPrefix(to+"/", from+"/")
}

// sources parses every Go file of the module that is not a test and not
// generated.
func sources(t *testing.T, mode parser.Mode) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "tools" || strings.HasPrefix(d.Name(), ".") && path != root):
			return filepath.SkipDir
		case filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, mode)
		if err != nil {
			return err
		}
		files[path] = f
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func packageOf(t *testing.T, path string) string {
	t.Helper()
	rel, err := filepath.Rel(root, filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	return rel
}

// A rule is a line "deny A B: X Y  # why" (A and B must not import X or Y) or
// "only A B: X Y  # why" (nobody else may).
type rule struct {
	only     bool
	from, to []string
	why      string
}

func (r rule) forbids(from, imp string) bool {
	named := slices.ContainsFunc(r.from, func(pat string) bool { return match(pat, from) })
	return slices.Contains(r.to, imp) && named != r.only
}

func readRules(t *testing.T) (layers [][]string, rules []rule) {
	t.Helper()
	b, err := os.ReadFile("layers.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		text, why, _ := strings.Cut(line, "#")
		from, to, isRule := strings.Cut(text, ":")
		words := strings.Fields(from)
		switch {
		case len(words) == 0: // blank or comment
		case isRule:
			rules = append(rules, rule{words[0] == "only", words[1:], strings.Fields(to), strings.TrimSpace(why)})
		default:
			layers = append(layers, words)
		}
	}
	return layers, rules
}

// layerOf returns the layer that names path exactly, else the first whose
// pattern holds it, else -1.
func layerOf(layers [][]string, path string) int {
	exact := slices.IndexFunc(layers, func(l []string) bool { return slices.Contains(l, path) })
	if exact >= 0 {
		return exact
	}
	return slices.IndexFunc(layers, func(l []string) bool {
		return slices.ContainsFunc(l, func(pat string) bool { return match(pat, path) })
	})
}

func match(pat, path string) bool {
	dir, ok := strings.CutSuffix(pat, "/*")
	return pat == path || ok && strings.HasPrefix(path, dir+"/")
}
