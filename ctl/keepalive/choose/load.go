package choose

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"golang.org/x/sys/unix"

	"shisa/ctl/run"
)

// moduleLimit bounds a module's size once unpacked, in bytes.
const moduleLimit = 64 << 20

// loadTime is how long modprobe may take.
const loadTime = 10 * time.Second

// Load loads a kernel module and what it depends on: with modprobe, which knows
// the administrator's settings, or by itself where there is none.
func Load(ctx context.Context, root, module string, params ...string) error {
	for _, program := range []string{"/usr/sbin/modprobe", "/sbin/modprobe"} {
		if root != "/" {
			break
		}
		if st, err := os.Stat(program); err != nil || st.IsDir() {
			continue
		}
		r := run.Run(ctx, run.Command{Path: program, Args: append([]string{module}, params...), Timeout: loadTime})
		if err := r.AsError(); err != nil {
			return fmt.Errorf("load module %s: modprobe %w: %s", module, err, strings.TrimSpace(string(r.Output)))
		}
		return nil
	}
	return insert(root, module, params, unix.InitModule)
}

// insert loads a module without help.
func insert(root, module string, params []string, init func(image []byte, params string) error) error {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	files, err := Dependencies(root, unix.ByteSliceToString(name.Release[:]), module)
	if err != nil {
		return err
	}
	for i, file := range files {
		image, err := Unpack(filepath.Join(root, file))
		if err != nil {
			return fmt.Errorf("load module %s: %w", module, err)
		}
		args := ""
		if i == len(files)-1 {
			args = strings.Join(params, " ")
		}
		if err := init(image, args); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load module %s: %s: %w", module, file, err)
		}
	}
	return nil
}

// ErrNoModule says that the kernel has no such module.
var ErrNoModule = errors.New("no such module")

// Dependencies returns the files that must be loaded for module, itself last,
// as the modules.dep of that kernel release tells (depmod(8)). It is empty for
// a module that is built in, and wraps [ErrNoModule] when there is none.
func Dependencies(root, release, module string) ([]string, error) {
	for _, dir := range []string{"/lib/modules", "/usr/lib/modules"} {
		dir := path.Join(dir, release)
		files, err := dependencies(filepath.Join(root, dir), module)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look up module %s: %w", module, err)
		}
		for i, f := range files {
			if !path.IsAbs(f) {
				files[i] = path.Join(dir, f)
			}
		}
		return files, nil
	}
	return nil, fmt.Errorf("module %s for kernel %s: %w", module, release, ErrNoModule)
}

func dependencies(dir, module string) ([]string, error) {
	f, err := os.Open(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20) // some modules depend on dozens
	for lines.Scan() {
		file, needs, ok := strings.Cut(lines.Text(), ":")
		if !ok || moduleName(file) != moduleName(module) {
			continue
		}
		files := strings.Fields(needs) // nearest first: load from the end
		slices.Reverse(files)
		return append(files, file), nil
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	builtin, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err == nil && slices.ContainsFunc(strings.Fields(string(builtin)), func(f string) bool { return moduleName(f) == moduleName(module) }) {
		return nil, nil
	}
	return nil, ErrNoModule
}

// moduleName returns the name of the module in a file: "kernel/a/soft-dog.ko.xz"
// is "soft_dog".
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// Unpack reads a module, compressed or not.
func Unpack(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	switch path.Ext(file) {
	case ".gz":
		r, err = gzip.NewReader(f)
	case ".xz":
		r, err = xz.NewReader(bufio.NewReader(f))
	case ".zst":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(moduleLimit)); err == nil {
			defer z.Close()
			r = z
		}
	}
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", file, err)
	}
	image, err := io.ReadAll(io.LimitReader(r, moduleLimit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("unpack %s: %w", file, err)
	case len(image) > moduleLimit:
		return nil, fmt.Errorf("unpack %s: larger than %d bytes", file, moduleLimit)
	}
	return image, nil
}
