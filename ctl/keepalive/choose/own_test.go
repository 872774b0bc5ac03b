package choose_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"shisa/ctl/keepalive/choose"
)

const (
	exact = "lib/modules/" + release + "/extra/clpka.ko.xz" // compressed: only the kernel can judge it
	dkms  = "lib/modules/" + release + "/updates/dkms/clpka.ko.xz"
)

var moduleFiles = tree{exact: "exact", dkms: "dkms"}

// TestOwnModule goes through what the kernel may say to the files of our module.
func TestOwnModule(t *testing.T) {
	for _, c := range []struct {
		name    string
		files   tree
		answers map[string]error // by file; absent: the kernel takes it
		dry     bool
		primary string
		used    []string // files, in order
		why     []string
		mend    string
	}{
		{name: "exact first", files: moduleFiles, primary: "clpka /dev/clpka", used: []string{exact}, why: []string{"module loaded"}},
		{name: "loaded meanwhile", files: moduleFiles, answers: map[string]error{exact: unix.EEXIST}, primary: "clpka /dev/clpka", used: []string{exact}},
		{name: "the next file", files: moduleFiles, answers: map[string]error{exact: unix.ENOEXEC}, primary: "clpka /dev/clpka", used: []string{exact, dkms}},
		{name: "key", files: moduleFiles, answers: map[string]error{exact: unix.EKEYREJECTED, dkms: unix.EKEYREJECTED}, primary: "wdt /dev/watchdog0",
			used: []string{exact, dkms}, why: []string{"/extra/clpka.ko.xz: its signature is missing or not trusted", "dkms/clpka.ko.xz"}, mend: "mokutil --import"},
		{name: "lockdown", files: join(moduleFiles, tree{"sys/kernel/security/lockdown": "none [integrity] confidentiality\n"}),
			answers: map[string]error{exact: unix.EPERM, dkms: unix.EPERM}, primary: "wdt /dev/watchdog0", used: []string{exact, dkms},
			why: []string{"locked down (integrity)"}, mend: "enrol"},
		{name: "no lockdown", files: join(moduleFiles, tree{"sys/kernel/security/lockdown": "[none] integrity confidentiality\n"}),
			answers: map[string]error{exact: unix.EPERM, dkms: unix.EPERM}, primary: "wdt /dev/watchdog0", used: []string{exact, dkms},
			why: []string{"only root"}, mend: "CAP_SYS_MODULE"},
		{name: "switched off", files: join(moduleFiles, tree{"proc/sys/kernel/modules_disabled": "1\n"}),
			answers: map[string]error{exact: unix.EPERM, dkms: unix.EPERM}, primary: "wdt /dev/watchdog0", used: []string{exact, dkms},
			why: []string{"kernel.modules_disabled"}, mend: "modules-load.d"},
		{name: "another kernel's", files: tree{exact: "exact"}, answers: map[string]error{exact: unix.ENOEXEC}, primary: "wdt /dev/watchdog0", used: []string{exact},
			why: []string{"built for another kernel"}, mend: "install the package shisa-dkms"},
		{name: "another kernel's, with its source", files: tree{exact: "exact", "usr/src/clpka-1/dkms.conf": "", "lib/modules/" + release + "/build/Makefile": ""},
			answers: map[string]error{exact: unix.ENOEXEC}, primary: "wdt /dev/watchdog0", used: []string{exact}, mend: "dkms install clpka/1 -k " + release},
		{name: "none", primary: "wdt /dev/watchdog0", why: []string{"no module clpka for kernel " + release}, mend: "shisa-dkms"},
		{name: "another release's", files: tree{"lib/modules/5.5/extra/clpka.ko": ""}, primary: "wdt /dev/watchdog0",
			why: []string{"/lib/modules/5.5/extra/clpka.ko: installed for 5.5"}, mend: "shisa-dkms"},
		{name: "dry run", files: moduleFiles, dry: true, primary: "wdt /dev/watchdog0", why: []string{"would be loaded first, from /" + exact}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := machine(t, join(softdog, c.files), nil)
			var used []string
			m.DryRun = c.dry
			m.Insert = func(file, _ string) error {
				name, err := filepath.Rel(m.Root, file)
				if err != nil {
					t.Fatal(err)
				}
				used = append(used, name)
				err = c.answers[name]
				if err == nil || errors.Is(err, unix.EEXIST) {
					tree{"dev/clpka": ""}.write(t, m.Root)
				}
				return err
			}
			k, s := defaults()
			r, err := choose.Choose(t.Context(), k, s, m)
			if err != nil {
				t.Fatal(err)
			}
			if got := show(r.Primary); got != c.primary {
				t.Errorf("primary %q, want %q", got, c.primary)
			}
			if !slices.Equal(used, c.used) {
				t.Errorf("loaded %q, want %q", used, c.used)
			}
			own := r.Candidates[0]
			for _, want := range c.why {
				if !strings.Contains(own.Why, want) {
					t.Errorf("%q does not say %q", own.Why, want)
				}
			}
			if !strings.Contains(own.Mend, c.mend) || c.mend == "" && own.Mend != "" {
				t.Errorf("mend %q, want %q", own.Mend, c.mend)
			}
			used1, wanted, lesser := r.Lesser()
			if lesser != (c.primary != "clpka /dev/clpka") {
				t.Errorf("Lesser says %v: %+v instead of %+v", lesser, used1, wanted)
			}
			if lesser && (wanted.Method != "clpka" || used1.Method != "softdog") {
				t.Errorf("%+v instead of %+v", used1, wanted)
			}
		})
	}
}

