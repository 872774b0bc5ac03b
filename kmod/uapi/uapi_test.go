package uapi

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unsafe"
)

// TestCompiler asks a C compiler, for 64 and 32 bits, for what the generator has
// worked out by itself.
func TestCompiler(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler on this machine")
	}
	checks := []struct {
		expression string
		value      uintptr
	}{
		{"sizeof(struct clpka_config)", unsafe.Sizeof(Config{})},
		{"sizeof(struct clpka_shutdown)", unsafe.Sizeof(Shutdown{})},
		{"sizeof(struct clpka_note)", unsafe.Sizeof(Note{})},
		{"sizeof(struct clpka_status)", unsafe.Sizeof(Status{})},
		{"__builtin_offsetof(struct clpka_status, comm)", unsafe.Offsetof(Status{}.Comm)},
		{"__builtin_offsetof(struct clpka_status, now_ns)", unsafe.Offsetof(Status{}.NowNs)},
		{"__builtin_offsetof(struct clpka_status, pings)", unsafe.Offsetof(Status{}.Pings)},
		{"CLPKA_SETCONFIG", IoctlSetconfig},
		{"CLPKA_SETSHUTDOWN", IoctlSetshutdown},
		{"CLPKA_SETNOTE", IoctlSetnote},
		{"CLPKA_GETSTATUS", IoctlGetstatus},
	}
	var c strings.Builder
	c.WriteString("#include \"../include/clpka.h\"\n")
	for _, check := range checks {
		c.WriteString("_Static_assert(" + check.expression + " == " + strconv.FormatUint(uint64(check.value), 10) + ", \"" + check.expression + "\");\n")
	}
	source := filepath.Join(t.TempDir(), "check.c")
	if err := os.WriteFile(source, []byte(c.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"-m64", "-m32"} {
		// <asm/ioctl.h> is in a folder of the architecture's; -m32 shares it.
		cmd := exec.Command(cc, flag, "-fsyntax-only", "-I", here, "-idirafter", "/usr/include/x86_64-linux-gnu", "-x", "c", source)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", flag, err, out)
		}
	}
}
