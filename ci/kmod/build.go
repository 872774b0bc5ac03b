package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"shisa/ci/kbuild"
	"shisa/ci/vm"
)

// newRig gets a kernel and builds the modules for it.
func newRig(ctx context.Context, source vm.Source) (*rig, error) {
	k, err := fetch(ctx, source)
	if err != nil {
		return nil, err
	}
	clpka, err1 := kbuild.Module(ctx, k, "kmod", "clpka")
	faults, err2 := kbuild.Module(ctx, k, "ci/kmod/faults", "faults")
	return &rig{kernel: k, clpka: clpka, faults: faults}, errors.Join(err1, err2)
}

func fetch(ctx context.Context, source vm.Source) (vm.Kernel, error) {
	if source.Name == kbuild.Sanitized {
		return kbuild.MakeSanitized(ctx)
	}
	return vm.Fetch(ctx, source, false)
}

// guestFiles returns what guests get beside the module: the eBPF program, where there
// is a compiler for it, and our tool as a 32-bit program. Work is a scratch folder.
func guestFiles(ctx context.Context, work string) (map[string]vm.File, error) {
	object, tool := filepath.Join(work, "kfunc.bpf.o"), filepath.Join(work, "guest32")
	if _, err := os.Stat(tool); err != nil {
		if err := command(ctx, "env", "GOARCH=386", "CGO_ENABLED=0", "go", "build", "-trimpath", "-ldflags=-s -w", "-o", tool, "./ci/kmod/guest"); err != nil {
			return nil, err
		}
		err := command(ctx, "clang", "-target", "bpf", "-g", "-O2", "-mcpu=v2", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
			"-I", "bpf/src", "-c", "ci/kmod/kfunc/kfunc.bpf.c", "-o", object)
		if err != nil && !errors.Is(err, exec.ErrNotFound) {
			return nil, err
		}
	}
	files := map[string]vm.File{}
	for path, file := range map[string]string{tool32: tool, program: object} {
		data, err := os.ReadFile(file)
		if err != nil && path != program {
			return nil, err
		}
		if err == nil {
			files[path] = vm.File{Data: data, Mode: 0o755}
		}
	}
	return files, nil
}

// command runs a program of the host.
func command(ctx context.Context, name string, args ...string) error {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out.String())
	}
	return nil
}
