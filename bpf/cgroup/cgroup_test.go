package cgroup

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPath(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("opening by handle needs root")
	}
	root, err := mount()
	if err != nil {
		t.Skip(err)
	}
	dir, err := os.MkdirTemp(root, "shisa-test")
	if err != nil {
		t.Skip("no cgroup can be made here: ", err)
	}
	defer os.Remove(dir)
	for path, want := range map[string]string{root: "/", dir: "/" + filepath.Base(dir)} {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		if got, err := Path(st.Ino); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", path, got, err, want)
		}
	}
	if got, err := Path(1 << 60); err == nil {
		t.Errorf("a cgroup that does not exist is %q", got)
	}
}
