package archtest

import (
	"go/ast"
	"go/parser"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Limits on what a reader has to hold in mind at once.
const (
	maxFileLines     = 400
	maxFunctionLines = 70
	maxPackageFiles  = 15
)

// TestSizes keeps files, functions and packages small.
func TestSizes(t *testing.T) {
	files := map[string]int{}
	for path, f := range sources(t, parser.ParseComments) {
		if ast.IsGenerated(f) {
			continue
		}
		files[filepath.Dir(path)]++
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(b), "\n")
		if len(lines)-1 > maxFileLines {
			t.Errorf("%s has %d lines, more than %d", path, len(lines)-1, maxFileLines)
		}
		base := int(f.FileStart)
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			n := strings.Count(string(b[int(fn.Pos())-base:int(fn.End())-base]), "\n") + 1
			if n > maxFunctionLines {
				t.Errorf("%s: %s has %d lines, more than %d", path, fn.Name.Name, n, maxFunctionLines)
			}
		}
	}
	for dir, n := range files {
		if n > maxPackageFiles {
			t.Errorf("%s has %d files, more than %d", dir, n, maxPackageFiles)
		}
	}
}

// TestPackageComments: each package says what it is, in one file.
func TestPackageComments(t *testing.T) {
	documented, seen := map[string]int{}, map[string]bool{}
	for path, f := range sources(t, parser.ParseComments) {
		dir := filepath.Dir(path)
		seen[dir] = true
		if f.Doc == nil {
			continue
		}
		documented[dir]++
		text := f.Doc.Text()
		if f.Name.Name == "main" {
			if !strings.HasPrefix(text, "Command "+filepath.Base(dir)+" ") {
				t.Errorf("%s: the comment must begin with %q", path, "Command "+filepath.Base(dir))
			}
		} else if !strings.HasPrefix(text, "Package "+f.Name.Name+" ") {
			t.Errorf("%s: the comment must begin with %q", path, "Package "+f.Name.Name)
		}
	}
	for dir := range seen {
		if documented[dir] != 1 {
			t.Errorf("%s has %d package comments, want 1", dir, documented[dir])
		}
	}
}

// TestNames: a folder is named for its idea, not for being a drawer.
func TestNames(t *testing.T) {
	for path := range sources(t, parser.PackageClauseOnly) {
		for _, part := range strings.Split(filepath.ToSlash(path), "/") {
			switch strings.TrimSuffix(part, ".go") {
			case "util", "utils", "common", "helper", "helpers", "manager", "misc":
				t.Errorf("%s: %q is not a name for anything", path, part)
			}
		}
		if filepath.Base(path) == "types.go" {
			t.Errorf("%s: name it for what it holds", path)
		}
	}
}
