// Command build makes the packages: deb, rpm and a tarball, with a bill of
// materials and checksums, into dist/. From one commit it makes the same bits
// every time: nothing in a package depends on the clock, the user, the folder
// or the order of a directory.
//
//	build [-out dist] [-only deb,rpm,tar] [-package shisa,shisa-dkms]
//	build -stage DIR    only lay the files of package shisa out below DIR
//
// It runs in the root of the source tree. payload.go says which file goes into
// which package; spec files and maintainer scripts are in ../rpm and ../deb.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	out := flag.String("out", "dist", "folder for the results")
	only := flag.String("only", "deb,rpm,tar", "kinds of package")
	version := flag.String("version", "", "version, instead of the newest in CHANGELOG.md")
	names := flag.String("package", "", "packages, by name; empty: all")
	stage := flag.String("stage", "", "lay the files of package shisa out below this folder, and stop")
	flag.Parse()
	b, err := newBuild(ctx, *out)
	if err == nil && *version != "" {
		b.version = *version
	}
	if err == nil && *stage != "" {
		err = b.stageOnly(ctx, *stage)
	} else if err == nil {
		err = b.run(ctx, strings.Split(*only, ","), strings.FieldsFunc(*names, func(r rune) bool { return r == ',' }))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

// A build is one run: what is built, from when, to where.
type build struct {
	out     string
	version string
	commit  string
	epoch   int64 // SOURCE_DATE_EPOCH: seconds, the time of the commit
	work    string
	units   []string // of systemd/, those that are enabled
}

func newBuild(ctx context.Context, out string) (*build, error) {
	b := &build{out: out, work: filepath.Join(out, "work")}
	if err := os.MkdirAll(b.work, 0o755); err != nil {
		return nil, err
	}
	return b, b.identify(ctx)
}

func (b *build) stageOnly(ctx context.Context, dir string) error {
	p, err := b.shisa(ctx)
	if err != nil {
		return err
	}
	return stageTree(dir, p.files, b.epoch)
}

// run makes the packages one after the other and lists them.
func (b *build) run(ctx context.Context, kinds, names []string) error {
	packages, err := b.packages(ctx, names)
	if err != nil {
		return err
	}
	var made []string
	for _, kind := range []struct {
		name string
		make func(context.Context, []*pkg) ([]string, error)
	}{{"deb", b.debs}, {"rpm", b.rpms}, {"tar", b.tarball}} {
		if !slices.Contains(kinds, kind.name) {
			continue
		}
		files, err := kind.make(ctx, packages)
		if err != nil {
			return fmt.Errorf("make %s: %w", kind.name, err)
		}
		made = append(made, files...)
	}
	sbom, err := b.sbom()
	if err != nil {
		return fmt.Errorf("list the materials: %w", err)
	}
	return b.finish(append(made, sbom))
}
