package clpconf

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"shisa/ctl/param"
)

// scripts takes over the files that an object names.
func (i *importer) scripts(t *table, n *Node, dir folder, specs []*param.Spec) {
	for _, s := range specs {
		leaf := i.find(n, s.Alias)
		if _, looked := i.fates[leaf]; s.IsFile && s.Alias != "" && !looked {
			i.script(t, s.Name, leaf, dir)
		}
	}
}

// beforeFinal takes over the script before a final action. The original has one
// for a start and one for a stop that failed, and a switch for each.
func (i *importer) beforeFinal(t *table, n *Node, dir folder) {
	for _, step := range []string{"act", "deact"} {
		leaf, use := i.find(n, step+"/preaction/path"), i.find(n, step+"/preaction/use")
		was := t.get("before_final")
		switch {
		case leaf == nil || leaf.Text == "":
		case use != nil && use.Text != "1":
			i.done(leaf, NotApplicable, t.label+".before_final", "it is named, but not used")
			i.done(use, Mapped, t.label+".before_final", "none")
		case was != nil && was.source.Text != leaf.Text:
			i.done(leaf, Unsupported, t.label+".before_final", "there is one script for both")
			i.note(Attention, leaf, t.label+".before_final", "%s runs before the final action of a stop that failed, too: it finds out which from CLP_FACTOR", clip(was.source.Text))
		default:
			i.script(t, "before_final", leaf, dir)
			i.done(use, Mapped, t.label+".before_final", "%s", clip(leaf.Text))
		}
	}
}

// A folder is where the scripts of an object are: with the original's names in
// the source, with ours in the result.
type folder struct{ theirs, ours string }

// folder returns the folder of an object, which begin has named, below another.
func (i *importer) folder(kind string, n *Node, theirs, ours string) folder {
	f := folder{path.Join(scriptDir, theirs, n.Key), path.Join(scriptDir, ours, i.kind(kind).byNode[n])}
	i.folders = append(i.folders, f)
	return f
}

// folderOf returns the folder of the object that a script belongs to; empty: it
// is in none.
func folderOf(file string) string {
	parts := strings.SplitN(path.Clean(file), "/", 4)
	if len(parts) < 4 || parts[0] != scriptDir {
		return ""
	}
	return path.Join(parts[:3]...)
}

// script takes over one file. A relative path starts at the object's own folder.
func (i *importer) script(t *table, name string, leaf *Node, dir folder) {
	switch {
	case leaf == nil:
		return
	case leaf.Text == "":
		i.done(leaf, Mapped, t.label+"."+name, "empty")
		return
	case filepath.IsAbs(leaf.Text):
		i.take(t, name, param.Literal(leaf.Text), leaf)
		return
	}
	file := path.Join(dir.theirs, leaf.Text)
	if !filepath.IsLocal(file) || !strings.HasPrefix(file, dir.theirs+"/") || strings.Count(dir.theirs, "/") != 2 || !plainName(file) {
		i.done(leaf, Invalid, t.label+"."+name, "this path leaves the folder of the scripts")
		return
	}
	ours := path.Join(dir.ours, strings.TrimPrefix(file, dir.theirs+"/"))
	i.keep(t, leaf, name, file, ours)
	i.take(t, name, param.Literal(ours), leaf)
}

// plainName reports whether a name can stay what it is in our configuration.
func plainName(file string) bool {
	return !strings.ContainsFunc(file, func(r rune) bool { return r < ' ' || r == '\\' })
}

// keep adds a script to the files of the result, as ours. One that is missing is
// replaced by one that fails and says why: what must run must not be forgotten.
// Its exit status is that of a command that is not there, with which a monitor
// could not look, and so recovers nothing.
func (i *importer) keep(t *table, near *Node, name, file, ours string) {
	if _, has := i.files[ours]; has {
		return
	}
	data, has := i.source.Files[file]
	if !has {
		i.note(Attention, near, t.label+"."+name, "%s was not with the configuration: write it; what stands there fails", clip(file))
		data = fmt.Appendf(nil, "#!/bin/sh\n# %s was not with the configuration that was imported.\n"+
			"echo \"$0 was not with the imported configuration: write it\" >&2\nexit 127\n", path.Base(file))
	}
	data, changed := unixLines(data)
	if changed {
		i.note(Implied, near, t.label+"."+name, "%s: its lines ended as on Windows, with which it does not run here", clip(file))
	}
	i.kept[file] = true
	i.files[ours] = File{data, true}
}

// unixLines ends the lines of a script as Linux wants them.
func unixLines(data []byte) (script []byte, changed bool) {
	first, _, _ := bytes.Cut(data, []byte("\n"))
	if !bytes.HasPrefix(first, []byte("#!")) || !bytes.HasSuffix(first, []byte("\r")) {
		return data, false
	}
	return bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), true
}

// otherFiles takes over what no element names but stands in the folder of a
// script, which may need it there.
func (i *importer) otherFiles() {
	for _, file := range slices.Sorted(maps.Keys(i.source.skipped)) {
		i.extra = append(i.extra, Item{Path: clipLong(file), Outcome: NotApplicable, Text: i.source.skipped[file]})
	}
	for _, file := range slices.Sorted(maps.Keys(i.source.Files)) {
		if file == FileName || i.kept[file] {
			continue
		}
		item := Item{Path: clipLong(file), Outcome: NotApplicable, Text: "it belongs to nothing that is imported"}
		at := slices.IndexFunc(i.folders, func(f folder) bool { return f.theirs == folderOf(file) })
		switch {
		case at < 0:
		case !plainName(file):
			item.Outcome, item.Text = Attention, "its name cannot be taken over"
		default:
			ours := i.folders[at].ours + strings.TrimPrefix(file, i.folders[at].theirs)
			data, _ := unixLines(i.source.Files[file])
			i.files[ours] = File{data, true}
			item.Outcome, item.Key, item.Text = Mapped, ours, "it stands beside a script"
		}
		i.extra = append(i.extra, item)
	}
}

// A Folder has the scripts of a configuration of ours, by names below it with
// slashes.
type Folder struct {
	Read func(name string) ([]byte, error)
	List func(dir string) ([]string, error) // the files below dir; nil: there are no others than those read
}

// Beside is the folder dir, in which a configuration is.
func Beside(dir string) Folder {
	return Folder{
		Read: func(name string) ([]byte, error) { return readLimited(filepath.Join(dir, name)) },
		List: func(sub string) (names []string, err error) {
			err = fs.WalkDir(os.DirFS(dir), sub, func(name string, e fs.DirEntry, err error) error {
				if err == nil && e.Type().IsRegular() {
					names = append(names, name)
				}
				return err
			})
			return names, err
		},
	}
}

// copyFiles adds to a source the scripts that files names, as name in the source
// → name in from, and what stands beside them.
func (s *Source) copyFiles(files map[string]string, from Folder) error {
	all := maps.Clone(files)
	for to, name := range files {
		theirs, ours := folderOf(to), folderOf(name)
		if ours == "" || from.List == nil {
			continue
		}
		others, err := from.List(ours)
		if err != nil {
			return fmt.Errorf("export %s: %w", ours, err)
		}
		for _, other := range others {
			if to := theirs + strings.TrimPrefix(other, ours); all[to] == "" {
				all[to] = other
			}
		}
	}
	for _, to := range slices.Sorted(maps.Keys(all)) {
		data, err := from.Read(all[to])
		if err == nil {
			err = s.take(to, bytes.NewReader(data))
		}
		if err != nil {
			return fmt.Errorf("export %s: %w", all[to], err)
		}
	}
	return nil
}
