package archtest

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"shisa/ctl/event"
)

var placeholder = regexp.MustCompile(`\{([a-z_]+)\}`)

// TestFix051EveryPlaceholderIsFilled: whoever makes an event gives it a value for
// each placeholder of its text. (Two messages of the original did not name their
// monitor.) What comes from the subject needs no value.
func TestFix051EveryPlaceholderIsFilled(t *testing.T) {
	texts := map[string]string{} // of the definitions, by the name of their variable
	for path, f := range sources(t, 0) {
		if packageOf(t, path) == "ctl/event" {
			definitions(f, texts)
		}
	}
	if len(texts) != len(event.All()) {
		t.Fatalf("%d definitions were found, there are %d", len(texts), len(event.All()))
	}
	calls := 0
	for path, f := range sources(t, 0) {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || call.Ellipsis != token.NoPos {
				return true
			}
			name, pairs := made(call)
			text, ok := texts[name]
			if !ok {
				return true
			}
			calls++
			var given []string
			for i := 0; i < len(pairs); i += 2 {
				given = append(given, literal(pairs[i]))
			}
			for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
				if key := m[1]; key != "name" && key != "subject" && !slices.Contains(given, key) {
					t.Errorf("%s: event.%s is made without a value for {%s}", path, name, key)
				}
			}
			return true
		})
	}
	if calls < len(texts) {
		t.Errorf("only %d events are made, of %d that are defined", calls, len(texts))
	}
}

// made returns which event a call makes, by event.X.New(subject, pairs…) or
// emit(event.X, subject, pairs…), and from which keys and values.
func made(call *ast.CallExpr) (name string, pairs []ast.Expr) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	switch {
	case !ok:
		return "", nil
	case sel.Sel.Name == "New" && len(call.Args) >= 1:
		return definition(sel.X), call.Args[1:]
	case sel.Sel.Name == "emit" && len(call.Args) >= 2:
		return definition(call.Args[0]), call.Args[2:]
	}
	return "", nil
}

// definition returns X of event.X.
func definition(e ast.Expr) string {
	if sel, ok := e.(*ast.SelectorExpr); ok {
		if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "event" {
			return sel.Sel.Name
		}
	}
	return ""
}

// definitions notes the variables that define(code, …, text) sets in a file.
func definitions(f *ast.File, texts map[string]string) {
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Names) != 1 || len(spec.Values) != 1 {
			return true
		}
		ast.Inspect(spec.Values[0], func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if id, ok := call.Fun.(*ast.Ident); ok && id.Name == "define" {
				texts[spec.Names[0].Name] = literal(call.Args[len(call.Args)-1])
			}
			return true
		})
		return true
	})
}

// literal returns the text of a literal, or of several that are joined.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value) // no literal of a source that compiles fails
		return text
	case *ast.BinaryExpr:
		return strings.Join([]string{literal(e.X), literal(e.Y)}, "")
	}
	return ""
}
