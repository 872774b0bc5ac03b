package nextboot_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf16"

	"shisa/hwcompat/nextboot"
)

// tree makes a file system from path → content; "-> target" makes a link.
func tree(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		if to, ok := strings.CutPrefix(text, "-> "); ok {
			m[name] = &fstest.MapFile{Data: []byte(to), Mode: fs.ModeSymlink | 0o777}
		} else {
			m[name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return m
}

// efi encodes an EFI variable: attributes, then UTF-16 with a NUL.
func efi(s string) string {
	b := []byte{6, 0, 0, 0}
	for _, u := range utf16.Encode([]rune(s + "\x00")) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

const vendor = "-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"

const debianGrub = `
if [ -s $prefix/grubenv ]; then
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="DEFAULT"
fi
function savedefault {
  if [ -z "${boot_once}" ]; then
    saved_entry="${chosen}"
  fi
}
function gfxmode {
	set gfxpayload="${1}"
}
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple-abcd' {
	load_video
	linux	/boot/vmlinuz-6.1.0-50-amd64 root=UUID=abcd ro  quiet
	initrd	/boot/initrd.img-6.1.0-50-amd64
}
submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced-abcd' {
	menuentry 'Debian GNU/Linux, with Linux 6.1.0-50-amd64' --class debian $menuentry_id_option 'gnulinux-6.1.0-50-amd64-advanced-abcd' {
		linux	/boot/vmlinuz-6.1.0-50-amd64 root=UUID=abcd ro
	}
	menuentry 'Debian GNU/Linux, with Linux 6.1.0-49-amd64' --class debian $menuentry_id_option 'gnulinux-6.1.0-49-amd64-advanced-abcd' {
		linux	/boot/vmlinuz-6.1.0-49-amd64 root=UUID=abcd ro
	}
}
menuentry "Other system (on /dev/sda1)" --class windows {
	chainloader +1
}
`

const rhelGrub = `
set default="${saved_entry}"
insmod blscfg
blscfg
`

func rhelEntries(extra map[string]string) map[string]string {
	files := map[string]string{
		"boot/grub2/grub.cfg":                                    rhelGrub,
		"boot/loader/entries/m-0-rescue.conf":                    "title RHEL (0-rescue)\nversion 0-rescue-m\nlinux /vmlinuz-0-rescue-m\n",
		"boot/loader/entries/m-5.14.0-427.el9.x86_64.conf":       "title RHEL 9.4 (5.14.0-427)\nversion 5.14.0-427.el9.x86_64\nlinux /vmlinuz-5.14.0-427.el9.x86_64\n",
		"boot/loader/entries/m-5.14.0-70.13.1.el9_0.x86_64.conf": "title RHEL 9.0\nversion 5.14.0-70.13.1.el9_0.x86_64\nlinux /vmlinuz-5.14.0-70.13.1.el9_0.x86_64\n",
	}
	for k, v := range extra {
		files[k] = v
	}
	return files
}

func TestDetect(t *testing.T) {
	debian := func(def, env string) map[string]string {
		return map[string]string{
			"boot/grub/grub.cfg": strings.Replace(debianGrub, "DEFAULT", def, 1),
			"boot/grub/grubenv":  "# GRUB Environment Block\n" + env + strings.Repeat("#", 100),
		}
	}
	sdboot := func(extra map[string]string) map[string]string {
		files := map[string]string{
			"sys/firmware/efi/efivars/LoaderInfo" + vendor:  efi("systemd-boot 252"),
			"boot/loader/loader.conf":                       "timeout 3\ndefault m-6.1.*\n",
			"boot/loader/entries/m-6.1.0-49-amd64+2-1.conf": "title Debian\nversion 6.1.0-49-amd64\nlinux /m/6.1.0-49-amd64/linux\n",
			"boot/loader/entries/m-6.12.0-1-amd64.conf":     "title Debian\nlinux /m/6.12.0-1-amd64/linux\n",
		}
		for k, v := range extra {
			files[k] = v
		}
		return files
	}
	tests := []struct {
		name  string
		files map[string]string
		want  nextboot.Kernel
	}{
		{"grub, first entry", debian("0", ""), nextboot.Kernel{Release: "6.1.0-50-amd64", Image: "/boot/vmlinuz-6.1.0-50-amd64", Loader: "grub", Entry: "Debian GNU/Linux"}},
		{"grub, numbered path", debian("1>1", ""), nextboot.Kernel{Release: "6.1.0-49-amd64", Image: "/boot/vmlinuz-6.1.0-49-amd64", Loader: "grub", Entry: "Debian GNU/Linux, with Linux 6.1.0-49-amd64"}},
		{"grub, submenu alone", debian("1", ""), nextboot.Kernel{Release: "6.1.0-50-amd64", Image: "/boot/vmlinuz-6.1.0-50-amd64", Loader: "grub", Entry: "Debian GNU/Linux, with Linux 6.1.0-50-amd64"}},
		{"grub, saved path of identifiers", debian("${saved_entry}", "saved_entry=gnulinux-advanced-abcd>gnulinux-6.1.0-49-amd64-advanced-abcd\n"), nextboot.Kernel{Release: "6.1.0-49-amd64", Image: "/boot/vmlinuz-6.1.0-49-amd64", Loader: "grub", Entry: "Debian GNU/Linux, with Linux 6.1.0-49-amd64"}},
		{"grub, once", debian("0", "next_entry=1>1\n"), nextboot.Kernel{Release: "6.1.0-49-amd64", Image: "/boot/vmlinuz-6.1.0-49-amd64", Loader: "grub", Entry: "Debian GNU/Linux, with Linux 6.1.0-49-amd64", Once: true}},
		{"grub, saved entry never written", debian("${saved_entry}", ""), nextboot.Kernel{Release: "6.1.0-50-amd64", Image: "/boot/vmlinuz-6.1.0-50-amd64", Loader: "grub", Entry: "Debian GNU/Linux"}},
		{"grub, entry that is gone", debian("gnulinux-5.10", ""), nextboot.Kernel{Release: "6.1.0-50-amd64", Image: "/boot/vmlinuz-6.1.0-50-amd64", Loader: "grub", Entry: "Debian GNU/Linux"}},
		{"grub, another system", debian("Other system (on /dev/sda1)", ""), nextboot.Kernel{Loader: "grub", Entry: "Other system (on /dev/sda1)"}},
		{"BLS, newest", rhelEntries(nil), nextboot.Kernel{Release: "5.14.0-427.el9.x86_64", Image: "/vmlinuz-5.14.0-427.el9.x86_64", Loader: "grub-bls", Entry: "m-5.14.0-427.el9.x86_64"}},
		{"BLS, saved", rhelEntries(map[string]string{"boot/grub2/grubenv": "saved_entry=m-5.14.0-70.13.1.el9_0.x86_64\n"}), nextboot.Kernel{Release: "5.14.0-70.13.1.el9_0.x86_64", Image: "/vmlinuz-5.14.0-70.13.1.el9_0.x86_64", Loader: "grub-bls", Entry: "m-5.14.0-70.13.1.el9_0.x86_64"}},
		{"BLS, by number", rhelEntries(map[string]string{"boot/grub2/grubenv": "saved_entry=1\n"}), nextboot.Kernel{Release: "5.14.0-70.13.1.el9_0.x86_64", Image: "/vmlinuz-5.14.0-70.13.1.el9_0.x86_64", Loader: "grub-bls", Entry: "m-5.14.0-70.13.1.el9_0.x86_64"}},
		{"systemd-boot, pattern and boot counting", sdboot(nil), nextboot.Kernel{Release: "6.1.0-49-amd64", Image: "/m/6.1.0-49-amd64/linux", Loader: "systemd-boot", Entry: "m-6.1.0-49-amd64"}},
		{"systemd-boot, default in the firmware", sdboot(map[string]string{"sys/firmware/efi/efivars/LoaderEntryDefault" + vendor: efi("m-6.12.0-1-amd64.conf")}), nextboot.Kernel{Release: "6.12.0-1-amd64", Image: "/m/6.12.0-1-amd64/linux", Loader: "systemd-boot", Entry: "m-6.12.0-1-amd64"}},
		{"systemd-boot, once", sdboot(map[string]string{"sys/firmware/efi/efivars/LoaderEntryOneShot" + vendor: efi("m-6.12.0-1-amd64.conf")}), nextboot.Kernel{Release: "6.12.0-1-amd64", Image: "/m/6.12.0-1-amd64/linux", Loader: "systemd-boot", Entry: "m-6.12.0-1-amd64", Once: true}},
		{"systemd-boot, unified image", sdboot(map[string]string{"sys/firmware/efi/efivars/LoaderEntryDefault" + vendor: efi("m-6.13.1-1-amd64.efi")}), nextboot.Kernel{Release: "6.13.1-1-amd64", Image: "m-6.13.1-1-amd64.efi", Loader: "systemd-boot", Entry: "m-6.13.1-1-amd64.efi"}},
		{"systemd-boot beside an old grub.cfg", sdboot(map[string]string{"boot/grub/grub.cfg": debianGrub}), nextboot.Kernel{Release: "6.1.0-49-amd64", Image: "/m/6.1.0-49-amd64/linux", Loader: "systemd-boot", Entry: "m-6.1.0-49-amd64"}},
		{"extlinux", map[string]string{"boot/extlinux/extlinux.conf": "DEFAULT b\nLABEL a\n  LINUX /vmlinuz-1.0\nLABEL b\n  KERNEL /boot/vmlinuz-6.1.0-50-arm64\n"}, nextboot.Kernel{Release: "6.1.0-50-arm64", Image: "/boot/vmlinuz-6.1.0-50-arm64", Loader: "extlinux", Entry: "b"}},
		{"link of Debian", map[string]string{"vmlinuz": "-> boot/vmlinuz-6.1.0-50-amd64", "boot/vmlinuz-6.1.0-50-amd64": ""}, nextboot.Kernel{Release: "6.1.0-50-amd64", Image: "boot/vmlinuz-6.1.0-50-amd64", Loader: "link", Entry: "/vmlinuz"}},
		{"link of SUSE", map[string]string{"boot/vmlinuz": "-> vmlinuz-6.4.0-150600.23-default", "boot/vmlinuz-6.4.0-150600.23-default": ""}, nextboot.Kernel{Release: "6.4.0-150600.23-default", Image: "vmlinuz-6.4.0-150600.23-default", Loader: "link", Entry: "/boot/vmlinuz"}},
		{"a guess", map[string]string{"lib/modules/6.1.0-9-amd64/modules.dep": "", "lib/modules/6.1.0-50-amd64/modules.dep": "", "lib/modules/README": ""}, nextboot.Kernel{Release: "6.1.0-50-amd64", Loader: "guess", Entry: "newest of /lib/modules"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := nextboot.Detect(tree(tt.files))
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestDetectUnknown(t *testing.T) {
	if k, err := nextboot.Detect(tree(map[string]string{"etc/hostname": "x"})); !errors.Is(err, nextboot.ErrUnknown) {
		t.Errorf("got %+v, %v", k, err)
	}
}

// FuzzGrub feeds any text as the menu of GRUB, with any choice.
func FuzzGrub(f *testing.F) {
	f.Add(debianGrub, "1>1")
	f.Add(rhelGrub, "")
	f.Add("menuentry 'a' {\nsubmenu {\n}}\n}", "0>0>0>0")
	f.Fuzz(func(t *testing.T, cfg, saved string) {
		_, _ = nextboot.Detect(tree(map[string]string{
			"boot/grub/grub.cfg": "set default=\"${saved_entry}\"\n" + cfg,
			"boot/grub/grubenv":  "saved_entry=" + saved + "\n",
		}))
	})
}

// FuzzEntry feeds any text as an entry and any bytes as a variable.
func FuzzEntry(f *testing.F) {
	f.Add("title x\nversion 6.1\nlinux /m/6.1/linux\n", efi("a.conf"))
	f.Fuzz(func(t *testing.T, text, variable string) {
		_, _ = nextboot.Detect(tree(map[string]string{
			"sys/firmware/efi/efivars/LoaderInfo" + vendor:         efi("systemd-boot 252"),
			"sys/firmware/efi/efivars/LoaderEntryDefault" + vendor: variable,
			"boot/loader/entries/a.conf":                           text,
		}))
	})
}
