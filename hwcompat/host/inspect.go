package host

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// maxFile bounds each file that is read, in bytes. The largest wanted ones are
// modules.dep (about 1 MB) and /proc/net/tcp on a busy server.
const maxFile = 8 << 20

// Inspect gathers the facts of the machine whose root is fsys.
func Inspect(fsys fs.FS) Facts {
	v := &view{fsys: fsys, unread: map[string]string{}}
	f := Facts{
		Root:      v.root(),
		Kernel:    v.kernel(),
		OS:        v.osRelease(),
		Security:  v.security(),
		BMC:       v.bmc(),
		Systemd:   v.systemd(),
		Services:  v.services(),
		Mounts:    v.mounts(),
		SNMP:      v.snmp(),
		Processes: v.processes(),
		Programs:  v.names(programFolders...),
		Libraries: v.names(v.libraryFolders()...),
	}
	f.Modules = v.modules(f.Kernel.Release, true)
	f.Virtual = v.virtual(f.BMC)
	f.Watchdogs = v.watchdogs(f.Processes, f.Modules)
	f.Network = v.network(f.Processes)
	f.Firewall = v.firewall(f.Processes)
	f.Clock = v.clock(f.Processes)
	for _, p := range slices.Sorted(maps.Keys(v.unread)) {
		f.Unread = append(f.Unread, Unread{Path: "/" + p, Reason: v.unread[p]})
	}
	return f
}

// A view reads small text files and remembers what it was not allowed to read.
type view struct {
	fsys   fs.FS
	unread map[string]string
}

// note remembers a failure that is not plain absence. A process that goes away
// between listing and reading (ESRCH) is absence.
func (v *view) note(name string, err error) {
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) || errors.Is(err, syscall.ENOTDIR) {
		return
	}
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err
	}
	v.unread[name] = err.Error()
}

func (v *view) read(name string) []byte {
	f, err := v.fsys.Open(name)
	if err != nil {
		v.note(name, err)
		return nil
	}
	defer func() { _ = f.Close() }() // nothing was written
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	v.note(name, err)
	return b
}

// text returns the content of a file without the white space around it.
func (v *view) text(name string) string { return strings.TrimSpace(string(v.read(name))) }

func (v *view) number(name string) int {
	n, _ := strconv.Atoi(v.text(name))
	return n
}

// lines yields the lines of a file, trimmed, without empty ones and comments.
func (v *view) lines(name string) []string {
	var lines []string
	for line := range strings.Lines(string(v.read(name))) {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines
}

func (v *view) exists(name string) bool {
	_, err := fs.Stat(v.fsys, name)
	v.note(name, err)
	return err == nil
}

// list returns the names in a folder, sorted.
func (v *view) list(dir string) []string {
	entries, err := fs.ReadDir(v.fsys, dir)
	v.note(dir, err)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

// link returns where a symbolic link points, unresolved; "" if it is none.
func (v *view) link(name string) string {
	to, err := fs.ReadLink(v.fsys, name)
	if errors.Is(err, fs.ErrInvalid) || errors.Is(err, syscall.EINVAL) {
		return "" // there, but not a link
	}
	v.note(name, err)
	return to
}

// linked returns the last element of where a symbolic link points; "" if it is none.
func (v *view) linked(name string) string {
	if to := v.link(name); to != "" {
		return path.Base(to)
	}
	return ""
}

// first returns the first of the names that exists, or "".
func (v *view) first(names ...string) string {
	i := slices.IndexFunc(names, v.exists)
	if i < 0 {
		return ""
	}
	return names[i]
}

// names maps each name in the folders to its path; the first folder wins.
func (v *view) names(folders ...string) map[string]string {
	all := map[string]string{}
	for _, dir := range folders {
		for _, n := range v.list(dir) {
			if _, ok := all[n]; !ok {
				all[n] = "/" + path.Join(dir, n)
			}
		}
	}
	return all
}

// root reads the effective user from the second figure of the Uid line of
// /proc/self/status.
func (v *view) root() bool {
	for _, line := range v.lines("proc/self/status") {
		if uid, ok := strings.CutPrefix(line, "Uid:"); ok {
			f := strings.Fields(uid)
			return len(f) > 1 && f[1] == "0"
		}
	}
	return false
}

// programFolders are searched in this order, whatever PATH the caller has.
var programFolders = []string{"usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin"}

// libraryFolders are the usual ones and those of ldconfig(8).
func (v *view) libraryFolders() []string {
	folders := []string{"lib64", "usr/lib64", "lib", "usr/lib"}
	files := []string{"etc/ld.so.conf"}
	for _, n := range v.list("etc/ld.so.conf.d") {
		files = append(files, path.Join("etc/ld.so.conf.d", n))
	}
	for _, file := range files {
		for _, line := range v.lines(file) {
			if dir, ok := strings.CutPrefix(line, "/"); ok {
				folders = append(folders, path.Clean(dir))
			}
		}
	}
	return folders
}
