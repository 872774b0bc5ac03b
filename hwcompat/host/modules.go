package host

import (
	"io/fs"
	"path"
	"strings"
)

// A ModuleState is where a module stands.
type ModuleState string

// The states. Static means part of the kernel image: it is there, cannot be
// unloaded, and takes parameters from the kernel command line only.
const (
	Loaded   ModuleState = "loaded"
	Loadable ModuleState = "loadable"
	Static   ModuleState = "static"
	Absent   ModuleState = "absent"
)

// Modules is what one kernel release has.
type Modules struct {
	Release  string
	Tree     string                 // folder of its modules; empty: there is none
	States   map[string]ModuleState // by name, with '_' for '-'; what is missing is Absent
	Blocked  map[string]string      // name → file of modprobe.d that keeps it from being loaded
	Autoload map[string]string      // name → file of modules-load.d that loads it at boot
}

// ModulesOf returns the modules of a kernel other than the running one. None
// of them counts as loaded.
func ModulesOf(fsys fs.FS, release string) Modules {
	v := &view{fsys: fsys, unread: map[string]string{}}
	return v.modules(release, false)
}

// State returns where the module of that name stands. '-' and '_' are the same
// in module names.
func (m Modules) State(name string) ModuleState {
	if s, ok := m.States[moduleName(name)]; ok {
		return s
	}
	return Absent
}

// Has reports whether the module is there in any way.
func (m Modules) Has(name string) bool { return m.State(name) != Absent }

func (v *view) modules(release string, running bool) Modules {
	m := Modules{
		Release:  release,
		States:   map[string]ModuleState{},
		Blocked:  v.modprobe(),
		Autoload: v.autoload(),
	}
	if release != "" {
		m.Tree = v.first("lib/modules/"+release, "usr/lib/modules/"+release)
	}
	if m.Tree != "" {
		for _, line := range v.lines(path.Join(m.Tree, "modules.dep")) {
			file, _, _ := strings.Cut(line, ":")
			m.States[moduleName(file)] = Loadable
		}
		for _, line := range v.lines(path.Join(m.Tree, "modules.builtin")) {
			m.States[moduleName(line)] = Static
		}
	}
	if running {
		for _, line := range v.lines("proc/modules") {
			name, _, _ := strings.Cut(line, " ")
			m.States[moduleName(name)] = Loaded
		}
	}
	return m
}

// moduleName makes the name as the kernel shows it from a path or a name.
func moduleName(s string) string {
	s = path.Base(s)
	if i := strings.Index(s, ".ko"); i >= 0 {
		s = s[:i]
	}
	return strings.ReplaceAll(s, "-", "_")
}

// modprobe collects the lines "install NAME /bin/false" of modprobe.d(5), which
// keep even an explicit modprobe from loading. A blacklist line does not: it
// only stops loading by alias.
func (v *view) modprobe() map[string]string {
	blocked := map[string]string{}
	for _, dir := range []string{"lib/modprobe.d", "usr/lib/modprobe.d", "run/modprobe.d", "etc/modprobe.d"} {
		for _, n := range v.list(dir) {
			if path.Ext(n) != ".conf" {
				continue
			}
			file := path.Join(dir, n)
			for _, line := range v.lines(file) {
				w := strings.Fields(line)
				if len(w) == 3 && w[0] == "install" && (path.Base(w[2]) == "true" || path.Base(w[2]) == "false") {
					blocked[moduleName(w[1])] = "/" + file
				}
			}
		}
	}
	return blocked
}

func (v *view) autoload() map[string]string {
	auto := map[string]string{}
	for _, dir := range []string{"usr/lib/modules-load.d", "lib/modules-load.d", "run/modules-load.d", "etc/modules-load.d"} {
		for _, n := range v.list(dir) {
			if path.Ext(n) == ".conf" {
				for _, line := range v.lines(path.Join(dir, n)) {
					auto[moduleName(line)] = "/" + path.Join(dir, n)
				}
			}
		}
	}
	for _, line := range v.lines("etc/modules") {
		auto[moduleName(strings.Fields(line)[0])] = "/etc/modules"
	}
	return auto
}
