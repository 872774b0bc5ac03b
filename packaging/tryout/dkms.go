package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"shisa/ci/kbuild"
	"shisa/ci/vm"
)

// tryDKMS lets DKMS build the kernel module from what its package lays out, for each
// kernel of ci/kernels.txt.
func tryDKMS(ctx context.Context, r *report, dist string) error {
	work, err := os.MkdirTemp("", "tryout-dkms-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // a scratch folder
	found, err := filepath.Glob(filepath.Join(dist, "shisa-dkms_*_all.deb"))
	if !r.check(err == nil && len(found) == 1, "dkms found", "not one shisa-dkms_*_all.deb in "+dist) {
		return nil
	}
	if out, err := run(ctx, "dpkg-deb", "-x", found[0], work); err != nil {
		return fmt.Errorf("unpack %s: %w: %s", found[0], err, out)
	}
	sources, err := filepath.Glob(filepath.Join(work, "usr/src/clpka-*"))
	if !r.check(err == nil && len(sources) == 1, "dkms sources", "not one folder clpka-* in "+found[0]) {
		return nil
	}
	kernels, err := vm.Sources()
	if err != nil {
		return err
	}
	for _, s := range kernels {
		k, err := vm.Get(ctx, s.Name)
		if err != nil {
			return err
		}
		err = kbuild.DKMS(ctx, k, sources[0], filepath.Join(work, s.Name))
		r.check(err == nil, fmt.Sprintf("dkms %s (%s)", s.Name, k.Release), errText(err))
	}
	return nil
}
