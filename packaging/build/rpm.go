package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// rpms builds the spec files in packaging/rpm/. The files of package shisa come
// from the same layout as in the deb, staged, so that both carry the same bits;
// a spec file built elsewhere (mock, the build service of SUSE) stages them
// itself.
func (b *build) rpms(ctx context.Context, packages []*pkg) ([]string, error) {
	top, err := filepath.Abs(filepath.Join(b.work, "rpm"))
	if err != nil {
		return nil, err
	}
	if err := os.RemoveAll(top); err != nil {
		return nil, err
	}
	for _, p := range packages {
		if err := stageTree(filepath.Join(top, "stage", p.name), p.files, b.epoch); err != nil {
			return nil, err
		}
	}
	var made []string
	for _, p := range packages {
		files, err := b.rpm(ctx, top, p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		made = append(made, files...)
		if p.name == dkmsPackage {
			sources, err := b.moduleSources(ctx, top)
			if err != nil {
				return nil, err
			}
			made = append(made, sources...)
		}
	}
	return made, nil
}

func (b *build) rpm(ctx context.Context, top string, p *pkg) ([]string, error) {
	source, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	spec, err := b.spec(top, p.name)
	if err != nil {
		return nil, err
	}
	err = b.rpmbuild(ctx, top, "-bb", "--define", "shisa_stage "+filepath.Join(top, "stage", p.name), "--define", "shisa_source "+source, spec)
	if err != nil {
		return nil, err
	}
	return b.collect(filepath.Join(top, "RPMS", "*", p.name+"-"+b.version+"-*.rpm"))
}

// prebuilt are the spec files of the module as the distributions build it, each
// for its own kernels. Here only their source packages can be made: the macros
// belong to the distributions.
var prebuilt = []string{"shisa-kmod", "shisa-kmp"}

// moduleSources makes the source packages of the prebuilt modules.
func (b *build) moduleSources(ctx context.Context, top string) ([]string, error) {
	l := &layout{b: b}
	l.sources("kmod", "/kmod")
	if err := l.err(); err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	if err := xzTar(&packed, fmt.Sprintf("shisa-%s/", b.version), sorted(l.files), b.epoch); err != nil {
		return nil, err
	}
	tarball := filepath.Join(top, "SOURCES", fmt.Sprintf("shisa-%s.tar.xz", b.version))
	if err := writeAt(tarball, packed.Bytes(), b.epoch); err != nil {
		return nil, err
	}
	for _, name := range prebuilt {
		spec, err := b.spec(top, name)
		if err != nil {
			return nil, err
		}
		if err := b.rpmbuild(ctx, top, "-bs", "--nodeps", spec); err != nil {
			return nil, err
		}
	}
	return b.collect(filepath.Join(top, "SRPMS", "*.src.rpm"))
}

// spec fills a spec file in and returns where it lies.
func (b *build) spec(top, name string) (string, error) {
	text, err := os.ReadFile(filepath.Join("packaging/rpm", name+".spec"))
	if err != nil {
		return "", err
	}
	spec := filepath.Join(top, "SPECS", name+".spec")
	return spec, writeAt(spec, b.fill(text), b.epoch)
}

// writeAt writes a file that is as old as the commit: rpm keeps the age of what
// it packs.
func writeAt(name string, data []byte, epoch int64) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return stageFile(name, file{mode: 0o644, data: data}, epoch)
}

// rpmbuild runs it so that nothing differs from one build to the next.
func (b *build) rpmbuild(ctx context.Context, top string, args ...string) error {
	_, err := output(ctx, []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", b.epoch)}, "rpmbuild", append([]string{
		"--quiet",
		"--define", "_topdir " + top,
		"--define", "_buildhost reproducible",
		"--define", "use_source_date_epoch_as_buildtime 1",
		"--define", "clamp_mtime_to_source_date_epoch 1",
		"--define", "source_date_epoch_from_changelog 0",
	}, args...)...)
	return err
}

// collect moves what was built to where the results lie.
func (b *build) collect(pattern string) ([]string, error) {
	built, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	var made []string
	for _, from := range built {
		to := filepath.Join(b.out, filepath.Base(from))
		if err := os.Rename(from, to); err != nil {
			return nil, err
		}
		made = append(made, to)
	}
	if len(made) == 0 {
		return nil, fmt.Errorf("rpmbuild made no %s", pattern)
	}
	return made, nil
}
