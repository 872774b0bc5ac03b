package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// standIn is a package that provides what the distribution would, so that the
// resolvers have something to resolve against: the root itself was made from
// debs.
const standIn = `Name: stand-in
Version: 1
Release: 1
Summary: What the distribution provides
License: none
BuildArch: noarch
Provides: /bin/sh
Provides: systemd = 252
Provides: kmod = 30
Provides: dkms = 3.0.10
Provides: permissions
Provides: kernel-default-devel
%description
Stands in for the distribution.
%files
`

// tryRPM follows the life of package shisa through one resolver.
func tryRPM(ctx context.Context, r *report, tool, root, dist, newer string) {
	name := func(s string) string { return tool + " rpm " + s }
	before, err := listing(root)
	if !r.check(err == nil, name("root"), errText(err)) {
		return
	}
	repo, out, err := repository(ctx, dist)
	if !r.check(err == nil, name("repository"), out+errText(err)) {
		return
	}
	defer func() { _ = os.RemoveAll(repo) }() // a scratch folder
	t := resolver{tool: tool, root: root}
	out, err = t.run(ctx, repo, "install", "shisa")
	if !r.check(err == nil, name("install"), tail(out)) {
		return
	}
	out, err = inside(ctx, root, "shisa", "version")
	r.check(err == nil, name("runs"), out)
	r.check(hasGroup(root), name("makes its group"), "it is not in /etc/group")
	_, err = os.Lstat(filepath.Join(root, "etc/systemd/system/multi-user.target.wants/shisad.service"))
	r.check(err == nil, name("enables shisad.service"), errText(err))
	loaded := loadPolicy(root)
	r.check(loaded == nil, name("load a policy module"), errText(loaded))
	edited := appendTo(filepath.Join(root, conf), "# edited by the administrator\n")
	r.check(edited == nil, name("edit"), errText(edited))
	tryRPMUpgrade(ctx, r, name, t, dist, newer)

	out, err = t.run(ctx, repo, "remove", "shisa")
	r.check(err == nil && !hasGroup(root), name("remove"), tail(out))
	checkPolicy(r, name, root, newer != "")
	r.check(strings.Contains(readText(root, conf+".rpmsave"), "edited by"), name("removal keeps the configuration"), "it is gone")
	if err := os.RemoveAll(filepath.Join(root, "etc/shisa")); err != nil {
		r.check(false, name("tidy"), err.Error())
	}
	after, err := listing(root)
	left := difference(before, after)
	r.check(err == nil && len(left) == 0, name("leaves nothing behind"), strings.Join(left, " "))
}

func tryRPMUpgrade(ctx context.Context, r *report, name func(string) string, t resolver, dist, newer string) {
	if newer == "" {
		return
	}
	repo, out, err := repository(ctx, newer)
	if !r.check(err == nil, name("newer repository"), out+errText(err)) {
		return
	}
	defer func() { _ = os.RemoveAll(repo) }() // a scratch folder
	out, err = t.run(ctx, repo, "upgrade", "shisa")
	r.check(err == nil, name("upgrade"), tail(out))
	r.check(strings.Contains(readText(t.root, conf), "edited by"), name("upgrade keeps the configuration"), "it was replaced")
	version := readText(t.root, "usr/share/shisa/version")
	old, err := filepath.Glob(filepath.Join(dist, "shisa-[0-9]*.x86_64.rpm"))
	if !r.check(err == nil && len(old) > 0, name("older found"), dist) {
		return
	}
	out, err = run(ctx, "rpm", "--root", t.root, "--nodeps", "-U", "--oldpackage", old[0])
	r.check(err != nil && strings.Contains(out, "shisa: not replaced"), name("downgrade is refused"), out)
	r.check(readText(t.root, "usr/share/shisa/version") == version, name("a refused downgrade changes nothing"), version)
}

// repository makes a folder that resolvers can read, of the rpms in dist.
func repository(ctx context.Context, dist string) (dir, out string, err error) {
	dir, err = os.MkdirTemp("", "shisa-repo-")
	if err != nil {
		return "", "", err
	}
	rpms, err := filepath.Glob(filepath.Join(dist, "*.rpm"))
	if err != nil {
		return dir, "", err
	}
	for _, f := range rpms {
		data, err := os.ReadFile(f)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(f)), data, 0o644)
		}
		if err != nil {
			return dir, "", err
		}
	}
	spec := filepath.Join(dir, "stand-in.spec")
	if err := os.WriteFile(spec, []byte(standIn), 0o644); err != nil {
		return dir, "", err
	}
	if out, err := run(ctx, "rpmbuild", "-bb", "--quiet", "--define", "_topdir "+dir+"/build", "--define", "_rpmdir "+dir, spec); err != nil {
		return dir, out, err
	}
	out, err = run(ctx, "createrepo_c", "--quiet", dir)
	return dir, out, err
}

// A resolver is dnf or zypper, working on a root.
type resolver struct{ tool, root string }

func (t resolver) run(ctx context.Context, repo, verb, pkg string) (string, error) {
	if t.tool == "dnf" {
		return run(ctx, "dnf", "--installroot="+t.root, "--releasever=9", "--repofrompath=shisa,"+repo, "--repo=shisa", "--nogpgcheck",
			"--setopt=install_weak_deps=False", "--setopt=cachedir="+repo+"/cache", "-y", verb, pkg)
	}
	args := []string{"--root", t.root, "--non-interactive", "--no-gpg-checks", "--no-remote", "--reposd-dir", repo + "/none", "--plus-repo", "dir:" + repo}
	switch verb {
	case "upgrade":
		args = append(args, "update", "--no-recommends", pkg)
	case "install":
		args = append(args, "install", "--no-recommends", pkg)
	default:
		args = append(args, verb, pkg)
	}
	return run(ctx, "zypper", args...)
}

// tail returns the last lines of a long output.
func tail(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}
