package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"shisa/ctl/param"
)

// A secret is written as a reference to where it is kept: "file:PATH" or
// "env:NAME", in a file also { file = "PATH" } or { env = "NAME" }. The model
// holds the reference, so that nothing that shows or compares models can leak
// it; [Reveal] follows it when a monitor or resource is built.
const (
	fileSecret = "file:"
	envSecret  = "env:"
)

// secretLimit bounds a file with a secret in bytes.
const secretLimit = 64 << 10

// resolveTables turns the table form of references to secrets into text.
func resolveTables(set *param.Set, raw map[string]any) {
	for _, sp := range set.Specs() {
		table, ok := raw[sp.Name].(map[string]any)
		if !ok || !sp.IsSecret || len(table) != 1 {
			continue
		}
		if path, ok := table["file"].(string); ok {
			raw[sp.Name] = fileSecret + path
		} else if name, ok := table["env"].(string); ok {
			raw[sp.Name] = envSecret + name
		}
	}
}

// Reveal returns params, which belong to set, with the secrets in place of
// the references to them. Relative paths start at dir. A line end after the
// secret does not count.
func Reveal(set *param.Set, params map[string]any, dir string) (map[string]any, error) {
	out := maps.Clone(params)
	for _, sp := range set.Specs() {
		text, ok := params[sp.Name].(string)
		if !ok || !sp.IsSecret {
			continue
		}
		secret, err := reveal(text, dir)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", sp.Name, err)
		}
		out[sp.Name] = secret
	}
	return out, nil
}

func reveal(text, dir string) (string, error) {
	if name, ok := strings.CutPrefix(text, envSecret); ok {
		v, ok := os.LookupEnv(name)
		if !ok {
			return "", fmt.Errorf("environment variable %s is not set; set it for the service", name)
		}
		return v, nil
	}
	path, ok := strings.CutPrefix(text, fileSecret)
	if !ok {
		return text, nil
	}
	data, err := readLimited(beside(dir, path))
	if err != nil {
		return "", fmt.Errorf("read the secret: %w", err)
	}
	if len(data) > secretLimit {
		return "", fmt.Errorf("read the secret: %s is larger than %s", path, param.FormatSize(secretLimit))
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}

func isReference(text string) bool {
	return strings.HasPrefix(text, fileSecret) || strings.HasPrefix(text, envSecret)
}

func beside(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// checkFiles looks at the files that the configuration names.
func (r *reader) checkFiles() {
	ofResource, ofMonitor := map[string][]*param.Spec{}, map[string][]*param.Spec{}
	for name, t := range r.reg.Resources {
		ofResource[name] = filed(t.Params())
	}
	for name, t := range r.reg.Monitors {
		ofMonitor[name] = filed(t.Params())
	}
	if path := r.m.Reboot.Blocker; path != "" {
		r.checkFile(path, r.root.child("reboot").at("blocker"), "reboot.blocker")
	}
	for i, res := range r.m.Resources {
		if res.BeforeFinal != "" {
			r.checkFile(res.BeforeFinal, r.resources[i].at("before_final"), label(resourceTable, res.Name, i)+".before_final")
		}
		r.checkParams(ofResource[res.Type], res.Params, r.resources[i], resourceTable, res.Name, i)
	}
	rec := newRecoveryShape()
	scripts := filed(&rec.set)
	for i := range r.m.Monitors {
		m, at := &r.m.Monitors[i], r.monitors[i]
		r.checkParams(ofMonitor[m.Type], m.Params, at, monitorTable, m.Name, i)
		where := at.child(recoveryTable)
		if where == nil {
			continue // it has no scripts
		}
		rec.r = m.Recovery
		for _, sp := range scripts {
			if path := text(sp.Value()); path != "" {
				r.checkFile(path, where.at(sp.Name), label(monitorTable, m.Name, i)+"."+recoveryTable+"."+sp.Name)
			}
		}
	}
}

// filed returns the parameters that name files.
func filed(set *param.Set) []*param.Spec {
	return slices.DeleteFunc(slices.Clone(set.Specs()), func(sp *param.Spec) bool { return !sp.IsFile && !sp.IsSecret })
}

func (r *reader) checkParams(specs []*param.Spec, params map[string]any, at *place, kind, name string, i int) {
	for _, sp := range specs {
		value := text(params[sp.Name])
		if value == "" {
			continue
		}
		line, key := at.at(sp.Name), label(kind, name, i)+"."+sp.Name
		if sp.IsSecret {
			r.checkSecret(value, line, key)
		} else {
			r.checkFile(value, line, key)
		}
	}
}

// local returns where a file stands that belongs to the configuration, and
// false for one elsewhere. Those are left alone: they may lie on what is
// mounted later, or on a file server that hangs, and reading a configuration
// must neither fail nor wait for that.
func (r *reader) local(path string) (string, bool) {
	if r.m.Dir == "" {
		return "", false
	}
	path = beside(r.m.Dir, path)
	rel, err := filepath.Rel(r.m.Dir, path)
	return path, err == nil && filepath.IsLocal(rel)
}

func (r *reader) checkFile(path string, line int, key string) {
	if !filepath.IsAbs(path) && !filepath.IsLocal(path) {
		r.add(line, key, "%q leads out of the directory of the configuration; write an absolute path, or move the file", path)
		return
	}
	full, ok := r.local(path)
	if !ok {
		return
	}
	info, err := os.Stat(full)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.missing(line, key, err, "there is no %s; create it, or give the right name", full)
	case err != nil:
		r.missing(line, key, err, "%v", err)
	case !info.Mode().IsRegular():
		r.missing(line, key, nil, "%s is not a file", full)
	case info.Mode()&0o111 == 0:
		r.warn(line, key, "%s is not executable; run chmod +x on it", full)
	}
}

func (r *reader) checkSecret(text string, line int, key string) {
	if !isReference(text) {
		r.warn(line, key, `the secret itself stands here; move it to a file of its own and write "file:PATH"`)
		return
	}
	path, isFile := strings.CutPrefix(text, fileSecret)
	full, ok := r.local(path)
	if !isFile || !ok {
		return
	}
	info, err := os.Stat(full)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.missing(line, key, err, "there is no %s; create it with the secret as its only line", full)
	case err != nil:
		r.missing(line, key, err, "%v", err)
	case info.Mode().Perm()&0o044 != 0:
		r.warn(line, key, "%s is readable by others; run chmod 600 on it", full)
	}
}

// missing reports what is wrong outside of the text.
func (r *reader) missing(line int, key string, cause error, format string, args ...any) {
	r.report(Problem{Line: line, Key: key, Text: fmt.Sprintf(format, args...), cause: cause, outside: true})
}
