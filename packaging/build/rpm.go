package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
	}
	return made, nil
}

func (b *build) rpm(ctx context.Context, top string, p *pkg) ([]string, error) {
	text, err := os.ReadFile(filepath.Join("packaging/rpm", p.name+".spec"))
	if err != nil {
		return nil, err
	}
	spec := filepath.Join(top, "SPECS", p.name+".spec")
	if err := os.MkdirAll(filepath.Dir(spec), 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(spec, b.fill(text), 0o644); err != nil {
		return nil, err
	}
	source, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	_, err = output(ctx, []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", b.epoch)}, "rpmbuild", "-bb", "--quiet",
		"--define", "_topdir "+top,
		"--define", "shisa_stage "+filepath.Join(top, "stage", p.name),
		"--define", "shisa_source "+source,
		// What would otherwise differ from one build to the next.
		"--define", "_buildhost reproducible",
		"--define", "use_source_date_epoch_as_buildtime 1",
		"--define", "clamp_mtime_to_source_date_epoch 1",
		"--define", "source_date_epoch_from_changelog 0",
		spec)
	if err != nil {
		return nil, err
	}
	built, err := filepath.Glob(filepath.Join(top, "RPMS", "*", "*.rpm"))
	if err != nil {
		return nil, err
	}
	var made []string
	for _, from := range built {
		if !strings.HasPrefix(filepath.Base(from), p.name+"-"+b.version) {
			continue
		}
		to := filepath.Join(b.out, filepath.Base(from))
		if err := os.Rename(from, to); err != nil {
			return nil, err
		}
		made = append(made, to)
	}
	if len(made) == 0 {
		return nil, fmt.Errorf("rpmbuild made no package of that name")
	}
	return made, nil
}
