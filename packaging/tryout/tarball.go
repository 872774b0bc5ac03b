package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

const (
	unpacked   = "/tmp/unpacked"
	tarballs   = "shisa-*-linux-amd64.tar.gz"
	wantsShisa = "etc/systemd/system/multi-user.target.wants/shisad.service"
)

// tryTarball follows what the tarball installs through its life in one root.
func tryTarball(ctx context.Context, r *report, suite, root, dist, newer string) {
	name := func(s string) string { return suite + " tarball " + s }
	before, err := listing(root)
	if !r.check(err == nil, name("root"), errText(err)) {
		return
	}
	out, err := installTarball(ctx, root, dist)
	if !r.check(err == nil, name("install"), out+errText(err)) {
		return
	}
	out, err = inside(ctx, root, "shisa", "version")
	r.check(err == nil, name("runs"), out)
	r.check(hasGroup(root), name("makes its group"), "it is not in /etc/group")
	_, err = os.Lstat(filepath.Join(root, wantsShisa))
	r.check(err == nil, name("enables shisad.service"), errText(err))
	edited := appendTo(filepath.Join(root, conf), "# edited by the administrator\n")
	r.check(edited == nil, name("edit"), errText(edited))
	if newer != "" {
		out, err = installTarball(ctx, root, newer)
		r.check(err == nil, name("upgrade"), out+errText(err))
		r.check(strings.Contains(readText(root, conf), "edited by"), name("upgrade keeps the configuration"), "it was replaced")
		version := readText(root, "usr/share/shisa/version")
		out, err = installTarball(ctx, root, dist)
		r.check(err != nil && strings.Contains(out, "shisa: not installed"), name("downgrade is refused"), out)
		r.check(readText(root, "usr/share/shisa/version") == version, name("a refused downgrade changes nothing"), version)
	}
	out, err = inside(ctx, root, "/usr/share/shisa/uninstall")
	r.check(err == nil, name("remove"), out)
	r.check(strings.Contains(readText(root, conf), "edited by"), name("removal keeps the configuration"), "it is gone")
	out, err = installTarball(ctx, root, dist)
	r.check(err == nil, name("install again"), out+errText(err))
	out, err = inside(ctx, root, "/usr/share/shisa/uninstall", "--purge")
	r.check(err == nil && !hasGroup(root), name("purge"), out)
	after, err := listing(root)
	left := difference(before, after)
	r.check(err == nil && len(left) == 0, name("leaves nothing behind"), strings.Join(left, " "))
}

// installTarball unpacks the tarball of a folder in the root and runs its script.
func installTarball(ctx context.Context, root, dist string) (string, error) {
	found, err := filepath.Glob(filepath.Join(dist, tarballs))
	if err != nil || len(found) != 1 {
		return "not one " + tarballs + " in " + dist, os.ErrNotExist
	}
	if err := os.RemoveAll(root + unpacked); err != nil {
		return "", err
	}
	if err := os.MkdirAll(root+unpacked, 0o755); err != nil {
		return "", err
	}
	if out, err := run(ctx, "tar", "-xzf", found[0], "--strip-components=1", "-C", root+unpacked); err != nil {
		return out, err
	}
	return inside(ctx, root, unpacked+"/install")
}
