package vm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// fakeModule returns an ELF file with nothing but a .modinfo section.
func fakeModule(depends string) []byte {
	info := "license=GPL\x00depends=" + depends + "\x00name=x\x00"
	names := "\x00.modinfo\x00.shstrtab\x00"
	le := binary.LittleEndian
	header := make([]byte, 64)
	copy(header, "\x7fELF\x02\x01\x01")
	le.PutUint16(header[16:], 1)  // ET_REL
	le.PutUint16(header[18:], 62) // EM_X86_64
	le.PutUint32(header[20:], 1)
	le.PutUint64(header[40:], uint64(64+len(info)+len(names))) // section headers
	le.PutUint16(header[52:], 64)
	le.PutUint16(header[58:], 64)
	le.PutUint16(header[60:], 3)
	le.PutUint16(header[62:], 2)
	section := func(name, kind uint32, offset, size int) []byte {
		s := make([]byte, 64)
		le.PutUint32(s[0:], name)
		le.PutUint32(s[4:], kind)
		le.PutUint64(s[24:], uint64(offset))
		le.PutUint64(s[32:], uint64(size))
		return s
	}
	return slices.Concat(header, []byte(info), []byte(names), make([]byte, 64),
		section(1, 1, 64, len(info)), section(10, 3, 64+len(info), len(names)))
}

// fakeKernel writes a kernel folder with modules of the given names and needs.
func fakeKernel(t *testing.T, needs map[string]string, builtin ...string) Kernel {
	t.Helper()
	k := Kernel{Name: "fake", Release: "1.2.3", Dir: t.TempDir()}
	dir := filepath.Join(k.ModuleDir(), "kernel/drivers")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, depends := range needs {
		if err := os.WriteFile(filepath.Join(dir, file), compress(t, file, fakeModule(depends)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if len(builtin) > 0 {
		list := "kernel/" + strings.Join(builtin, ".ko\nkernel/") + ".ko\n"
		if err := os.WriteFile(filepath.Join(k.ModuleDir(), "modules.builtin"), []byte(list), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func compress(t *testing.T, file string, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	switch filepath.Ext(file) {
	case ".xz":
		w, err := xz.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	case ".zst":
		w, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		return w.EncodeAll(data, nil)
	}
	return data
}

func TestModuleClosure(t *testing.T) {
	k := fakeKernel(t, map[string]string{
		"watchdog.ko":       "",
		"soft-dog.ko.xz":    "watchdog",
		"ipmi-msg.ko.zst":   "",
		"ipmi_si.ko":        "ipmi_msg,plain",
		"ipmi_watchdog.ko":  "ipmi_si,watchdog,ipmi-msg",
		"broken_need.ko":    "absent",
		"ring_a.ko":         "ring_b",
		"ring_b.ko":         "ring_a",
		"not_a_module.text": "",
	}, "plain", "lib/crc32c")
	tests := []struct {
		name string
		ask  []string
		want string
		err  string
	}{
		{"alone", []string{"watchdog"}, "watchdog", ""},
		{"one need, xz", []string{"soft-dog"}, "watchdog soft_dog", ""},
		{"zst, built in", []string{"ipmi_watchdog"}, "ipmi_msg ipmi_si watchdog ipmi_watchdog", ""},
		{"each once", []string{"soft_dog", "ipmi_watchdog", "watchdog"}, "watchdog soft_dog ipmi_msg ipmi_si ipmi_watchdog", ""},
		{"built in only", []string{"crc32c"}, "", ""},
		{"none", nil, "", ""},
		{"absent", []string{"nothing"}, "", "module nothing: no such module"},
		{"absent need", []string{"broken_need"}, "", "module absent: no such module (needed by broken_need)"},
		{"a cycle ends", []string{"ring_a"}, "ring_b ring_a", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mods, err := openModules(k)
			if err != nil {
				t.Fatal(err)
			}
			list, err := mods.closure(tt.ask...)
			if tt.err != "" {
				if !errors.Is(err, ErrNoModule) || err.Error() != tt.err {
					t.Errorf("got %v, want %s", err, tt.err)
				}
				return
			}
			var names []string
			for _, m := range list {
				names = append(names, m.name)
			}
			if got := strings.Join(names, " "); err != nil || got != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestImageModules(t *testing.T) {
	k := fakeKernel(t, map[string]string{"a.ko": "", "b.ko": "a", "c.ko": "b", "lazy.ko": "a"})
	own := filepath.Join(t.TempDir(), "own.ko")
	if err := os.WriteFile(own, fakeModule("a"), 0o644); err != nil {
		t.Fatal(err)
	}
	mods, err := openModules(k, own)
	if err != nil {
		t.Fatal(err)
	}
	im := newImage()
	load, err := im.modules(k, mods, []string{"own timeout=3", "c", "?absent"}, []string{"lazy", "?gone"})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, m := range load {
		order = append(order, strings.TrimSpace(filepath.Base(m.Path)+" "+m.Params))
	}
	if got, want := strings.Join(order, ", "), "a.ko, own.ko timeout=3, b.ko, c.ko"; got != want {
		t.Errorf("load order: got %s, want %s", got, want)
	}
	dep := im.records["lib/modules/1.2.3/modules.dep"]
	text := make([]byte, dep.FileSize)
	if _, err := dep.ReadAt(text, 0); err != nil {
		t.Fatal(err)
	}
	if want := "a.ko:\nown.ko: a.ko\nb.ko: a.ko\nc.ko: b.ko a.ko\nlazy.ko: a.ko\n"; string(text) != want {
		t.Errorf("modules.dep: got\n%swant\n%s", text, want)
	}
	if _, err := newImage().modules(k, mods, []string{"absent"}, nil); !errors.Is(err, ErrNoModule) {
		t.Errorf("a module that is not optional: got %v, want ErrNoModule", err)
	}
}

func TestModuleDepsOfBadFiles(t *testing.T) {
	good := fakeModule("a,b")
	if deps, err := moduleDeps(good); err != nil || !slices.Equal(deps, []string{"a", "b"}) {
		t.Fatalf("got %v, %v", deps, err)
	}
	for cut := range good {
		// A module cut short is an error or lacks needs; it must never panic.
		_, _ = moduleDeps(good[:cut])
	}
}
