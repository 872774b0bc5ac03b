// Package paramtest holds the tests of what every declared type of thing, be it a
// monitor or a resource, must say of itself and of its parameters.
package paramtest

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"shisa/ctl/param"
)

// A Type is what such types have in common.
type Type interface {
	Params() *param.Set
	Check(raw map[string]any, known ...string) []param.Mistake
	Markdown(w io.Writer)
}

// A Declaration is how a type declares itself.
type Declaration struct {
	Name, Title, Doc string
	Example          map[string]any
	Common           []string // keys that all of its kind have; a parameter would hide them
}

var nameRx = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// Check checks the declaration d of typ.
func Check(t *testing.T, typ Type, d Declaration) {
	t.Helper()
	if !nameRx.MatchString(d.Name) {
		t.Errorf("name %q does not match %v", d.Name, nameRx)
	}
	if d.Title == "" || !strings.Contains(d.Doc, ".") {
		t.Error("there must be a title, and a doc that begins with a sentence")
	}
	seen := map[string]bool{}
	for _, sp := range typ.Params().Specs() {
		switch {
		case !nameRx.MatchString(sp.Name) || seen[sp.Name]:
			t.Errorf("parameter name %q is malformed or repeated", sp.Name)
		case slices.Contains(d.Common, sp.Name):
			t.Errorf("parameter %q hides a key that all of this kind have", sp.Name)
		case !strings.HasSuffix(sp.Help, "."):
			t.Errorf("%s: help must be a sentence that ends in a full stop", sp.Name)
		}
		seen[sp.Name] = true
	}
	for _, m := range typ.Check(d.Example) {
		t.Errorf("example: %v", m)
	}
	var page strings.Builder
	typ.Markdown(&page)
	if !strings.Contains(page.String(), d.Title) {
		t.Error("the reference page does not show the title")
	}
}
