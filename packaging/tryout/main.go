// Command tryout installs the packages in dist/ into throw-away roots, upgrades,
// downgrades, removes and purges them, and says what it saw: one line a case,
// then the sums.
//
//	tryout [-dist dist] [-newer DIR] [-suites bullseye,bookworm,trixie] [-rpm dnf,zypper] [-dkms=false]
//
// Debs, and what is in the tarball, go into roots made by debootstrap, one a suite, which are kept in the
// cache and copied for each run. Rpms go through dnf and zypper, with a local
// repository and dependencies resolved, into a copy of the same. DKMS builds the
// module from its package. It needs root and runs no service.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dist := flag.String("dist", "dist", "folder of the packages")
	newer := flag.String("newer", "", "folder of packages of a newer version, for the upgrade; empty: no upgrade is tried")
	suites := flag.String("suites", "bullseye,bookworm,trixie", "suites of Debian")
	tools := flag.String("rpm", "dnf,zypper", "tools for rpm")
	dkms := flag.Bool("dkms", true, "build the kernel module from its package")
	flag.Parse()

	r := &report{}
	err := try(ctx, r, *dist, *newer, split(*suites), split(*tools))
	if err == nil && *dkms {
		err = tryDKMS(ctx, r, *dist)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tryout:", err)
		os.Exit(2)
	}
	fmt.Printf("%d passed, %d failed\n", r.passed, r.failed)
	if r.failed > 0 {
		os.Exit(1)
	}
}

func split(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
}

func try(ctx context.Context, r *report, dist, newer string, suites, tools []string) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	roots := roots{dir: cache + "/shisa/roots"}
	for _, s := range suites {
		err := roots.with(ctx, s, func(root string) { tryDeb(ctx, r, s, root, dist, newer) })
		if err != nil {
			return err
		}
		err = roots.with(ctx, s, func(root string) { tryTarball(ctx, r, s, root, dist, newer) })
		if err != nil {
			return err
		}
	}
	for _, tool := range tools {
		err := roots.with(ctx, "bookworm", func(root string) { tryRPM(ctx, r, tool, root, dist, newer) })
		if err != nil {
			return err
		}
	}
	return nil
}

// A report prints one line a case.
type report struct{ passed, failed int }

// check notes one case; why says what was seen instead.
func (r *report) check(ok bool, name, why string) bool {
	if ok {
		r.passed++
		fmt.Printf("pass %s\n", name)
		return true
	}
	r.failed++
	fmt.Printf("fail %s: %s\n", name, strings.ReplaceAll(strings.TrimSpace(why), "\n", " | "))
	return false
}
