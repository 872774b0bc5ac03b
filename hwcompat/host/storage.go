package host

import (
	"path"
	"slices"
	"strings"
)

// mounts parses /proc/self/mountinfo (proc_pid_mountinfo(5)): identifiers,
// major:minor, root, mount point, options … "-" type, source, options.
func (v *view) mounts() []Mount {
	var all []Mount
	for _, line := range v.lines("proc/self/mountinfo") {
		left, right, ok := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 6 || len(r) < 2 {
			continue
		}
		m := Mount{
			Point:    unescapeMount(l[4]),
			Type:     r[0],
			Source:   unescapeMount(r[1]),
			ReadOnly: slices.Contains(strings.Split(l[5], ","), "ro"),
		}
		m.Journal = v.journal(m, l[2])
		all = append(all, m)
	}
	return all
}

// unescapeMount undoes the octal escapes of white space and backslash.
func unescapeMount(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

func (v *view) journal(m Mount, device string) Journal {
	switch m.Type {
	case "ext4":
		// A journal in use shows under /proc/fs/jbd2 as "sda1-8"; ext4 can be
		// made without one.
		dev := path.Base(v.link("sys/dev/block/" + device))
		if dev == "." || dev == "/" {
			dev = path.Base(m.Source)
		}
		if !v.exists("proc/fs/ext4/" + dev) {
			return Unknown
		}
		for _, n := range v.list("proc/fs/jbd2") {
			if strings.HasPrefix(n, dev+"-") {
				return Kept
			}
		}
		return Missing
	case "ext3", "xfs", "jfs", "reiserfs", "btrfs", "zfs", "f2fs", "bcachefs", "nilfs2", "ocfs2", "gfs2":
		return Kept
	case "ext2", "vfat", "msdos", "exfat", "minix", "hfsplus":
		return Missing
	case "nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "fuse.glusterfs", "virtiofs":
		return Remote
	case "tmpfs", "ramfs", "rootfs", "squashfs", "iso9660", "erofs":
		return Volatile
	}
	return Unknown
}

// MountOf returns the mount on which an absolute path lies: the longest mount
// point that covers it, the last one mounted there.
func (f *Facts) MountOf(name string) (Mount, bool) {
	var best Mount
	found := false
	for _, m := range f.Mounts {
		covers := m.Point == "/" || name == m.Point || strings.HasPrefix(name, m.Point+"/")
		if covers && len(m.Point) >= len(best.Point) {
			best, found = m, true
		}
	}
	return best, found
}
