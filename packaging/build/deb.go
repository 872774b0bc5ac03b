package main

import (
	"bytes"
	"context"
	"crypto/md5" // dpkg's md5sums file, which guards against accidents, not attackers
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ulikunitz/xz"
)

// debArch is how Debian calls the only architecture that is built so far.
const debArch = "amd64"

// maintainerScripts that dpkg knows, in the order in which an upgrade runs
// them. Those that exist in packaging/deb/PACKAGE/ are taken.
var maintainerScripts = []string{"preinst", "prerm", "postinst", "postrm"}

func (b *build) debs(_ context.Context, packages []*pkg) ([]string, error) {
	var made []string
	for _, p := range packages {
		arch := debArch
		if p.anyArch {
			arch = "all"
		}
		name := filepath.Join(b.out, fmt.Sprintf("%s_%s_%s.deb", p.name, b.version, arch))
		deb, err := b.deb(p, arch)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		if err := os.WriteFile(name, deb, 0o644); err != nil {
			return nil, err
		}
		made = append(made, name)
	}
	return made, nil
}

// deb makes the archive of deb(5): an ar file of three members.
func (b *build) deb(p *pkg, arch string) ([]byte, error) {
	// dpkg asks about every new version of a configuration that was edited, which
	// stops an unattended upgrade. The postinst script puts it there when it is
	// missing, and nobody ever overwrites it.
	laid := slices.DeleteFunc(slices.Clone(p.files), func(f file) bool { return f.conf })
	files := sorted(append(laid, b.debDocs(p)...))
	control, err := b.control(p, arch, files)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteString("!<arch>\n")
	if err := b.member(&out, "debian-binary", []byte("2.0\n")); err != nil {
		return nil, err
	}
	for _, m := range []struct {
		name  string
		files []file
	}{{"control.tar.xz", control}, {"data.tar.xz", files}} {
		var packed bytes.Buffer
		if err := xzTar(&packed, "./", m.files, b.epoch); err != nil {
			return nil, err
		}
		if err := b.member(&out, m.name, packed.Bytes()); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// member writes one member of an ar archive; odd sizes are filled up.
func (b *build) member(w io.Writer, name string, data []byte) error {
	_, err := fmt.Fprintf(w, "%-16s%-12d%-6d%-6d%-8o%-10d`\n%s", name, b.epoch, 0, 0, 0o100644, len(data), data)
	if err == nil && len(data)%2 == 1 {
		_, err = io.WriteString(w, "\n")
	}
	return err
}

func xzTar(w io.Writer, prefix string, files []file, epoch int64) error {
	z, err := xz.NewWriter(w)
	if err != nil {
		return err
	}
	if err := writeTar(z, prefix, files, epoch); err != nil {
		return err
	}
	return z.Close()
}

// control makes the files that dpkg keeps for itself.
func (b *build) control(p *pkg, arch string, files []file) ([]file, error) {
	var sums strings.Builder
	for _, f := range files {
		if !f.dir && f.link == "" {
			fmt.Fprintf(&sums, "%x  %s\n", md5.Sum(f.data), strings.TrimPrefix(f.path, "/"))
		}
	}
	fields := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: %s\nInstalled-Size: %d\n", p.name, b.version, arch, maintainer, installedKB(files))
	for _, r := range []struct{ name, value string }{
		{"Pre-Depends", p.deb.preDepends}, {"Depends", p.deb.depends}, {"Recommends", p.deb.recommends}, {"Suggests", p.deb.suggests}, {"Conflicts", p.deb.conflicts},
	} {
		if r.value != "" {
			fields += r.name + ": " + r.value + "\n"
		}
	}
	fields += "Section: admin\nPriority: optional\nHomepage: " + homepage + "\n" + "Description: " + p.summary + "\n " + strings.ReplaceAll(p.description, "\n", "\n ") + "\n"
	all := []file{{path: "/control", mode: 0o644, data: []byte(fields)}, {path: "/md5sums", mode: 0o644, data: []byte(sums.String())}}
	for _, s := range maintainerScripts {
		text, err := os.ReadFile(filepath.Join("packaging/deb", p.name, s))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, file{path: "/" + s, mode: 0o755, data: b.fill(text)})
	}
	return sorted(all), nil
}

// fill puts the version and the units that start at boot into a script or spec
// file.
func (b *build) fill(text []byte) []byte {
	text = bytes.ReplaceAll(text, []byte("@VERSION@"), []byte(b.version))
	return bytes.ReplaceAll(text, []byte("@UNITS@"), []byte(strings.Join(b.units, " ")))
}
