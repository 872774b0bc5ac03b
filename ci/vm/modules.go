package vm

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// ErrNoModule says that a kernel has no module of that name, neither as a file
// nor built in.
var ErrNoModule = errors.New("no such module")

// A module is one kernel object, unpacked.
type module struct {
	name string   // as lsmod prints it, with underscores
	deps []string // the modules it needs directly, by name
	data []byte
}

// modules finds the modules of one kernel. The distribution's packages carry no
// modules.dep (depmod writes it at installation); what a module needs is read from
// the module itself.
type modules struct {
	files   map[string]string // name → path
	builtin map[string]bool
	loaded  map[string]*module
}

// openModules indexes the modules of a kernel and modules built elsewhere, given
// as paths of .ko files, which go before the kernel's own.
func openModules(k Kernel, extra ...string) (*modules, error) {
	m := &modules{files: map[string]string{}, builtin: map[string]bool{}, loaded: map[string]*module{}}
	err := filepath.WalkDir(filepath.Join(k.ModuleDir(), "kernel"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			m.files[moduleName(path)] = path
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find the modules of %s: %w", k.Name, err)
	}
	for _, path := range extra {
		m.files[moduleName(path)] = path
	}
	list, err := os.ReadFile(filepath.Join(k.ModuleDir(), "modules.builtin"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("find the modules of %s: %w", k.Name, err)
	}
	for line := range strings.Lines(string(list)) {
		m.builtin[moduleName(strings.TrimSpace(line))] = true
	}
	return m, nil
}

// moduleName turns a path, or a name with dashes, into the module's name.
func moduleName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// closure returns the named modules and all that they need, in an order in which
// they can be loaded. What is built in is left out.
func (m *modules) closure(names ...string) ([]*module, error) {
	var order []*module
	done := map[string]bool{}
	var visit func(name string, path []string) error
	visit = func(name string, path []string) error {
		name = moduleName(name)
		if done[name] {
			return nil
		}
		done[name] = true // before its needs: a cycle ends here, and cannot be loaded anyway
		mod, err := m.load(name)
		if err != nil {
			if len(path) > 0 {
				err = fmt.Errorf("%w (needed by %s)", err, strings.Join(path, " < "))
			}
			return err
		}
		if mod == nil {
			return nil
		}
		for _, dep := range mod.deps {
			if err := visit(dep, append([]string{name}, path...)); err != nil {
				return err
			}
		}
		order = append(order, mod)
		return nil
	}
	for _, name := range names {
		if err := visit(name, nil); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// load reads a module; nil without an error means that it is built in.
func (m *modules) load(name string) (*module, error) {
	if mod, ok := m.loaded[name]; ok {
		return mod, nil
	}
	path, ok := m.files[name]
	if !ok {
		if m.builtin[name] {
			return nil, nil
		}
		return nil, fmt.Errorf("module %s: %w", name, ErrNoModule)
	}
	data, err := readModule(path)
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", name, err)
	}
	deps, err := moduleDeps(data)
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", name, err)
	}
	mod := &module{name: name, deps: deps, data: data}
	m.loaded[name] = mod
	return mod, nil
}

// readModule reads a .ko, .ko.xz or .ko.zst file.
func readModule(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	switch filepath.Ext(path) {
	case ".xz":
		r, err := xz.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	case ".zst":
		r, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	}
	return data, nil
}

// moduleDeps reads the "depends=" line of a module's .modinfo section (a list of
// NUL-terminated "key=value", include/linux/module.h).
func moduleDeps(data []byte) ([]string, error) {
	file, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	section := file.Section(".modinfo")
	if section == nil {
		return nil, errors.New("no .modinfo section")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	return parseDepends(info), nil
}

func parseDepends(modinfo []byte) []string {
	var deps []string
	for entry := range bytes.SplitSeq(modinfo, []byte{0}) {
		value, ok := strings.CutPrefix(string(entry), "depends=")
		if !ok {
			continue
		}
		for name := range strings.SplitSeq(value, ",") {
			if name != "" {
				deps = append(deps, moduleName(name))
			}
		}
	}
	return deps
}
