package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A disk is where a journal is kept: one file that grows at its end, or is
// replaced as a whole. Tests put a faulty one in its place.
type disk interface {
	read(limit int64) ([]byte, error) // everything; nil when there is nothing yet
	add(b []byte) error               // on disk when it returns
	replace(b []byte) error           // the same; after a crash there is the old or the new content
	aside() error                     // keep what is there under another name, for the curious
	close() error
}

// fileDisk is a file in a folder.
type fileDisk struct {
	dir, name string
	f         *os.File // nil: not open for appending
	size      int64    // of what is known to be whole
}

func (d *fileDisk) path() string { return filepath.Join(d.dir, d.name) }

func (d *fileDisk) read(limit int64) ([]byte, error) {
	f, err := os.Open(d.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

func (d *fileDisk) add(b []byte) error {
	if d.f == nil {
		return errors.New("not open")
	}
	n, err := d.f.Write(b)
	if err == nil {
		err = retry(func() error { return unix.Fdatasync(int(d.f.Fd())) })
	}
	if err != nil {
		if n > 0 { // do not leave half a record before later ones
			err = errors.Join(err, d.f.Truncate(d.size))
		}
		return err
	}
	d.size += int64(n)
	return nil
}

func (d *fileDisk) replace(b []byte) error {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	f, err := inPlace(d.path(), b)
	if err != nil {
		return err
	}
	old := d.f
	d.f, d.size = f, int64(len(b))
	if old != nil {
		old.Close() //nolint:errcheck // synced and replaced: nothing of it is needed
	}
	return syncDir(d.dir)
}

// Replace puts content in the place of the file at path in one step: whoever reads
// it, also after a loss of power, finds it as it was or as it is to be.
func Replace(path string, content []byte) error {
	f, err := inPlace(path, content)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), syncDir(filepath.Dir(path)))
}

// inPlace puts a complete, synced new file in place of the old one and returns it
// open for appending. It follows no link that stands in its way: the directory may
// have been somebody else's.
func inPlace(path string, b []byte) (*os.File, error) {
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(temp))
	}
	return f, nil
}

// aside gives the file a second name, which needs no reading and leaves no
// moment without a journal.
func (d *fileDisk) aside() error {
	old := d.path() + ".damaged"
	if err := os.Remove(old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Link(d.path(), old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (d *fileDisk) close() error {
	if d.f == nil {
		return nil
	}
	defer func() { d.f = nil }()
	return d.f.Close()
}

// syncDir makes a rename in dir last.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}

// retry calls f again while a signal interrupts it.
func retry(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// hold locks dir for this process; the lock goes with the process.
func hold(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = retry(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrInUse
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
