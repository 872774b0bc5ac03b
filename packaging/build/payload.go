package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"shisa/ctl/compat"
)

const (
	maintainer = "shisa maintainers <shisa@localhost>"
	homepage   = "https://localhost/shisa"
	module     = "clpka"

	dkmsPackage = "shisa-dkms"
)

// A pkg is one package, before any format.
type pkg struct {
	name, summary, description string
	anyArch                    bool // the same bits on every architecture
	files                      []file
	deb                        relations
}

// relations are those of a deb; an rpm has its own in its spec file.
type relations struct {
	preDepends, depends, recommends, suggests, conflicts string
}

// packages lays out those named, or all. The web manager joins them when it
// exists.
func (b *build) packages(ctx context.Context, names []string) ([]*pkg, error) {
	var all []*pkg
	for _, p := range []struct {
		name string
		lay  func(context.Context) (*pkg, error)
	}{{"shisa", b.shisa}, {dkmsPackage, b.dkms}} {
		if len(names) > 0 && !slices.Contains(names, p.name) {
			continue
		}
		laid, err := p.lay(ctx)
		if err != nil {
			return nil, fmt.Errorf("lay out %s: %w", p.name, err)
		}
		all = append(all, laid)
	}
	return all, nil
}

// shisa lays out the daemon, the keeper and the command line.
func (b *build) shisa(ctx context.Context) (*pkg, error) {
	p := &pkg{
		name:        "shisa",
		summary:     "guardian of a single server: watches it, restarts, resets",
		description: "Notices that a process, a service, user space, the kernel or a shutdown no\nlonger makes progress, recovers it step by step, and in the end resets the\nmachine from the kernel or the BMC. It can always say why it did so.",
		deb: relations{
			depends:    "init-system-helpers (>= 1.51), systemd",
			recommends: "kmod, shisa-dkms",
			suggests:   "ipmitool, snmpd",
			conflicts:  "heartbeat",
		},
	}
	bin, err := b.compile(ctx, "shisad", "shisa-keeper", "shisa")
	if err != nil {
		return nil, err
	}
	l := &layout{b: b}
	l.copy(bin["shisad"], "/usr/sbin/shisad", 0o755)
	l.copy(bin["shisa-keeper"], "/usr/sbin/shisa-keeper", 0o755)
	l.copy(bin["shisa"], "/usr/sbin/shisa", 0o755)
	l.units("systemd", "/usr/lib/systemd/system")
	l.tree("packaging/files", "/")
	l.text("/usr/share/shisa/version", b.version+"\n")
	l.text("/usr/lib/systemd/system-preset/80-shisa.preset", "enable "+strings.Join(b.units, "\nenable ")+"\n")
	l.copy("bpf/include/shisa-beat.h", "/usr/share/shisa/shisa-beat.h", 0o644)
	l.copy("README.md", "/usr/share/doc/shisa/README.md", 0o644)
	l.fromProgram(ctx, bin["shisa"])
	l.originals()
	if err := l.err(); err != nil {
		return nil, err
	}
	p.files = l.files
	return p, nil
}

// dkms lays out the source of the kernel module.
func (b *build) dkms(context.Context) (*pkg, error) {
	p := &pkg{
		name: dkmsPackage, anyArch: true,
		summary:     "countdown in the kernel for shisa, built on the machine",
		description: "The source of the kernel module clpka, which resets the machine when user\nspace does not ping it in time. DKMS builds it for every kernel that is\ninstalled.",
		deb:         relations{depends: "dkms (>= 2.8)", recommends: "shisa"},
	}
	l := &layout{b: b}
	dir := "/usr/src/" + module + "-" + b.version
	l.sources("kmod", dir)
	l.filled("packaging/dkms/dkms.conf", dir+"/dkms.conf")
	p.files = l.files
	return p, l.err()
}

// A layout gathers files and what went wrong.
type layout struct {
	b     *build
	files []file
	errs  []error
}

func (l *layout) err() error { return errors.Join(l.errs...) }

func (l *layout) add(f file, err error) {
	if err != nil {
		l.errs = append(l.errs, err)
		return
	}
	l.files = append(l.files, f)
}

func (l *layout) copy(from, to string, mode int64) {
	data, err := os.ReadFile(from)
	l.add(file{path: to, mode: mode, data: data, conf: strings.HasPrefix(to, "/etc/")}, err)
}

func (l *layout) text(to, text string) {
	l.add(file{path: to, mode: 0o644, data: []byte(text), conf: strings.HasPrefix(to, "/etc/")}, nil)
}

// filled copies a text with the version put in.
func (l *layout) filled(from, to string) { l.fill(from, to, 0o644) }

