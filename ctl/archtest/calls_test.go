package archtest

import (
	"go/ast"
	"strings"
	"testing"
)

// A ban says that a call may stand only in some packages, and why.
type ban struct {
	pkg, name string   // as it is written: os.Exit
	only      []string // packages that may
	why       string
}

var bans = []ban{
	{"os", "Exit", []string{"cmd/*", "ci/*", "packaging/*", "ctl/keeper/*", "bpf/*", "kmod/*", "hwcompat/*", "ctl/cli", "ctl/compat"}, "only a command ends the process"},
	{"time", "NewTicker", []string{"ci/*"}, "a ticker catches up with what it missed"},
	{"time", "Tick", []string{"ci/*"}, "a ticker catches up with what it missed"},
	{"unix", "Reboot", []string{"ctl/recovery/actions", "ci/*"}, "one place takes the machine down"},
	{"syscall", "Reboot", []string{"ci/*"}, "one place takes the machine down"},
	{"unix", "Kill", []string{"ctl/run", "ci/*"}, "a stored pid is never signalled: use a pidfd"},
	{"syscall", "Kill", []string{"ctl/run", "ci/*"}, "a stored pid is never signalled: use a pidfd"},
	{"os", "FindProcess", []string{"ci/*"}, "a stored pid is never signalled: use a pidfd"},
}

// pure are packages that must not look at a clock, though they may name
// durations.
var pure = []string{"ctl/recovery", "ctl/decide"}

// TestCalls looks at every call of the module.
func TestCalls(t *testing.T) {
	for path, f := range sources(t, 0) {
		from := packageOf(t, path)
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := sel.X.(*ast.Ident); ok {
				checkCall(t, path, from, pkg.Name, sel.Sel.Name)
			}
			return true
		})
	}
}

func checkCall(t *testing.T, path, from, pkg, name string) {
	t.Helper()
	for _, b := range bans {
		if b.pkg == pkg && b.name == name && !allowed(b.only, from) {
			t.Errorf("%s calls %s.%s: %s", path, pkg, name, b.why)
		}
	}
	if pkg == "time" && allowed(pure, from) {
		switch name {
		case "Now", "Since", "Until", "After", "Sleep", "NewTimer", "AfterFunc":
			t.Errorf("%s calls time.%s: it is a pure decider, time arrives with its input", path, name)
		}
	}
}

func allowed(patterns []string, pkg string) bool {
	for _, p := range patterns {
		if match(p, pkg) {
			return true
		}
	}
	return false
}

// TestTrigger: the file that takes the machine down is written in one place.
func TestTrigger(t *testing.T) {
	for path, f := range sources(t, 0) {
		from := packageOf(t, path)
		if from == "ctl/recovery/actions" || strings.HasPrefix(from, "ci/") {
			continue
		}
		for _, d := range f.Decls {
			ast.Inspect(d, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok && strings.Contains(l.Value, "sysrq-trigger") {
					t.Errorf("%s names sysrq-trigger: only ctl/recovery/actions may", path)
				}
				return true
			})
		}
	}
}