// TestModprobeFindsIt: a file in no place that we know is for modprobe.
func TestModprobeFindsIt(t *testing.T) {
	m := machine(t, join(softdog, tree{"lib/modules/" + release + "/modules.dep": "kernel/clpka.ko:\n"}), nil)
	m.Load = func(_ context.Context, _, name string, params ...string) error {
		if name != "clpka" || !slices.Equal(params, []string{"bootstatus=32"}) {
			t.Errorf("load %s %q", name, params)
		}
		tree{"dev/clpka": ""}.write(t, m.Root)
		return nil
	}
	m.Fired = true
	k, s := defaults()
	r, err := choose.Choose(t.Context(), k, s, m)
	if err != nil || show(r.Primary) != "clpka /dev/clpka" {
		t.Errorf("%q, %v", show(r.Primary), err)
	}
}

// TestBootStatus: the module is told what the records of the last boot say.
func TestBootStatus(t *testing.T) {
	const acted = "<0>[   9.1] clpka: FIRED countdown=main action=reset reason=timeout timeout_ms=3000 late_us=9\n"
	for _, c := range []struct {
		name  string
		files tree
		fired bool
		want  string
	}{
		{"nothing", nil, false, ""},
		{"our record", nil, true, "bootstatus=32"},
		{"pstore", tree{"sys/fs/pstore/dmesg-ramoops-0": "Panic#1\n" + acted}, false, "bootstatus=32"},
		{"moved from pstore", tree{"var/lib/systemd/pstore/1763899/dmesg.txt": acted}, false, "bootstatus=32"},
		{"moved before this boot", tree{"var/lib/systemd/pstore/1/dmesg.txt": acted, "proc/stat": "btime 99999999999\n"}, false, ""},
		{"only logged", tree{"sys/fs/pstore/dmesg-ramoops-0": strings.Replace(acted, "=reset", "=none", 1)}, false, ""},
		{"another's crash", tree{"sys/fs/pstore/dmesg-ramoops-0": "Oops\n"}, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := machine(t, join(tree{"proc/stat": "cpu 1 2\nbtime 1000000\n", exact: ""}, c.files), nil)
			m.Fired = c.fired
			got := "not loaded"
			m.Insert = func(_, params string) error { got = params; return nil }
			k, s := defaults()
			if _, err := choose.Choose(t.Context(), k, s, m); err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("parameters %q, want %q", got, c.want)
			}
		})
	}
}
