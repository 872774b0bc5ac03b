package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
	"golang.org/x/sys/unix"

	"shisa/ctl/monitor"
	"shisa/ctl/param"
	"shisa/ctl/resource"
)

// FileName is the name of the configuration file in its directory.
const FileName = "shisa.toml"

// SizeLimit bounds a configuration file, and each script beside it, in bytes.
// A file with as many monitors as are allowed is about a fifth of it.
const SizeLimit = 16 << 20

// A Registry knows the types of monitors and resources by name. This package
// is handed one so that it does not depend on any type.
type Registry struct {
	Monitors  map[string]monitor.Type
	Resources map[string]resource.Type
}

// NewRegistry returns a registry of the types given.
func NewRegistry(monitors []monitor.Type, resources []resource.Type) Registry {
	reg := Registry{make(map[string]monitor.Type, len(monitors)), make(map[string]resource.Type, len(resources))}
	for _, t := range monitors {
		reg.Monitors[t.Name] = t
	}
	for _, t := range resources {
		reg.Resources[t.Name] = t
	}
	return reg
}

// Load reads the configuration from path, a file or the directory that holds
// [FileName], and checks the scripts beside it, too. What it returns is as
// [Parse] says. A missing file is a problem that errors.Is(problems.Err(),
// fs.ErrNotExist) finds.
func Load(path string, reg Registry) (*Model, Problems) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, FileName)
	}
	source, err := readLimited(path)
	if err != nil {
		text := err.Error()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			text = "there is no such file; `shisa config default` writes one to start from"
		case errors.Is(err, errNoFile):
			text = "not a file; name the file of a configuration, or the directory with its " + FileName
		case errors.Is(err, fs.ErrPermission):
			text = "not readable for this user; run the command as root"
		}
		return nil, Problems{{File: path, Text: text, cause: err}}
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, Problems{{File: path, Text: err.Error(), cause: err}}
	}
	return Parse(source, path, dir, reg)
}

// errNoFile says that a name stands for a device, a pipe or a directory.
var errNoFile = errors.New("not a file")

// readLimited reads a file of at most SizeLimit bytes; of a longer one it
// returns one byte more than that. A pipe that nobody writes to is not waited for.
func readLimited(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errNoFile}
	}
	return io.ReadAll(io.LimitReader(f, SizeLimit+1))
}

// Parse reads a configuration from source. Problems call it name. Relative
// paths of scripts start at dir; with an empty dir no script is looked for.
//
// All problems are reported at once. The model is nil when source is not a
// valid configuration. When source is valid, but a script or a file with a
// secret that it names is not there, Parse returns the model as well as the
// errors: such a configuration must not be applied, but a daemon that finds it
// at boot protects the machine better with it than without.
func Parse(source []byte, name, dir string, reg Registry) (*Model, Problems) {
	r := &reader{file: name, reg: reg, m: &Model{Source: name, Dir: dir, reg: reg}}
	if raw := r.decode(source); raw != nil {
		r.read(raw)
		r.checkReferences()
		r.checkFiles()
	}
	problems := r.all()
	if problems.unusable() {
		return nil, problems
	}
	return r.m, problems
}

// A reader turns one source into a model.
type reader struct {
	file     string
	reg      Registry
	root     *place
	m        *Model
	problems Problems

	found map[kind]int // problems by kind, those not kept among them

	groups, resources, monitors []*place // beside the slices of the model
}

// ProblemLimit bounds how many problems of one kind are reported. A mistake in
// a program that writes configurations may be in each of 16 384 monitors.
const ProblemLimit = 1000

// A kind of problem is what decides whether the configuration can be used.
type kind struct{ warning, outside bool }

func (r *reader) report(p Problem) {
	p.File, p.Text = r.file, shortened(p.Text)
	k := kind{p.Warning, p.outside}
	if r.found == nil {
		r.found = make(map[kind]int)
	}
	if r.found[k]++; r.found[k] <= ProblemLimit {
		r.problems = append(r.problems, p)
	}
}

func (r *reader) add(line int, key, format string, args ...any) {
	r.report(Problem{Line: line, Key: key, Text: fmt.Sprintf(format, args...)})
}

func (r *reader) warn(line int, key, format string, args ...any) {
	r.report(Problem{Line: line, Key: key, Text: fmt.Sprintf(format, args...), Warning: true})
}

