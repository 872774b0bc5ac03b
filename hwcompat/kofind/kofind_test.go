package kofind_test

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"shisa/hwcompat/kofind"
)

const (
	rel  = "6.1.0-50-amd64"
	el9  = "5.14.0-427.el9.x86_64"
	el90 = "5.14.0-70.13.1.el9_0.x86_64"
)

// module makes the smallest ELF file with a section .modinfo.
func module(vermagic string, signed bool) []byte {
	modinfo := []byte("license=GPL\x00vermagic=" + vermagic + "\x00")
	names := []byte("\x00.modinfo\x00.shstrtab\x00")
	const head = 64
	h := elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_REL), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
		Shoff: uint64(head + len(modinfo) + len(names)), Ehsize: head, Shentsize: 64, Shnum: 3, Shstrndx: 2,
	}
	var b bytes.Buffer
	write := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) } // a bytes.Buffer takes everything
	write(h)
	b.Write(modinfo)
	b.Write(names)
	write(elf.Section64{})
	write(elf.Section64{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: head, Size: uint64(len(modinfo))})
	write(elf.Section64{Name: 10, Type: uint32(elf.SHT_STRTAB), Off: uint64(head + len(modinfo)), Size: uint64(len(names))})
	if signed {
		b.WriteString("signature~Module signature appended~\n")
	}
	return b.Bytes()
}

func zip(b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(b)
	_ = w.Close()
	return z.Bytes()
}

func link(to string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(to), Mode: fs.ModeSymlink | 0o777}
}

func file(b []byte) *fstest.MapFile { return &fstest.MapFile{Data: b} }

