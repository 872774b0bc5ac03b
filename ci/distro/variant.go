package distro

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Variant returns a copy of the image that change has worked on, on this machine
// and not in emulation, with the path of the mounted root. The copy lies in dir and is
// the caller's.
func (im Image) Variant(ctx context.Context, dir string, change func(root string) error) (Image, error) {
	v := im
	v.Path = filepath.Join(dir, "disk.img")
	if _, err := run(ctx, "cp", "--sparse=always", im.Path, v.Path); err != nil {
		return v, err
	}
	root := filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		return v, err
	}
	if _, err := run(ctx, "mount", "-o", "loop", v.Path, root); err != nil {
		return v, err
	}
	err := change(root)
	_, uerr := run(context.WithoutCancel(ctx), "umount", root)
	if err = errors.Join(err, uerr); err != nil {
		return v, fmt.Errorf("change an image of %s: %w", im.Suite.Name, err)
	}
	return v, nil
}
