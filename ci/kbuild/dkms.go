package kbuild

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"shisa/ci/vm"
)

// readOnly runs a program to which a folder cannot be written: a build that fails with
// headers of a newer distribution deletes their Module.symvers.
const readOnly = `mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; exec "$@"`

// DKMS has dkms(8) of this machine build the module of source, a folder called
// NAME-VERSION with a dkms.conf, for k. It builds below work, a folder of the caller's,
// and touches nothing of this machine's own tree. Headers of a newer distribution are
// tried in an installation of that. It needs root.
func DKMS(ctx context.Context, k vm.Kernel, source, work string) error {
	headers, err := headersOf(ctx, k)
	if err != nil {
		return err
	}
	cache, err := vm.CacheDir()
	if err != nil {
		return err
	}
	folder := filepath.Base(source)
	if err := os.CopyFS(filepath.Join(work, "src", folder), os.DirFS(source)); err != nil {
		return err
	}
	d := dkms{k: k, work: work}
	d.name, d.version, _ = strings.Cut(folder, "-")
	native := d.build("native", headers, func(args []string) (string, error) {
		return command(ctx, "unshare", append([]string{"-m", "sh", "-ec", readOnly, filepath.Join(k.Dir, "headers")}, args...)...)
	})
	if native == nil {
		return nil
	}
	inside := filepath.Join("/usr/src", filepath.Base(headers))
	sid := d.build("sid", inside, func(args []string) (string, error) {
		return inSid(ctx, headers, work, filepath.Join(cache, "build-sid"), args)
	})
	if sid != nil {
		return errors.Join(native, sid)
	}
	return nil
}

// A dkms is one module to be built for one kernel.
type dkms struct {
	k             vm.Kernel
	work          string
	name, version string
}

// build wants exactly one module of the program that run starts.
func (d dkms) build(where, headers string, run func(args []string) (string, error)) error {
	tree := filepath.Join(d.work, where)
	if err := os.MkdirAll(tree, 0o755); err != nil {
		return err
	}
	_, err := run([]string{"dkms", "build", "-m", d.name, "-v", d.version, "-k", d.k.Release, "--kernelsourcedir", headers,
		"--dkmstree", tree, "--sourcetree", filepath.Join(d.work, "src"), "--installtree", filepath.Join(d.work, "modules")})
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(tree, d.name, d.version, "build/make.log")) // what there is of it
		return fmt.Errorf("%w\n%s", err, log)
	}
	built, err := filepath.Glob(filepath.Join(tree, d.name, d.version, d.k.Release, "*", "module", d.name+".ko*"))
	if err == nil && len(built) != 1 {
		err = fmt.Errorf("dkms built %d modules for %s", len(built), d.k.Release)
	}
	return err
}
