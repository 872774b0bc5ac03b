// Package doc is the documentation that the programs carry with them: the
// chapters of the manual, and templates of scripts. The chapters that say what
// the code says are written from it.
package doc

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"shisa/ctl/param"
	"shisa/docs"
)

// order is that of the chapters; others follow by name.
var order = []string{
	"model", "configuration", "install", "safety", "operation", "recipes", "decisions", "groups", "module", "migration", "event-codes", "findings", "api",
}

// A Topic is a chapter of the manual.
type Topic struct {
	Name  string // "model"
	Title string // its heading
}

// Topics returns the chapters in reading order.
func Topics() []Topic {
	files, err := fs.Glob(docs.Manual, "manual/*.md")
	if err != nil {
		return nil // the pattern is well formed
	}
	var all []Topic
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".md")
		text, err := docs.Manual.ReadFile(file)
		if err != nil {
			continue // it stands in the list
		}
		line, _, _ := bytes.Cut(text, []byte("\n"))
		all = append(all, Topic{name, strings.TrimPrefix(string(line), "# ")})
	}
	rank := func(t Topic) int {
		if i := slices.Index(order, t.Name); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(all, func(a, b Topic) int { return cmp.Compare(rank(a), rank(b)) })
	return all
}

// Read returns a chapter in Markdown.
func Read(name string) (string, error) {
	text, err := docs.Manual.ReadFile("manual/" + name + ".md")
	if err != nil {
		var names []string
		for _, t := range Topics() {
			names = append(names, t.Name)
		}
		return "", unknown("chapter", name, names)
	}
	return string(text), nil
}

//go:embed templates
var templates embed.FS

// A Template is a script to begin with.
type Template struct {
	Name string // of the file
	For  string // what it is for: a type of resource or monitor, or "recovery"
	Text []byte
}

// Templates lists the templates for a use, or all of them for "".
func Templates(use string) ([]Template, error) {
	uses := []struct{ name, use string }{
		{"start.sh", "exec"}, {"stop.sh", "exec"}, {"genw.sh", "custom"}, {"preaction.sh", "recovery"},
	}
	var found []Template
	var known []string
	for _, u := range uses {
		known = append(known, u.use)
		if use != "" && use != u.use {
			continue
		}
		text, err := templates.ReadFile("templates/" + u.name)
		if err != nil {
			return nil, err
		}
		found = append(found, Template{u.name, u.use, text})
	}
	if len(found) == 0 {
		return nil, unknown("template", use, slices.Compact(known))
	}
	return found, nil
}

func unknown(kind, name string, known []string) error {
	hint := "; there are: " + strings.Join(known, ", ")
	if near := param.Nearest(name, known); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return fmt.Errorf("no %s %q%s", kind, name, hint)
}
