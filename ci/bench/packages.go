package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// original is what the original's packages take when they are installed, in MB, by
// its guide.
const original = 140

// packageSizes builds the packages as they would be published and tells what is
// downloaded and what lies on the disk afterwards.
func packageSizes(ctx context.Context, r *rig) ([]figure, error) {
	dir := filepath.Join(r.dir, "packages")
	if _, err := timed(ctx, "go", nil, "run", "./packaging/build", "-out", dir); err != nil {
		return nil, err
	}
	var all []figure
	for _, p := range []struct {
		name, pattern string
		installed     func(file string) ([]string, float64) // command that prints the size, and its unit in bytes
	}{
		{"deb", "shisa_*_amd64.deb", func(file string) ([]string, float64) {
			return []string{"dpkg-deb", "-f", file, "Installed-Size"}, 1 << 10
		}},
		{"rpm", "shisa-[0-9]*.x86_64.rpm", func(file string) ([]string, float64) { return []string{"rpm", "-qp", "--qf", "%{SIZE}", file}, 1 }},
		{"tarball", "shisa-*.tar.gz", nil},
	} {
		files, err := filepath.Glob(filepath.Join(dir, p.pattern))
		if err != nil || len(files) != 1 {
			return all, fmt.Errorf("%d files are called %s: %v", len(files), p.pattern, err)
		}
		info, err := os.Stat(files[0])
		if err != nil {
			return all, err
		}
		all = append(all, figure{Name: "size_" + p.name, Value: float64(info.Size()) / (1 << 20), Unit: "MiB"})
		if p.installed == nil {
			continue
		}
		argv, unit := p.installed(files[0])
		text, err := exec.CommandContext(ctx, argv[0], argv[1:]...).Output()
		if err != nil {
			return all, fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
		if err != nil {
			return all, err
		}
		all = append(all, figure{Name: "installed_" + p.name, Value: n * unit / (1 << 20), Unit: "MiB", Aim: "<= 40", Note: fmt.Sprintf("the original: %d MB", original)})
	}
	return all, nil
}
