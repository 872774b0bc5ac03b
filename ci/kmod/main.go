// Command kmod builds clpka for the kernels of ci/kernels.txt and tests it in
// guests, beside softdog.
//
//	kmod [--kernel NAME] [--run REGEXP] [--quick] [--fuzz DURATION] [--rounds N] [--build | --bench]
//
// One line a case, "pass|fail kernel engine fault seen lateness_ms=", and at the
// end "N passed, N failed". It exits with 1 when one failed. Kernels that the
// distribution no longer has are left out with a word.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"time"

	"shisa/ci/kbuild"
	"shisa/ci/vm"
)

// options are the flags.
type options struct {
	kernel string
	run    *regexp.Regexp
	quick  bool
	fuzz   time.Duration
	rounds int
	bench  bool
	build  bool
}

func main() {
	var o options
	pattern := flag.String("run", "", "only cases whose `engine/name` matches")
	flag.StringVar(&o.kernel, "kernel", "", "only this kernel of ci/kernels.txt, or one that watches itself: sanitized")
	flag.BoolVar(&o.quick, "quick", false, "a case a mechanism")
	flag.DurationVar(&o.fuzz, "fuzz", 5*time.Second, "how long hostile calls last")
	flag.IntVar(&o.rounds, "rounds", 3, "how often the lateness of each kind of reset is measured")
	flag.BoolVar(&o.build, "build", false, "build the module, test nothing")
	flag.BoolVar(&o.bench, "bench", false, "print what the module costs, test nothing")
	flag.Parse()
	run, err := regexp.Compile(*pattern)
	if err != nil || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "kmod: usage: kmod [--kernel NAME] [--run REGEXP] [--quick] [--fuzz DURATION] [--rounds N] [--build | --bench]", err)
		os.Exit(2)
	}
	o.run = run
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	rep := &report{out: os.Stdout}
	if err := test(ctx, o, rep); err != nil {
		fmt.Fprintln(os.Stderr, "kmod:", err)
		rep.failed++
	}
	if !o.bench {
		rep.close()
	}
	if rep.failed > 0 {
		os.Exit(1)
	}
}

// test goes through the kernels.
func test(ctx context.Context, o options, rep *report) error {
	work, err := os.MkdirTemp("", "shisa-kmod-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	sources, err := vm.Sources()
	if err != nil {
		return err
	}
	if o.kernel == kbuild.Sanitized {
		sources = []vm.Source{{Name: o.kernel}}
	}
	for _, source := range sources {
		if o.kernel != "" && o.kernel != source.Name {
			continue
		}
		r, err := newRig(ctx, source)
		if errors.Is(err, vm.ErrUnavailable) {
			fmt.Fprintf(rep.out, "# %s: %v\n", source.Name, err)
			continue
		}
		if err != nil {
			rep.add(row{kernel: source.Name, engine: "clpka", fault: "build", seen: "-", err: err})
			continue
		}
		if !o.bench {
			rep.add(row{kernel: source.Name, engine: "clpka", fault: "build", seen: "no-warning"})
		}
		if o.build {
			continue
		}
		if r.files, err = guestFiles(ctx, work); err != nil {
			return err
		}
		if !o.bench {
			r.test(ctx, o, rep)
		} else if err := r.figures(ctx, rep.out); err != nil {
			return fmt.Errorf("%s: %w", source.Name, err)
		}
	}
	return ctx.Err()
}

// test runs the cases on one kernel.
func (r *rig) test(ctx context.Context, o options, rep *report) {
	for _, f := range faultTable {
		for _, engine := range []string{"clpka", "softdog"} {
			if o.run.MatchString(engine+"/"+f.name) && (f.quick || !o.quick) && ctx.Err() == nil {
				rep.add(f.run(ctx, r, engine))
			}
		}
	}
	for _, s := range o.scenarios() {
		if o.run.MatchString("clpka/"+s.name) && (s.quick || !o.quick) && ctx.Err() == nil {
			rep.add(s.test(ctx, r))
		}
	}
}