// all returns the problems in order, and how many more there are.
func (r *reader) all() Problems {
	ps, more := r.problems, -len(r.problems)
	for _, n := range r.found {
		more += n
	}
	ps.sort()
	if more > 0 {
		ps = append(ps, Problem{File: r.file, Line: ps[len(ps)-1].Line, Text: fmt.Sprintf("there are %d more problems; mend these first", more), Warning: true})
	}
	return ps
}

// decode returns what the decoder makes of source, or nil after a mistake
// that leaves nothing to look at.
func (r *reader) decode(source []byte) map[string]any {
	if len(source) > SizeLimit {
		r.add(0, "", "larger than %s; move texts such as long scripts to files beside it", param.FormatSize(SizeLimit))
		return nil
	}
	if at := notUTF8(source); at >= 0 {
		r.add(1+bytes.Count(source[:at], []byte("\n")), "",
			"byte 0x%02X is not UTF-8 text; convert the file, for example with `iconv -f LATIN1 -t UTF-8`", source[at])
		return nil
	}
	text := string(source)
	s := index(text)
	if s.excess > 0 {
		r.add(s.excess, "", "nested deeper than %d, or more than %d keys in one table; no table of this format is", nestingLimit, keyLimit)
		return nil
	}
	r.root = s.root
	// Decoding into an any, not a map, saves the decoder a copy of everything.
	var raw any
	if _, err := toml.Decode(text, &raw); err != nil {
		r.report(syntax(err, s))
		return nil
	}
	table := raw.(map[string]any)
	if v, ok := table["version"].(int64); ok && v > FormatVersion {
		// What a newer format says cannot be judged: anything else would be noise.
		r.add(r.root.at("version"), "version", "%d is newer than this shisa reads (%d): upgrade shisa, or use a configuration of version %d",
			v, FormatVersion, FormatVersion)
		return nil
	}
	return table
}

// notUTF8 returns the offset of the first byte that is not part of UTF-8
// text, or -1. NUL counts as such, because it means UTF-16.
func notUTF8(source []byte) int {
	if utf8.Valid(source) {
		return bytes.IndexByte(source, 0)
	}
	for i := 0; i < len(source); {
		c, n := utf8.DecodeRune(source[i:])
		if c == 0 || c == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// A place is where a value stands in the source. The decoder keeps the
// positions of keys to itself, so this index is built beside it. There are as
// many places as keys, hence no map and no slice in a place that needs none.
type place struct {
	name  string // its key, in a table
	line  int
	items []*place // of a list, tables of a [[…]] among them

	first  *place            // the latest key of a table
	next   *place            // the key of the same table before this one
	count  int               // of keys
	byName map[string]*place // the same keys, when they are many

	implicit bool // mentioned as part of a longer key only
}

// fewKeys is up to how many keys are searched one by one.
const fewKeys = 24

// at returns the line of key in the table p, or that of the table itself when
// it does not hold the key. It works on a nil place.
func (p *place) at(key string) int {
	if c := p.child(key); c != nil {
		return c.line
	}
	if p == nil {
		return 0
	}
	return p.line
}

// child returns the place of key in the table p, or nil.
func (p *place) child(key string) *place {
	if p == nil {
		return nil
	}
	if p.byName != nil {
		return p.byName[key]
	}
	for c := p.first; c != nil; c = c.next {
		if c.name == key {
			return c
		}
	}
	return nil
}

// item returns the place of item i of the list p, or nil.
func (p *place) item(i int) *place {
	if p == nil || i >= len(p.items) {
		return nil
	}
	return p.items[i]
}

// last returns the table that [p.x] continues: p, or its last item.
func (p *place) last() *place {
	if n := len(p.items); n > 0 {
		return p.items[n-1]
	}
	return p
}

// adopt makes c a key of the table p.
func (p *place) adopt(c *place) {
	c.next, p.first = p.first, c
	p.count++
	switch {
	case p.byName != nil:
		p.byName[c.name] = c
	case p.count > fewKeys:
		p.byName = make(map[string]*place, 2*fewKeys)
		for k := p.first; k != nil; k = k.next {
			p.byName[k.name] = k
		}
	}
}

// A repeat is a key that is defined twice, which the decoder refuses without
// saying where the first one is.
type repeat struct{ line, first int }
