// Package cgroup turns the cgroup ids that the witnesses report into paths.
package cgroup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Path returns the folder of a cgroup below the unified hierarchy's root, "/"
// for the root itself. A cgroup that was removed meanwhile is an error.
func Path(id uint64) (string, error) {
	root, err := mount()
	if err != nil {
		return "", err
	}
	dir, err := os.Open(root)
	if err != nil {
		return "", fmt.Errorf("open the cgroup root: %w", err)
	}
	defer dir.Close()
	// FILEID_KERNFS of include/linux/exportfs.h, since 5.5: the id alone.
	const kernfs = 0xfe
	handle := unix.NewFileHandle(kernfs, binary.NativeEndian.AppendUint64(nil, id))
	fd, err := unix.OpenByHandleAt(int(dir.Fd()), handle, unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		return "", fmt.Errorf("find cgroup %d: %w", id, err)
	}
	defer unix.Close(fd)
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return "", fmt.Errorf("find cgroup %d: %w", id, err)
	}
	below, ok := strings.CutPrefix(path, root)
	if !ok {
		return "", fmt.Errorf("find cgroup %d: it is at %s", id, path)
	}
	return filepath.Join("/", below), nil
}

// mount finds the unified hierarchy: the usual place, or the one of a hybrid
// layout.
var mount = sync.OnceValues(func() (string, error) {
	for _, path := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var fs unix.Statfs_t
		if unix.Statfs(path, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC {
			return path, nil
		}
	}
	return "", errors.New("the unified cgroup hierarchy is not mounted")
})
