package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"shisa/ctl/param"
)

// PreviousName is the name under which [Install] keeps the configuration file
// that it replaces.
const PreviousName = FileName + ".previous"

// installLimit bounds the number of files of a configuration. Each monitor may
// have a few scripts.
const installLimit = 4 * MaxMonitors

// Install replaces the configuration in the directory to by that in from: a
// directory with [FileName] and scripts, or just the file. The caller has
// loaded from without errors. Scripts that only to has are left in place, since
// what runs at the moment may need them.
//
// Nothing is done when from is to. Two installations at once are refused.
//
// Whoever reads to meanwhile finds either the old file or the new one, whole:
// every file is written beside its final place and synced before the first is
// renamed, and FileName is renamed last. After an error before that, nothing
// has changed.
func Install(from, to string) error {
	files, err := candidates(from)
	if err != nil {
		return fmt.Errorf("read the new configuration: %w", err)
	}
	if sameFile(files[len(files)-1].path, filepath.Join(to, FileName)) {
		return nil
	}
	in := installation{dir: filepath.Clean(to)}
	err = in.run(files)
	switch {
	case err == nil:
		return nil
	case in.done:
		return fmt.Errorf("install the configuration in %s: %w; the new one is in place, but may be lost when the power fails", to, err)
	}
	in.undo()
	return fmt.Errorf("install the configuration in %s: %w%s; the old one still holds", to, err, advice(err))
}

func sameFile(a, b string) bool {
	ia, errA := os.Stat(a)
	ib, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(ia, ib)
}

// advice ends an error with what to do.
func advice(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "; make room on that file system"
	case errors.Is(err, syscall.EROFS):
		return "; mount that file system writable"
	case errors.Is(err, fs.ErrPermission):
		return "; run the command as root"
	}
	return ""
}

// A candidate is a file to install; name is relative to the directory.
type candidate struct{ name, path string }

// candidates lists the files below from, scripts first.
func candidates(from string) ([]candidate, error) {
	info, err := os.Stat(from)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []candidate{{FileName, from}}, nil
	}
	main := candidate{FileName, filepath.Join(from, FileName)}
	if _, err := os.Stat(main.path); err != nil {
		return nil, err
	}
	var files []candidate
	err = filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == from {
			return err
		}
		name, _ := filepath.Rel(from, path)
		switch {
		case strings.HasPrefix(d.Name(), "."): // an editor's, a version control's, or a leftover of ours
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case d.IsDir(), name == FileName, name == PreviousName:
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is neither a file nor a directory; replace it by a file", path)
		case len(files) == installLimit:
			return fmt.Errorf("%s holds more than %d files", from, installLimit)
		}
		files = append(files, candidate{name, path})
		return nil
	})
	return append(files, main), err
}

// A staged file is written in full, but does not have its name yet.
type staged struct{ temp, final string }

// An installation is the work on one directory.
type installation struct {
	dir     string
	waiting []staged // not yet renamed
	touched []string // directories with new names
	done    bool     // the new file has its name
}

func (in *installation) run(files []candidate) error {
	if err := os.MkdirAll(in.dir, 0o755); err != nil {
		return err
	}
	unlock, err := in.lock()
	if err != nil {
		return err
	}
	defer unlock()
	for _, f := range files {
		data, mode, err := readFile(f.path)
		if err != nil {
			return err
		}
		if f.name == FileName {
			if err := in.keepPrevious(); err != nil {
				return err
			}
			mode = modeOf(filepath.Join(in.dir, FileName), 0o600)
		}
		if err := in.stage(data, f.name, mode); err != nil {
			return err
		}
	}
	return in.rename()
}

// lock takes the directory for this installation and clears away what one that
// was killed has left.
func (in *installation) lock() (unlock func(), err error) {
	d, err := os.Open(in.dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		d.Close()
		return nil, fmt.Errorf("another installation is under way: %w", err)
	}
	leftovers, _ := filepath.Glob(filepath.Join(in.dir, tempPattern))
	for _, path := range leftovers {
		_ = os.Remove(path)
	}
	return func() { d.Close() }, nil
}

// tempPattern names files that are not yet in use.
const tempPattern = ".shisa-new-*"

// readFile returns the content of a file to install and its permissions.
func readFile(path string) ([]byte, fs.FileMode, error) {
	data, err := readLimited(path)
	if err != nil {
		return nil, 0, err
	}
	if len(data) > SizeLimit {
		return nil, 0, fmt.Errorf("%s is larger than %s", path, param.FormatSize(SizeLimit))
	}
	return data, modeOf(path, 0o600), nil
}

// modeOf returns the permissions of path, or mode when there is no such file.
func modeOf(path string, mode fs.FileMode) fs.FileMode {
	if info, err := os.Stat(path); err == nil {
		return info.Mode().Perm()
	}
	return mode
}

// keepPrevious stages a copy of the file that is to be replaced.
func (in *installation) keepPrevious() error {
	data, mode, err := readFile(filepath.Join(in.dir, FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return in.stage(data, PreviousName, mode)
}

// stage writes data beside its final place and waits until it is on disk.
func (in *installation) stage(data []byte, name string, mode fs.FileMode) error {
	final := filepath.Join(in.dir, name)
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(final), tempPattern)
	if err != nil {
		return err
	}
	in.waiting = append(in.waiting, staged{f.Name(), final})
	in.touch(filepath.Dir(final))
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// rename gives the staged files their names, in the order they were staged,
// and makes the names last.
func (in *installation) rename() error {
	for len(in.waiting) > 0 {
		s := in.waiting[0]
		if len(in.waiting) == 1 {
			// The file itself comes last: its scripts must be there for good before it.
			if err := in.sync(); err != nil {
				return err
			}
		}
		if err := os.Rename(s.temp, s.final); err != nil {
			return err
		}
		in.waiting = in.waiting[1:]
	}
	in.done = true
	return in.sync()
}

// touch notes that dir gets a new name, and those above it up to the
// directory of the configuration: they may be new themselves.
func (in *installation) touch(dir string) {
	for ; !slices.Contains(in.touched, dir); dir = filepath.Dir(dir) {
		in.touched = append(in.touched, dir)
		if dir == in.dir {
			return
		}
	}
}

func (in *installation) sync() error {
	for _, dir := range in.touched {
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// undo removes what has been written, but not put to use.
func (in *installation) undo() {
	for _, s := range in.waiting {
		// Nothing can be done about an error, and a leftover does no harm:
		// names that begin with a dot are never installed or read.
		_ = os.Remove(s.temp)
	}
}
