package main

import (
	"archive/tar"
	"cmp"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A file is one entry of a package. Exactly one of data, link and dir says
// what it is; an empty data is an empty file.
type file struct {
	path string // absolute
	mode int64
	data []byte
	link string // symbolic link to here
	dir  bool   // a folder of its own; those on the way to a file need not be named
	conf bool   // belongs to the administrator once installed
}

// sorted orders files by path and puts every folder on the way before what is
// in it, each once.
func sorted(files []file) []file {
	all := slices.Clone(files)
	have := map[string]bool{"/": true}
	for _, f := range files {
		have[f.path] = true
	}
	for _, f := range files {
		for dir := path.Dir(f.path); !have[dir]; dir = path.Dir(dir) {
			have[dir] = true
			all = append(all, file{path: dir, mode: 0o755, dir: true})
		}
	}
	slices.SortFunc(all, func(a, b file) int { return cmp.Compare(a.path, b.path) })
	return all
}

// writeTar writes files as root's, all of one age, with prefix before each
// path.
func writeTar(w io.Writer, prefix string, files []file, epoch int64) error {
	t := tar.NewWriter(w)
	for _, f := range files {
		h := &tar.Header{
			Name: prefix + strings.TrimPrefix(f.path, "/"), Mode: f.mode, Size: int64(len(f.data)),
			Uname: "root", Gname: "root", ModTime: time.Unix(epoch, 0), Typeflag: tar.TypeReg, Format: tar.FormatGNU,
		}
		switch {
		case f.dir:
			h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		case f.link != "":
			h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.link, 0o777
		}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(f.data); err != nil {
			return err
		}
	}
	return t.Close()
}

// stageTree lays files out below root, which it empties first.
func stageTree(root string, files []file, epoch int64) error {
	if err := os.RemoveAll(root); err != nil {
		return err
	}
	for _, f := range sorted(files) {
		if err := stageFile(filepath.Join(root, f.path), f, epoch); err != nil {
			return err
		}
	}
	return nil
}

func stageFile(to string, f file, epoch int64) error {
	switch {
	case f.dir:
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		return os.Chmod(to, os.FileMode(f.mode))
	case f.link != "":
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.Symlink(f.link, to)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(to, f.data, 0o644); err != nil {
		return err
	}
	if err := os.Chmod(to, os.FileMode(f.mode)); err != nil {
		return err
	}
	when := time.Unix(epoch, 0)
	return os.Chtimes(to, when, when)
}

// installedKB is the size of files on disk, in KB of whole blocks of 4 KB, as
// package managers count it.
func installedKB(files []file) int {
	kb := 0
	for _, f := range files {
		kb += (len(f.data) + 4095) / 4096 * 4
	}
	return kb
}
