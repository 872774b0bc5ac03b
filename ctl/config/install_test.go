package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// listing returns each file below dir with its permissions and content.
func listing(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		info, _ := d.Info()
		name, _ := filepath.Rel(dir, path)
		all[name] = info.Mode().String() + " " + string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestInstall(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "etc", "shisa")
	write(t, filepath.Join(from, FileName), "v1", 0o644)
	write(t, filepath.Join(from, "start.sh"), "start 1", 0o755)
	write(t, filepath.Join(from, "web", "deep", "stop.sh"), "stop 1", 0o700)
	write(t, filepath.Join(from, ".git", "config"), "not ours", 0o600)
	write(t, filepath.Join(from, ".swp"), "not ours", 0o600)
	write(t, filepath.Join(from, PreviousName), "not ours", 0o600)
	if err := Install(from, to); err != nil {
		t.Fatal(err)
	}
	first := map[string]string{
		FileName: "-rw------- v1", "start.sh": "-rwxr-xr-x start 1", "web/deep/stop.sh": "-rwx------ stop 1",
	}
	if d := cmp.Diff(first, listing(t, to)); d != "" {
		t.Errorf("first installation (-want +got):\n%s", d)
	}

	if err := os.Chmod(filepath.Join(to, FileName), 0o640); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(to, ".shisa-new-1"), "left by one that was killed", 0o600)
	write(t, filepath.Join(from, FileName), "v2", 0o644)
	write(t, filepath.Join(from, "start.sh"), "start 2", 0o755)
	if err := os.RemoveAll(filepath.Join(from, "web")); err != nil {
		t.Fatal(err)
	}
	if err := Install(from, to); err != nil {
		t.Fatal(err)
	}
	second := map[string]string{
		FileName: "-rw-r----- v2", PreviousName: "-rw-r----- v1", "start.sh": "-rwxr-xr-x start 2",
		"web/deep/stop.sh": "-rwx------ stop 1", // something may still run it
	}
	if d := cmp.Diff(second, listing(t, to)); d != "" {
		t.Errorf("second installation (-want +got):\n%s", d)
	}

	// The file alone.
	write(t, filepath.Join(from, "other.toml"), "v3", 0o600)
	if err := Install(filepath.Join(from, "other.toml"), to); err != nil {
		t.Fatal(err)
	}
	// Onto itself: the previous one must not be lost.
	if err := Install(to, to); err != nil {
		t.Fatal(err)
	}
	third := listing(t, to)
	if third[FileName] != "-rw-r----- v3" || third[PreviousName] != "-rw-r----- v2" || len(third) != len(second) {
		t.Errorf("third installation: %v", third)
	}
}

func TestInstallRefuses(t *testing.T) {
	to := t.TempDir()
	write(t, filepath.Join(to, FileName), "old", 0o600)
	before := listing(t, to)
	missing, link, large := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, filepath.Join(missing, "start.sh"), "", 0o755)
	write(t, filepath.Join(link, FileName), "new", 0o600)
	if err := os.Symlink("/etc/passwd", filepath.Join(link, "start.sh")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(large, FileName), "new", 0o600)
	write(t, filepath.Join(large, "start.sh"), "", 0o755)
	if err := os.Truncate(filepath.Join(large, "start.sh"), SizeLimit+1); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, from, want string }{
		{"nothing there", filepath.Join(missing, "none"), "none: no such file or directory"},
		{"no file", missing, FileName + ": no such file or directory"},
		{"link", link, "start.sh is neither a file nor a directory; replace it by a file"},
		{"large", large, "start.sh is larger than 16MiB; the old one still holds"},
	} {
		if err := Install(tt.from, to); err == nil || !strings.HasSuffix(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
		if d := cmp.Diff(before, listing(t, to)); d != "" {
			t.Errorf("%s: changed (-want +got):\n%s", tt.name, d)
		}
	}

	held, err := os.Open(to)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	from := t.TempDir()
	write(t, filepath.Join(from, FileName), "new", 0o600)
	if err := Install(from, to); err == nil || !strings.Contains(err.Error(), "another installation is under way") {
		t.Errorf("locked: %v", err)
	}
}

// On a full disk, or one that is read only, the old configuration stays.
func TestInstallOnBadDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a file system needs root")
	}
	from := t.TempDir()
	write(t, filepath.Join(from, FileName), strings.Repeat("# new\n", 20_000), 0o600)
	write(t, filepath.Join(from, "start.sh"), "new", 0o755)
	for _, tt := range []struct {
		name  string
		mount uintptr // flags of a second mount
		is    error
		want  string
	}{
		{"full", 0, syscall.ENOSPC, "no space left on device; make room on that file system; the old one still holds"},
		{"read only", syscall.MS_REMOUNT | syscall.MS_RDONLY, syscall.EROFS, "read-only file system; mount that file system writable; the old one still holds"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			to := t.TempDir()
			privately(t, func() error {
				if err := syscall.Mount("shisa-test", to, "tmpfs", 0, "size=64k"); err != nil {
					return err
				}
				write(t, filepath.Join(to, FileName), "old", 0o600)
				write(t, filepath.Join(to, "start.sh"), "old", 0o755)
				before := listing(t, to)
				if tt.mount != 0 {
					if err := syscall.Mount("", to, "", tt.mount, ""); err != nil {
						return err
					}
				}
				err := Install(from, to)
				if !errors.Is(err, tt.is) || !strings.HasSuffix(err.Error(), tt.want) {
					t.Errorf("got %v, want %s", err, tt.want)
				}
				if d := cmp.Diff(before, listing(t, to)); d != "" {
					t.Errorf("changed (-want +got):\n%s", d)
				}
				return nil
			})
		})
	}
}

// privately runs f with mounts that nobody else sees and that end with it.
func privately(t *testing.T, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		defer close(done) // also when f gives up the test
		// The thread keeps the namespace and so must end with the goroutine,
		// which it does, because it is never unlocked.
		runtime.LockOSThread()
		err := syscall.Unshare(syscall.CLONE_FS | syscall.CLONE_NEWNS)
		if err == nil {
			err = syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	if err := <-done; slices.ContainsFunc([]error{syscall.EPERM, syscall.EACCES}, func(e error) bool { return errors.Is(err, e) }) {
		t.Skipf("this machine does not let root mount: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
}
