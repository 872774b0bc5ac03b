package beat

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A page may be an array in the kernel instead of a file (bpf(2),
// BPF_MAP_TYPE_ARRAY with BPF_F_MMAPABLE, Linux 5.5), kept by name in a BPF file
// system. It is mapped like a file; programs in the kernel can judge its beats,
// also when nothing in user space runs any more. Three commands of one system
// call do all that is needed here, so that the keeper stays small.
const (
	bpfMapCreate = 0
	bpfObjPin    = 6
	bpfObjGet    = 7
	bpfInfoByFD  = 15

	bpfArray    = 2
	bpfMmapable = 1 << 10
)

// bpf calls bpf(2) with the attributes at p.
func bpf(command int, p unsafe.Pointer, size uintptr) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(command), uintptr(p), size)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// inKernel reports whether path is in a BPF file system, or would be.
func inKernel(path string) bool {
	var st unix.Statfs_t
	for dir := path; ; dir = filepath.Dir(dir) {
		err := unix.Statfs(dir, &st)
		if err == nil {
			return st.Type == unix.BPF_FS_MAGIC
		}
		if !errors.Is(err, unix.ENOENT) || dir == filepath.Dir(dir) {
			return false
		}
	}
}

// replaceInKernel keeps a fresh array at path. It is no page yet: see openInKernel.
func replaceInKernel(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	create := struct {
		kind, key, value, entries, flags, inner, node uint32
		name                                          [16]byte
	}{kind: bpfArray, key: 4, value: SlotSize, entries: Size / SlotSize, flags: bpfMmapable, name: [16]byte{'s', 'h', 'i', 's', 'a', '_', 'b', 'e', 'a', 't', 's'}}
	fd, err := bpf(bpfMapCreate, unsafe.Pointer(&create), unsafe.Sizeof(create))
	if err != nil {
		return fmt.Errorf("make an array in the kernel: %w", err)
	}
	defer unix.Close(fd)
	mem, err := unix.Mmap(fd, 0, Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	(*page)(unsafe.Pointer(&mem[0])).format()
	if err := unix.Munmap(mem); err != nil {
		return err
	}
	name, err := unix.BytePtrFromString(path)
	if err != nil {
		return err
	}
	pin := struct {
		path      *byte
		fd, flags uint32
	}{path: name, fd: uint32(fd)}
	_, err = bpf(bpfObjPin, unsafe.Pointer(&pin), unsafe.Sizeof(pin))
	return err
}

// mapInfo is the beginning of struct bpf_map_info (include/uapi/linux/bpf.h).
type mapInfo struct{ kind, id, _, value, entries, flags uint32 }

func infoOf(fd int) (mapInfo, error) {
	var info mapInfo
	get := struct {
		fd, size uint32
		info     *mapInfo
	}{fd: uint32(fd), size: uint32(unsafe.Sizeof(info)), info: &info}
	_, err := bpf(bpfInfoByFD, unsafe.Pointer(&get), unsafe.Sizeof(get))
	return info, err
}

// openInKernel maps the array kept at path.
func openInKernel(path string) (*Page, error) {
	name, err := unix.BytePtrFromString(path)
	if err != nil {
		return nil, err
	}
	get := struct {
		path      *byte
		fd, flags uint32
	}{path: name}
	fd, err := bpf(bpfObjGet, unsafe.Pointer(&get), unsafe.Sizeof(get))
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	info, err := infoOf(fd)
	if err == nil && (info.kind != bpfArray || info.value != SlotSize || info.entries != Size/SlotSize || info.flags&bpfMmapable == 0) {
		err = fmt.Errorf("%w: %d values of %d bytes", ErrInvalid, info.entries, info.value)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	p, err := mapPage(f)
	if p != nil {
		p.id = info.id
	}
	return p, err
}
