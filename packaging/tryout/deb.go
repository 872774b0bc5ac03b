package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

const conf = "etc/shisa/shisa.toml"

// tryDeb follows the life of package shisa in one root.
func tryDeb(ctx context.Context, r *report, suite, root, dist, newer string) {
	name := func(s string) string { return suite + " deb " + s }
	before, err := listing(root)
	if !r.check(err == nil, name("root"), errText(err)) {
		return
	}
	deb, ok := bring(root, dist, "shisa_*_amd64.deb")
	if !r.check(ok, name("found"), "no shisa_*_amd64.deb in "+dist) {
		return
	}
	out, err := inside(ctx, root, "dpkg", "-i", deb)
	if !r.check(err == nil, name("install"), out) {
		return
	}
	out, err = inside(ctx, root, "shisa", "version")
	r.check(err == nil, name("runs"), out)
	r.check(hasGroup(root), name("makes its group"), "it is not in /etc/group")
	for _, unit := range []string{"shisad.service", "shisa-keeper.service"} {
		_, err := os.Lstat(filepath.Join(root, "etc/systemd/system/multi-user.target.wants", unit))
		r.check(err == nil, name("enables "+unit), errText(err))
	}
	// The manager of this machine reads them, as the one in the root wants control
	// groups; of newer units than its own it complains, which is not our affair.
	out, _ = run(ctx, "systemd-analyze", "verify", "--man=no", "--root="+root, "shisad.service", "shisa-keeper.service", "shisa-shutdown.service")
	ours := linesWith(out, "shisa")
	r.check(ours == "", name("units are valid"), ours)

	edited := appendTo(filepath.Join(root, conf), "# edited by the administrator\n")
	r.check(edited == nil, name("edit"), errText(edited))
	loaded := loadPolicy(root)
	r.check(loaded == nil, name("load a policy module"), errText(loaded))
	tryDebUpgrade(ctx, r, name, root, deb, newer)

	out, err = inside(ctx, root, "dpkg", "-r", "shisa")
	r.check(err == nil, name("remove"), out)
	r.check(strings.Contains(readText(root, conf), "edited by"), name("removal keeps the configuration"), "it is gone")
	checkPolicy(r, name, root, newer != "")
	out, err = inside(ctx, root, "dpkg", "-P", "shisa")
	r.check(err == nil && !hasGroup(root), name("purge"), out)
	after, err := listing(root)
	left := difference(before, after)
	r.check(err == nil && len(left) == 0, name("leaves nothing behind"), strings.Join(left, " "))
}

func tryDebUpgrade(ctx context.Context, r *report, name func(string) string, root, deb, newer string) {
	if newer == "" {
		return
	}
	to, ok := bring(root, newer, "shisa_*_amd64.deb")
	if !r.check(ok, name("newer found"), "no shisa_*_amd64.deb in "+newer) {
		return
	}
	out, err := inside(ctx, root, "dpkg", "-i", to)
	r.check(err == nil, name("upgrade"), out)
	r.check(strings.Contains(readText(root, conf), "edited by"), name("upgrade keeps the configuration"), "it was replaced")
	out, err = inside(ctx, root, "dpkg", "-i", deb)
	r.check(err != nil && strings.Contains(out, "shisa: not replaced"), name("downgrade is refused"), out)
	out, err = inside(ctx, root, "dpkg-query", "-W", "-f", "${Status} ${Version}", "shisa")
	old := readText(root, "usr/share/shisa/version")
	r.check(err == nil && strings.Contains(out, strings.TrimSpace(old)) && strings.Contains(out, "ok installed"), name("a refused downgrade changes nothing"), out)
}

// bring copies a package into the root and returns its path there.
func bring(root, dist, pattern string) (string, bool) {
	found, err := filepath.Glob(filepath.Join(dist, pattern))
	if err != nil || len(found) == 0 {
		return "", false
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		return "", false
	}
	to := "/tmp/" + filepath.Base(found[0])
	return to, os.WriteFile(root+to, data, 0o644) == nil
}

// linesWith returns the lines of a text in which a word occurs.
func linesWith(text, word string) string {
	var found []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			found = append(found, line)
		}
	}
	return strings.Join(found, "")
}

func readText(root, name string) string {
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		return ""
	}
	return string(text)
}

func appendTo(name, text string) error {
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(old, text...), 0o644)
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
