package clpconf

import (
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"shisa/ctl/config"
)

// ReportName is the name of the report beside an imported configuration.
const ReportName = "import-report.txt"

// Write writes the configuration, its scripts and the report into a folder,
// which is made. Files of the same names are replaced.
func (r *Result) Write(dir string) error {
	var report strings.Builder
	if err := r.WriteReport(&report); err != nil {
		return err
	}
	files := maps.Clone(r.Files)
	files[config.FileName] = File{Data: []byte(r.TOML)}
	files[ReportName] = File{Data: []byte(report.String())}
	return write(dir, files)
}

// Write writes clp.conf and the scripts into a folder, which is made.
func (s *Source) Write(dir string) error {
	files := make(map[string]File, len(s.Files))
	for name, data := range s.Files {
		files[name] = File{data, name != FileName}
	}
	return write(dir, files)
}

// write writes files; none of them can leave the folder.
func write(dir string, files map[string]File) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f := files[name]
		mode := fs.FileMode(0o600) // there may be passwords in it
		if f.Exec {
			mode = 0o755
		}
		if folder := path.Dir(name); folder != "." {
			if err := root.MkdirAll(folder, 0o755); err != nil {
				return err
			}
		}
		if err := root.WriteFile(name, f.Data, mode); err != nil {
			return err
		}
		if err := root.Chmod(name, mode); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// Names lists the files of a source.
func (s *Source) Names() iter.Seq[string] { return maps.Keys(s.Files) }

// Beside returns a reader of scripts beside the configuration in dir.
func Beside(dir string) func(name string) ([]byte, error) {
	return func(name string) ([]byte, error) { return readLimited(filepath.Join(dir, name)) }
}
