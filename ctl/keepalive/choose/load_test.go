package choose

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"golang.org/x/sys/unix"

	"shisa/hwcompat/kofind"
)

func write(t *testing.T, root, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const dep = `kernel/drivers/watchdog/watchdog.ko.xz:
kernel/drivers/watchdog/softdog.ko.xz: kernel/drivers/watchdog/watchdog.ko.xz
kernel/drivers/char/ipmi/ipmi_devintf.ko: kernel/drivers/char/ipmi/ipmi_msghandler.ko kernel/a/b.ko
updates/dkms/i6300-esb.ko.zst:
`

func TestDependencies(t *testing.T) {
	root := t.TempDir()
	write(t, root, "lib/modules/6.1/modules.dep", []byte(dep))
	write(t, root, "lib/modules/6.1/modules.builtin", []byte("kernel/drivers/watchdog/wdt-core.ko\n"))
	write(t, root, "usr/lib/modules/7.2/modules.dep", []byte("/abs/x.ko:\n"))
	for _, c := range []struct{ release, module, want string }{
		{"6.1", "softdog", "/lib/modules/6.1/kernel/drivers/watchdog/watchdog.ko.xz /lib/modules/6.1/kernel/drivers/watchdog/softdog.ko.xz"},
		{"6.1", "ipmi_devintf", "/lib/modules/6.1/kernel/a/b.ko /lib/modules/6.1/kernel/drivers/char/ipmi/ipmi_msghandler.ko /lib/modules/6.1/kernel/drivers/char/ipmi/ipmi_devintf.ko"},
		{"6.1", "i6300_esb", "/lib/modules/6.1/updates/dkms/i6300-esb.ko.zst"},
		{"6.1", "wdt_core", ""},
		{"7.2", "x", "/abs/x.ko"},
	} {
		files, err := Dependencies(root, c.release, c.module)
		if got := strings.Join(files, " "); err != nil || got != c.want {
			t.Errorf("%s on %s: %q, %v; want %q", c.module, c.release, got, err, c.want)
		}
	}
	for _, release := range []string{"6.1", "9.9"} {
		if _, err := Dependencies(root, release, "absent"); !errors.Is(err, ErrNoModule) {
			t.Errorf("absent on %s: %v", release, err)
		}
	}
}

func TestUnpack(t *testing.T) {
	want := bytes.Repeat([]byte("\x7fELF module "), 1000)
	var gz, x, zst bytes.Buffer
	g := gzip.NewWriter(&gz)
	g.Write(want)
	g.Close()
	xw, err := xz.NewWriter(&x)
	if err != nil {
		t.Fatal(err)
	}
	xw.Write(want)
	xw.Close()
	zw, err := zstd.NewWriter(&zst)
	if err != nil {
		t.Fatal(err)
	}
	zw.Write(want)
	zw.Close()
	root := t.TempDir()
	for name, content := range map[string][]byte{"a.ko": want, "a.ko.gz": gz.Bytes(), "a.ko.xz": x.Bytes(), "a.ko.zst": zst.Bytes()} {
		got, err := Unpack(write(t, root, name, content))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if !strings.HasSuffix(name, ".ko") {
			if _, err := Unpack(write(t, root, "torn-"+name, content[:len(content)/2])); err == nil {
				t.Errorf("torn %s was unpacked", name)
			}
		}
	}
}

func TestInsertInOrderWithParameters(t *testing.T) {
	root := t.TempDir()
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	dir := "lib/modules/" + unix.ByteSliceToString(name.Release[:])
	write(t, root, dir+"/modules.dep", []byte("k/softdog.ko: k/watchdog.ko\nk/watchdog.ko:\n"))
	write(t, root, dir+"/k/softdog.ko", []byte("S"))
	write(t, root, dir+"/k/watchdog.ko", []byte("W"))
	var calls []string
	init := func(image []byte, params string) error {
		calls = append(calls, string(image)+" "+params)
		if string(image) == "W" {
			return unix.EEXIST // loaded already
		}
		return nil
	}
	if err := insert(root, "softdog", []string{"soft_panic=0", "nowayout=0"}, init); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(calls, []string{"W ", "S soft_panic=0 nowayout=0"}) {
		t.Errorf("calls %q", calls)
	}
	err := insert(root, "softdog", nil, func([]byte, string) error { return unix.EKEYREJECTED })
	if err == nil || !strings.Contains(err.Error(), "softdog") {
		t.Errorf("a module that lockdown rejects: %v", err)
	}
}

func TestLastRecord(t *testing.T) {
	overwritten := true
	records := []string{
		"6,1000,5000000,-;clpka: loading out-of-tree module taints kernel.\n SUBSYSTEM=module\n",
		"3,1001,5000001,-;clpka: disagrees about version of symbol module_layout\n",
		"6,1002,5000002,-;other: clpka: not its own\n",
	}
	read := func(p []byte) (int, error) {
		switch {
		case overwritten:
			overwritten = false
			return 0, unix.EPIPE
		case len(records) == 0:
			return 0, unix.EAGAIN
		}
		n := copy(p, records[0])
		records = records[1:]
		return n, nil
	}
	if got, want := lastRecord(read, "clpka: "), "clpka: disagrees about version of symbol module_layout"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestExplainByLog: what the kernel's log says decides where the error alone does not.
func TestExplainByLog(t *testing.T) {
	found := kofind.Result{Rebuild: "dkms install clpka/1 -k 6.1"}
	for _, c := range []struct {
		err       error
		why, mend string
	}{
		{logged{unix.ENOENT, "clpka: Unknown symbol foo (err -2)"}, "a symbol that this kernel does not have, or has in another version (clpka: Unknown symbol foo (err -2))", "dkms install"},
		{logged{unix.EINVAL, "clpka: disagrees about version of symbol module_layout"}, "in another version", "dkms install"},
		{logged{unix.EINVAL, "clpka: `x' invalid for parameter `timeout_ms'"}, "does not take its parameters", "modinfo /m.ko"},
		{logged{unix.ENOEXEC, "clpka: version magic 'a' should be 'b'"}, "(clpka: version magic 'a' should be 'b')", "dkms install"},
		{os.ErrNotExist, "cannot be loaded: file does not exist", "shisa doctor"},
	} {
		r := Machine{Root: t.TempDir()}.refusal("/m.ko", c.err, found)
		if !strings.Contains(r.Error(), c.why) || !strings.Contains(r.Mend, c.mend) || !strings.HasPrefix(r.Error(), "/m.ko: ") {
			t.Errorf("%v: %v; %s", c.err, r, r.Mend)
		}
	}
}