// script does the same with one that can be run.
func (l *layout) script(from, to string) { l.fill(from, to, 0o755) }

func (l *layout) fill(from, to string, mode int64) {
	data, err := os.ReadFile(from)
	l.add(file{path: to, mode: mode, data: l.b.fill(data)}, err)
}

// units copies every unit of systemd in a folder.
func (l *layout) units(from, to string) {
	entries, err := os.ReadDir(from)
	if err != nil {
		l.errs = append(l.errs, err)
		return
	}
	for _, e := range entries {
		if slices.Contains([]string{".service", ".socket", ".target", ".path", ".timer"}, path.Ext(e.Name())) {
			l.copy(filepath.Join(from, e.Name()), path.Join(to, e.Name()), 0o644)
		}
	}
}

// tree copies a folder as it is; files keep whether they can be run.
func (l *layout) tree(from, to string) {
	err := filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		mode := int64(0o644)
		if info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		l.copy(name, path.Join(to, filepath.ToSlash(rel)), mode)
		return nil
	})
	if err != nil {
		l.errs = append(l.errs, err)
	}
}

// sources copies what the kernel's build needs of a folder.
func (l *layout) sources(from, to string) {
	err := filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		wanted := slices.Contains([]string{".c", ".h"}, filepath.Ext(name)) && !strings.HasSuffix(name, ".mod.c") || d.Name() == "Kbuild"
		if d.IsDir() || !wanted {
			return nil
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		l.copy(name, path.Join(to, filepath.ToSlash(rel)), 0o644)
		return nil
	})
	if err != nil {
		l.errs = append(l.errs, err)
	}
}

// fromProgram asks the command line for what only it knows: the commented
// default configuration, manual pages, completion, its other names.
func (l *layout) fromProgram(ctx context.Context, shisa string) {
	conf, err := output(ctx, nil, shisa, "config", "default")
	if err != nil {
		l.errs = append(l.errs, err)
		return
	}
	l.text("/etc/shisa/shisa.toml", conf+"\n")
	l.text("/usr/share/shisa/shisa.toml", conf+"\n") // where the deb takes the former from
	for shell, to := range map[string]string{
		"bash": "/usr/share/bash-completion/completions/shisa",
		"zsh":  "/usr/share/zsh/site-functions/_shisa",
		"fish": "/usr/share/fish/vendor_completions.d/shisa.fish",
	} {
		text, err := output(ctx, nil, shisa, "completion", shell)
		if err != nil {
			l.errs = append(l.errs, err)
			continue
		}
		l.text(to, text+"\n")
	}
	l.manual(ctx, shisa)
}

// originals adds the original's names of the command line, each with a page that
// leads to ours.
func (l *layout) originals() {
	for name, twin := range compat.Twins() {
		l.add(file{path: "/usr/sbin/" + name, link: "shisa"}, nil)
		page := fmt.Sprintf(".TH %s 8\n.SH NAME\n%s \\- command of the original, answered by shisa\n"+
			".SH DESCRIPTION\nOptions, output and exit codes are those of the original.\nThe same with shisa:\n.PP\n.nf\n%s\n.fi\n.SH SEE ALSO\nshisa(1)\n",
			strings.ToUpper(name), name, strings.ReplaceAll(twin, "-", `\-`))
		l.add(file{path: "/usr/share/man/man8/" + name + ".8.gz", mode: 0o644, data: gzipped([]byte(page))}, nil)
	}
}

// manual lets the program write its pages, and packs each beside those of the
// daemons, which have no command line to speak of.
func (l *layout) manual(ctx context.Context, shisa string) {
	dir := filepath.Join(l.b.work, "man")
	if err := os.RemoveAll(dir); err != nil {
		l.errs = append(l.errs, err)
	}
	_, err := output(ctx, []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", l.b.epoch)}, shisa, "man", dir)
	if err != nil {
		l.errs = append(l.errs, err)
		return
	}
	for _, from := range []string{dir, "packaging/man"} {
		pages, err := filepath.Glob(filepath.Join(from, "*.[1-8]"))
		if err != nil {
			l.errs = append(l.errs, err)
		}
		for _, p := range pages {
			text, err := os.ReadFile(p)
			name := filepath.Base(p)
			l.add(file{path: "/usr/share/man/man" + name[len(name)-1:] + "/" + name + ".gz", mode: 0o644, data: gzipped(l.b.fill(text))}, err)
		}
	}
}

// gzipped packs without name and time, so that the bits depend on the text only.
func gzipped(text []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level exists
	_, _ = z.Write(text)                                  // a bytes.Buffer takes everything
	_ = z.Close()
	return b.Bytes()
}
