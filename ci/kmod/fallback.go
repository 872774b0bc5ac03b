package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"shisa/ci/vm"
)

// A fall is a step of the fallback case: something is taken away, or given, and what
// the daemon would choose is compared.
type fall struct {
	name   string
	script string
	want   string   // primary and backstop
	says   []string // about what was not chosen
}

// falls begin with the module out of the way, a watchdog chip and a BMC; softdog can be
// loaded.
var falls = []fall{
	{"installed by DKMS", "mv /tmp/good.ko $lib/updates/dkms/clpka.ko", "/dev/clpka /dev/watchdog0", nil},
	{"built for exactly this kernel", "rmmod clpka; mv $lib/updates/dkms/clpka.ko $lib/extra/", "/dev/clpka /dev/watchdog0", nil},
	{"linked by weak-modules", "rmmod clpka; mv $lib/extra/clpka.ko $other/ && ln -s $other/clpka.ko $lib/weak-updates/",
		"/dev/clpka /dev/watchdog0", nil},
	{"built for another kernel", "rmmod clpka; rm $lib/weak-updates/clpka.ko; mv /tmp/release.ko $lib/extra/clpka.ko",
		"/dev/watchdog1 /dev/watchdog0", []string{"primary clpka not present", "built for 4.", "shisa-dkms"}},
	{"built for another configuration", "mv /tmp/flags.ko $lib/extra/clpka.ko",
		"/dev/watchdog1 /dev/watchdog0", []string{"built for another kernel or is damaged", "clpka: version magic", "shisa-dkms"}},
	{"no softdog", "rmmod softdog; sed -i /^softdog/d $lib/modules.dep", "/dev/watchdog0 /dev/ipmi0", []string{"primary softdog not present"}},
	{"no chip", "rmmod i6300esb", "/dev/ipmi0 none", []string{"primary wdt not present"}},
	{"the module is back", "mv $other/clpka.ko $lib/extra/", "/dev/clpka /dev/ipmi0", nil},
	{"modules switched off", "rmmod clpka; echo 1 > /proc/sys/kernel/modules_disabled",
		"/dev/ipmi0 none", []string{"kernel.modules_disabled", "modules-load.d"}},
}

// fallback takes the countdowns away one by one.
func fallback(ctx context.Context, r *rig, g *vm.Guest) (result, error) {
	image, err := os.ReadFile(r.clpka)
	if err != nil {
		return result{}, err
	}
	altered := func(old, new string) []byte { return bytes.Replace(image, []byte(old), []byte(new), 1) }
	magic := "vermagic=" + r.kernel.Release
	for name, data := range map[string][]byte{
		"good":    image,
		"release": altered(magic, "vermagic=4"+magic[len("vermagic=4"):]),
		"flags":   altered(magic+" SMP", magic+" SMQ"),
	} {
		if err := g.WriteFile(ctx, "/tmp/"+name+".ko", data); err != nil {
			return result{}, err
		}
	}
	const begin = `lib=/lib/modules/$(uname -r) other=/lib/modules/other/extra
`
	if _, err := g.Sh(ctx, begin+"rmmod clpka && rm $lib/clpka.ko && sed -i /^clpka/d $lib/modules.dep && mkdir -p $lib/extra $lib/updates/dkms $lib/weak-updates $other"); err != nil {
		return result{}, err
	}
	for _, f := range falls {
		out, err := g.Sh(ctx, begin+f.script+"\n"+tool+" choose")
		if err != nil {
			return result{}, fmt.Errorf("%s: %w", f.name, err)
		}
		if first, _, _ := strings.Cut(out, "\n"); first != f.want {
			err = fmt.Errorf("%s: chose %q, want %q", f.name, first, f.want)
		}
		for _, s := range f.says {
			if !strings.Contains(out, s) {
				err = errors.Join(err, fmt.Errorf("%s: does not say %q", f.name, s))
			}
		}
		if err != nil {
			return result{}, fmt.Errorf("%w\n%s", err, out)
		}
	}
	return result{seen: fmt.Sprintf("%d steps", len(falls))}, calm(g)
}