func TestFind(t *testing.T) {
	plain := module(rel+" SMP preempt mod_unload modversions ", false)
	el90mod := module(el90+" SMP preempt mod_unload modversions ", true)
	tests := []struct {
		name     string
		release  string
		files    fstest.MapFS
		want     []string // "way path signature"
		rejected string
		mend     string
	}{
		{
			"built for exactly this release", rel,
			fstest.MapFS{"lib/modules/" + rel + "/extra/shisa/clpka.ko": file(plain)},
			[]string{"prebuilt /lib/modules/" + rel + "/extra/shisa/clpka.ko unsigned"}, "", "",
		},
		{
			"merged /usr is looked at once", rel,
			fstest.MapFS{"lib": link("usr/lib"), "usr/lib/modules/" + rel + "/updates/clpka.ko": file(plain)},
			[]string{"prebuilt /lib/modules/" + rel + "/updates/clpka.ko unsigned"}, "", "",
		},
		{
			"compressed files", rel,
			fstest.MapFS{
				"lib/modules/" + rel + "/extra/clpka.ko.gz":         file(zip(plain)),
				"lib/modules/" + rel + "/updates/dkms/clpka.ko.zst": file([]byte("zstd")),
			},
			[]string{"prebuilt /lib/modules/" + rel + "/extra/clpka.ko.gz unsigned", "dkms /lib/modules/" + rel + "/updates/dkms/clpka.ko.zst unread"}, "", "",
		},
		{
			"built for another release", rel,
			fstest.MapFS{"lib/modules/" + rel + "/extra/clpka.ko": file(module("6.1.0-49-amd64 SMP ", false))},
			nil, "built for 6.1.0-49-amd64", "install the package shisa-dkms",
		},
		{
			"weak-modules", el9,
			fstest.MapFS{
				"lib/modules/" + el9 + "/weak-updates/shisa/clpka.ko": link("../../../" + el90 + "/extra/shisa/clpka.ko"),
				"lib/modules/" + el90 + "/extra/shisa/clpka.ko":       file(el90mod),
			},
			[]string{"weak-modules /lib/modules/" + el9 + "/weak-updates/shisa/clpka.ko signed"}, "installed for " + el90, "",
		},
		{
			"weak-modules without symbol versions", el9,
			fstest.MapFS{
				"lib/modules/" + el9 + "/weak-updates/clpka.ko": link("../../" + el90 + "/extra/clpka.ko"),
				"lib/modules/" + el90 + "/extra/clpka.ko":       file(module(el90+" SMP mod_unload ", false)),
			},
			nil, "without symbol versions", "shisa-dkms",
		},
		{
			"weak-modules without symbol versions, for this very release", el9,
			fstest.MapFS{
				"lib/modules/" + el9 + "/weak-updates/clpka.ko": link("../../other/extra/clpka.ko"),
				"lib/modules/other/extra/clpka.ko":              file(module(el9+" SMP mod_unload ", false)),
			},
			[]string{"weak-modules /lib/modules/" + el9 + "/weak-updates/clpka.ko unsigned"}, "installed for other", "",
		},
		{
			"a link into nothing", el9,
			fstest.MapFS{"lib/modules/" + el9 + "/weak-updates/clpka.ko": link("../../gone/extra/clpka.ko")},
			nil, "its target is gone: ../../gone/extra/clpka.ko", "shisa-dkms",
		},
		{
			"DKMS of the Red Hat family installs to extra", el9,
			fstest.MapFS{
				"lib/modules/" + el9 + "/extra/clpka.ko":             file(module(el9+" SMP ", true)),
				"var/lib/dkms/clpka/kernel-" + el9 + "-x86_64":       link("0.1.0/" + el9 + "/x86_64"),
				"var/lib/dkms/clpka/0.1.0/" + el9 + "/x86_64/module": &fstest.MapFile{Mode: fs.ModeDir},
			},
			[]string{"dkms /lib/modules/" + el9 + "/extra/clpka.ko signed"}, "", "",
		},
		{
			"built by DKMS, not installed", rel,
			fstest.MapFS{"var/lib/dkms/clpka/0.1.0/" + rel + "/x86_64/module/clpka.ko": file(plain)},
			[]string{"dkms /var/lib/dkms/clpka/0.1.0/" + rel + "/x86_64/module/clpka.ko unsigned"}, "", "",
		},
		{
			"all three, in order", rel,
			fstest.MapFS{
				"lib/modules/" + rel + "/updates/dkms/clpka.ko": file(plain),
				"lib/modules/" + rel + "/weak-updates/clpka.ko": file(module("6.1.0-49-amd64 SMP modversions ", false)),
				"lib/modules/" + rel + "/extra/clpka.ko":        file(plain),
			},
			[]string{
				"prebuilt /lib/modules/" + rel + "/extra/clpka.ko unsigned",
				"weak-modules /lib/modules/" + rel + "/weak-updates/clpka.ko unsigned",
				"dkms /lib/modules/" + rel + "/updates/dkms/clpka.ko unsigned",
			}, "", "",
		},
		{
			"garbage under the right name", rel,
			fstest.MapFS{"lib/modules/" + rel + "/extra/clpka.ko": file([]byte("not an ELF file"))},
			nil, "not a kernel module", "shisa-dkms",
		},
		{
			"other files are left alone", rel,
			fstest.MapFS{"lib/modules/" + rel + "/extra/clpka.ko.debug": file(plain), "lib/modules/" + rel + "/extra/other.ko": file(plain)},
			nil, "", "shisa-dkms",
		},
		{
			"source without headers", rel,
			fstest.MapFS{"usr/src/clpka-0.1.0/dkms.conf": file(nil), "lib/modules/" + rel + "/modules.dep": file(nil)},
			nil, "", "install the headers of " + rel,
		},
		{
			"source and headers, absolute link", rel,
			fstest.MapFS{
				"usr/src/clpka-0.1.0/dkms.conf":              file(nil),
				"lib/modules/" + rel + "/build":              link("/usr/src/linux-headers-" + rel),
				"usr/src/linux-headers-" + rel + "/Makefile": file(nil),
			},
			nil, "", "dkms install clpka/0.1.0 -k " + rel,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := kofind.Find(tt.files, tt.release, "clpka")
			var got []string
			for _, c := range r.Candidates {
				got = append(got, strings.Join([]string{string(c.Way), c.Path, string(c.Signature)}, " "))
			}
			if g, w := strings.Join(got, "\n"), strings.Join(tt.want, "\n"); g != w {
				t.Errorf("candidates\n%s\nwant\n%s\nrejected %v", g, w, r.Rejected)
			}
			var rejected strings.Builder
			for _, j := range r.Rejected {
				rejected.WriteString(j.Path + ": " + j.Why + "\n")
			}
			if !strings.Contains(rejected.String(), tt.rejected) || tt.rejected == "" && rejected.Len() > 0 {
				t.Errorf("rejected %q, want %q", rejected.String(), tt.rejected)
			}
			if !strings.Contains(r.Mend, tt.mend) || tt.mend == "" && r.Mend != "" {
				t.Errorf("mend %q, want %q", r.Mend, tt.mend)
			}
			if r.Rebuild == "" || r.Mend != "" && r.Mend != r.Rebuild {
				t.Errorf("rebuild %q, mend %q", r.Rebuild, r.Mend)
			}
		})
	}
}

// FuzzFind feeds any bytes as a module file.
func FuzzFind(f *testing.F) {
	f.Add(module(rel+" SMP ", true))
	f.Add(module("", false)[:80])
	f.Fuzz(func(t *testing.T, b []byte) {
		kofind.Find(fstest.MapFS{"lib/modules/" + rel + "/extra/clpka.ko": file(b), "lib/modules/" + rel + "/extra/clpka.ko.gz": file(b)}, rel, "clpka")
	})
}
