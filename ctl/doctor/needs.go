package doctor

import (
	"bufio"
	"debug/elf"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"shisa/ctl/config"
	"shisa/ctl/param"
	"shisa/ctl/recovery"
	check "shisa/hwcompat/doctor"
)

// needs is what the configuration asks of the machine.
func needs(m *config.Model, types config.Registry) check.Needs {
	n := check.Needs{Protect: m.Mode == config.Protect, Witnesses: true, StateDir: m.Store.Dir}
	if m.Keepalive.Method != "auto" { // auto wants whatever there is
		for _, method := range []string{m.Keepalive.Method, m.Keepalive.Backstop} {
			if method != "auto" && method != "none" {
				n.Engines = append(n.Engines, method)
			}
		}
		n.AnyBackstop = m.Keepalive.Backstop == "auto"
	}
	w := wanted{Needs: &n, dir: m.Dir}
	for _, r := range m.Resources {
		who := "resource " + r.Name
		n.Panic = n.Panic || r.OnStartFailure == recovery.Panic || r.OnStopFailure == recovery.Panic
		w.script(r.BeforeFinal, who)
		if t, ok := types.Resources[r.Type]; ok {
			w.programs(t.Needs, who)
			w.files(t.Params(), r.Params, who)
		}
	}
	for _, x := range m.Monitors {
		who := "monitor " + x.Name
		n.Panic = n.Panic || x.Recovery.Policy.FinalAction == recovery.Panic
		for _, script := range []string{x.Recovery.Script, x.Recovery.BeforeRestart, x.Recovery.BeforeFinal} {
			w.script(script, who)
		}
		if t, ok := types.Monitors[x.Type]; ok {
			w.programs(t.Needs, who)
			w.files(t.Params(), x.Params, who)
			w.ports(t.Params(), x.Params, who)
		}
	}
	return n
}

// wanted gathers programs, each once.
type wanted struct {
	*check.Needs
	dir string // in which relative paths of scripts start
}

// brought are the programs that stand for what a type says that it needs.
var brought = map[string]check.Program{
	"systemd": {Name: "systemctl", Package: "systemd"},
	"libvirt": {Name: "libvirtd", Package: "libvirt-daemon"},
}

func (w wanted) programs(needs []string, who string) {
	for _, name := range needs {
		if p, ok := brought[name]; ok {
			p.For = who
			w.Programs = with(w.Programs, p)
		}
	}
}

// files are the scripts among the parameters of a type.
func (w wanted) files(set *param.Set, params map[string]any, who string) {
	for _, s := range set.Specs() {
		if text, ok := params[s.Name].(string); ok && s.IsFile {
			w.script(text, who)
		}
	}
}

// ports are those that a type opens; one on the loopback interface concerns no
// other machine.
func (w wanted) ports(set *param.Set, params map[string]any, who string) {
	for _, s := range set.Specs() {
		text, ok := params[s.Name].(string)
		at, err := netip.ParseAddrPort(text)
		if ok && s.Listens != "" && err == nil { // the configuration check tells of a mistake
			w.Ports = append(w.Ports, check.Port{Proto: s.Listens, Number: int(at.Port()), Purpose: who, Outside: !at.Addr().IsLoopback()})
		}
	}
}

// script adds the interpreter that the first line of a script names (execve(2)), or
// the libraries that a program asks for.
func (w wanted) script(path, who string) {
	if path == "" {
		return
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(w.dir, path)
	}
	// What is no file is told by the configuration check; opening it could wait for ever.
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return
	}
	if name := interpreter(path); name != "" {
		w.Programs = with(w.Programs, check.Program{Name: name, For: "the script " + path + " of " + who})
	}
	for _, name := range libraries(path) {
		w.Libraries = with(w.Libraries, check.Program{Name: name, For: "the program " + path + " of " + who})
	}
}

// with adds p to a list that has none of that name.
func with(list []check.Program, p check.Program) []check.Program {
	if slices.ContainsFunc(list, func(have check.Program) bool { return have.Name == p.Name }) {
		return list
	}
	return append(list, p)
}

// libraries returns the names of the libraries with which a program has to be linked as
// it starts (ld.so(8)). None for what is no program of this machine's kind, and for one
// that says itself in which folders its libraries lie: it brings them.
func libraries(path string) []string {
	f, err := elf.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close() //nolint:errcheck // only read from
	if f.Machine != machines[runtime.GOARCH] {
		return nil
	}
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		if own, err := f.DynString(tag); err != nil || len(own) > 0 {
			return nil
		}
	}
	names, err := f.ImportedLibraries()
	if err != nil {
		return nil
	}
	return names
}

// machines are the kinds of this program, whose own kind of library is looked for.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// firstLine bounds what is read of a script: the kernel looks no further
// (BINPRM_BUF_SIZE of linux/binfmts.h).
const firstLine = 256

// interpreter returns the program that runs a script, without its folder; empty
// for what is no script or cannot be read: the configuration check tells that.
func interpreter(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close() //nolint:errcheck // only read from
	line, err := bufio.NewReader(io.LimitReader(f, firstLine)).ReadString('\n')
	rest, ok := strings.CutPrefix(line, "#!")
	if err != nil && err != io.EOF || !ok {
		return ""
	}
	words := strings.Fields(rest)
	if len(words) == 0 {
		return ""
	}
	if filepath.Base(words[0]) == "env" { // env [-S] [NAME=value ...] program
		for _, word := range words[1:] {
			if !strings.HasPrefix(word, "-") && !strings.Contains(word, "=") {
				return filepath.Base(word)
			}
		}
	}
	return filepath.Base(words[0])
}
