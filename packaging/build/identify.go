package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// changelogHead finds the version of the newest release in CHANGELOG.md.
var changelogHead = regexp.MustCompile(`(?m)^## \[?v?(\d+\.\d+\.\d+)`)

// identify asks the source tree what it is. The version is that of the
// changelog; a tree without a release in it is 0.1.0.
func (b *build) identify(ctx context.Context) error {
	commit, err := output(ctx, nil, "git", "rev-parse", "HEAD")
	if err != nil {
		return err
	}
	when, err := output(ctx, nil, "git", "log", "-1", "--format=%ct")
	if err != nil {
		return err
	}
	if e := os.Getenv("SOURCE_DATE_EPOCH"); e != "" {
		when = e
	}
	b.commit = commit
	b.epoch, err = strconv.ParseInt(when, 10, 64)
	if err != nil {
		return fmt.Errorf("time of the commit: %w", err)
	}
	b.version = "0.1.0"
	if text, err := os.ReadFile("CHANGELOG.md"); err == nil {
		if m := changelogHead.FindSubmatch(text); m != nil {
			b.version = string(m[1])
		}
	}
	return b.enabledUnits()
}

// enabledUnits finds the units with a section [Install].
func (b *build) enabledUnits() error {
	names, err := filepath.Glob("systemd/*.*")
	if err != nil {
		return err
	}
	for _, n := range names {
		text, err := os.ReadFile(n)
		if err != nil {
			return err
		}
		if bytes.Contains(text, []byte("\n[Install]\n")) {
			b.units = append(b.units, filepath.Base(n))
		}
	}
	return nil
}

// compile builds the programs named by their folder in cmd/ and returns where
// each lies. Debug information is left out, and so are paths and the state of
// the work tree.
func (b *build) compile(ctx context.Context, programs ...string) (map[string]string, error) {
	bin := map[string]string{}
	for _, p := range programs {
		file := filepath.Join(b.work, "bin", p)
		_, err := output(ctx, []string{"CGO_ENABLED=0", "GOFLAGS="},
			"go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= "+b.stamp(), "-o", file, "./cmd/"+p)
		if err != nil {
			return nil, err
		}
		bin[p] = file
	}
	return bin, nil
}

// stamp sets the version that the programs show.
func (b *build) stamp() string { return "-X main.version=" + b.version }

// output runs a command in the source tree and returns what it printed, without
// the last line break. An error shows what the command said.
func output(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(errs.String()+out.String()))
	}
	return strings.TrimRight(out.String(), "\n"), nil
}
