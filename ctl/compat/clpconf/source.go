package clpconf

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// FileName is the name of the configuration in its folder.
const FileName = "clp.conf"

// scriptDir is the folder of the scripts beside it.
const scriptDir = "scripts"

// Limits on a source.
const (
	fileLimit  = 65536     // files
	bytesLimit = 256 << 20 // bytes in all
)

// A Source is a configuration with its scripts, by names relative to its folder
// with slashes: "clp.conf", "scripts/failover1/exec/start.sh".
type Source struct {
	Name    string // for messages
	Files   map[string][]byte
	skipped map[string]string // what else there was, and why it was not read
	size    int64
	charset string // of clp.conf, once that is read
}

// Open reads a folder that holds clp.conf, such a file with the scripts beside
// it, or a zip as the web manager exports it.
func Open(name string) (*Source, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	s := &Source{Name: name, Files: map[string][]byte{}, skipped: map[string]string{}}
	switch {
	case info.IsDir():
		if err = s.folder(name, FileName); err == nil {
			err = s.beside(name)
		}
	case isZip(name):
		err = s.archive(name)
	default:
		err = s.folder(filepath.Dir(name), filepath.Base(name))
	}
	if err == nil && s.Files[FileName] == nil {
		err = fmt.Errorf("there is no %s in it", FileName)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

func isZip(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	magic := make([]byte, 4)
	_, err = io.ReadFull(f, magic)
	return err == nil && bytes.Equal(magic, []byte("PK\x03\x04"))
}

func readLimited(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return limited(f)
}

func limited(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, SizeLimit+1))
	if err == nil && len(b) > SizeLimit {
		err = fmt.Errorf("it is larger than %d MiB", SizeLimit>>20)
	}
	return b, err
}

// folder reads a configuration on disk with the scripts beside it.
func (s *Source) folder(dir, conf string) error {
	data, err := readLimited(filepath.Join(dir, conf))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // which Open reports
	}
	if err != nil {
		return err
	}
	s.takeConf(data)
	return s.scripts(filepath.Join(dir, scriptDir))
}

// beside notes what else stands in a folder.
func (s *Source) beside(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries[:min(len(entries), fileLimit)] {
		if e.Name() != FileName && e.Name() != scriptDir {
			s.skipped[s.fileName(e.Name())] = notPart
		}
	}
	return err
}

// notPart is said of what is neither clp.conf nor below scripts.
const notPart = "it is no part of a configuration"

// takeConf takes the configuration itself. What is wrong with it is for the
// import to say.
func (s *Source) takeConf(data []byte) {
	s.Files[FileName] = data
	_, s.charset, _ = decode(data)
}

// scripts reads the folder of scripts; there need not be one. Links in it are
// not followed: what is imported is in the folder.
func (s *Source) scripts(dir string) error {
	top, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return filepath.WalkDir(top, func(file string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if !e.Type().IsRegular() {
			s.skipped[scriptDir+s.fileName(strings.TrimPrefix(file, top))] = "it is no regular file, and what it leads to was not read"
			return nil
		}
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		return s.take(scriptDir+s.fileName(strings.TrimPrefix(file, top)), f)
	})
}

// fileName returns the name of a file as UTF-8. Neither disks nor archives say
// what it is written in: probably what clp.conf is, or what Windows has.
func (s *Source) fileName(raw string) string {
	if utf8.ValidString(raw) {
		return raw
	}
	for _, name := range []string{s.charset, "Shift_JIS", "EUC-JP", "GB2312"} {
		if set := charsets[strings.ToLower(name)]; set != nil {
			if text, err := decodeAs([]byte(raw), set, name); err == nil {
				return text
			}
		}
	}
	return strings.ToValidUTF8(raw, "?")
}

// take adds one file within the limits.
func (s *Source) take(name string, r io.Reader) error {
	data, err := limited(r)
	if err != nil {
		return fmt.Errorf("%s: %w", clip(name), err)
	}
	if s.size += int64(len(data)); s.size > bytesLimit || len(s.Files) >= fileLimit {
		return fmt.Errorf("more than %d files or %d MiB", fileLimit, bytesLimit>>20)
	}
	if _, twice := s.Files[name]; twice {
		return fmt.Errorf("%s stands in it twice", clip(name))
	}
	s.Files[name] = data
	return nil
}

// archive reads a zip. Its names are not believed: one that would leave the
// folder makes the whole archive suspect.
func (s *Source) archive(name string) error {
	z, err := zip.OpenReader(name)
	if err != nil {
		return err
	}
	defer z.Close()
	if len(z.File) > fileLimit {
		return fmt.Errorf("more than %d files", fileLimit)
	}
	conf, top, err := s.root(z.File)
	if err != nil || conf == nil {
		return err
	}
	if err := s.entry(FileName, conf); err != nil {
		return err
	}
	s.takeConf(s.Files[FileName])
	for _, f := range z.File {
		file, err := s.entryName(f)
		if err != nil {
			return err
		}
		file, below := strings.CutPrefix(file, top)
		switch {
		case !f.Mode().IsRegular() || f == conf:
			continue
		case !below || file != FileName && !strings.HasPrefix(file, scriptDir+"/"):
			s.skipped[file] = notPart
			continue
		}
		if err := s.entry(file, f); err != nil {
			return err
		}
	}
	return nil
}

func (s *Source) entry(name string, f *zip.File) error {
	r, err := f.Open()
	if err != nil {
		return fmt.Errorf("%s: %w", clip(name), err)
	}
	defer r.Close()
	return s.take(name, r)
}

// entryName returns the name of an entry with slashes; archives made on Windows
// have the others.
func (s *Source) entryName(f *zip.File) (string, error) {
	name := strings.TrimSuffix(strings.ReplaceAll(s.fileName(f.Name), `\`, "/"), "/")
	if name == "" {
		return "", nil
	}
	if !filepath.IsLocal(name) || path.Clean(name) != name || strings.ContainsRune(name, 0) {
		return "", fmt.Errorf("the name %q leaves the folder", clip(f.Name))
	}
	if f.Mode()&fs.ModeSymlink != 0 {
		return "", fmt.Errorf("%s is a link", clip(name))
	}
	return name, nil
}

// root finds clp.conf in an archive, and the folder that it is in: none, or one.
func (s *Source) root(files []*zip.File) (conf *zip.File, top string, err error) {
	for _, f := range files {
		name, err := s.entryName(f)
		if err != nil {
			return nil, "", err
		}
		if dir, base := path.Split(name); base == FileName && f.Mode().IsRegular() && strings.Count(dir, "/") <= 1 && (conf == nil || dir == "" && top != "") {
			conf, top = f, dir
		}
	}
	return conf, top, nil
}
