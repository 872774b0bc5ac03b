package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"shisa/ci/vm"
)

// tryDKMS lets DKMS build the kernel module from what its package lays out, for each
// kernel of ci/kernels.txt whose headers work with this machine's compiler. Nothing of
// this machine's own tree is touched.
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
	built := 0
	for _, s := range kernels {
		k, err := vm.Get(ctx, s.Name)
		if err != nil {
			return err
		}
		headers, err := vm.Headers(ctx, s, k)
		if err != nil {
			return err
		}
		if ok, err := usable(ctx, headers, work); err != nil {
			return err
		} else if !ok {
			fmt.Printf("not had dkms %s: the headers of %s want a newer compiler or C library than this machine's\n", s.Name, k.Release)
			continue
		}
		built++
		out, err := dkmsBuild(ctx, sources[0], k.Release, headers, work)
		r.check(err == nil, fmt.Sprintf("dkms %s (%s)", s.Name, k.Release), out+errText(err))
	}
	r.check(built > 0, "dkms of any kernel", "there are no headers that work here")
	return nil
}

// usable reports whether headers build a module without sources.
func usable(ctx context.Context, headers, work string) (bool, error) {
	empty := filepath.Join(work, "empty")
	if err := os.MkdirAll(empty, 0o755); err != nil {
		return false, err
	}
	if err := os.WriteFile(filepath.Join(empty, "Kbuild"), []byte("obj-m :=\n"), 0o644); err != nil {
		return false, err
	}
	_, err := run(ctx, "make", "-s", "-C", headers, "M="+empty, "modules")
	return err == nil, nil
}

// dkmsBuild builds the module of the folder NAME-VERSION and wants one file of it.
func dkmsBuild(ctx context.Context, source, release, headers, work string) (string, error) {
	name, version, _ := strings.Cut(filepath.Base(source), "-")
	tree := filepath.Join(work, "tree")
	if err := os.MkdirAll(tree, 0o755); err != nil {
		return "", err
	}
	out, err := run(ctx, "dkms", "build", "-m", name, "-v", version, "-k", release, "--kernelsourcedir", headers,
		"--dkmstree", tree, "--sourcetree", filepath.Dir(source), "--installtree", filepath.Join(work, "modules"))
	if err != nil {
		return tail(out), err
	}
	built, err := filepath.Glob(filepath.Join(tree, name, version, release, "*", "module", name+".ko*"))
	if err == nil && len(built) != 1 {
		err = fmt.Errorf("%d modules were built", len(built))
	}
	return tail(out), err
}
