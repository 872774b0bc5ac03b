// Command power runs the power tests.
//
//	power [--quick] [--kernel NAME] [--engine NAME] [--fault NAME] [--load DURATION] [--parallel N] [--json FILE] [--list]
//
// Names may be given several times, separated by commas. It prints one line a case
// and closes with "N passed, N failed"; it exits with 1 when a case failed and with
// 2 when cases could not be run. Kernels of ci/kernels.txt that are not in the
// cache are fetched first.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"shisa/ci/power"
	"shisa/ci/vm"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	failed, err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "power:", err)
		os.Exit(2)
	case failed > 0:
		os.Exit(1)
	}
}

// names is a list flag.
type names []string

func (n *names) String() string { return strings.Join(*n, ",") }

func (n *names) Set(value string) error {
	for name := range strings.SplitSeq(value, ",") {
		if name != "" {
			*n = append(*n, name)
		}
	}
	return nil
}

func run(ctx context.Context, args []string) (failed int, err error) {
	var choice power.Choice
	flags := flag.NewFlagSet("power", flag.ContinueOnError)
	flags.Var((*names)(&choice.Kernels), "kernel", "only on these kernels")
	flags.Var((*names)(&choice.Engines), "engine", "only with these engines")
	flags.Var((*names)(&choice.Faults), "fault", "only these faults")
	flags.BoolVar(&choice.Quick, "quick", false, "one case an engine and kernel")
	flags.DurationVar(&choice.Load, "load", power.DefaultLoad, "how long the long load lasts")
	parallel := flags.Int("parallel", 0, "so many kernels at once; 0: two in the quick set, else one")
	report := flags.String("json", "", "also write the report to this file")
	console := flags.Bool("console", false, "copy the guests' consoles to standard error")
	list := flags.Bool("list", false, "print the cases and stop")
	if err := flags.Parse(args); err != nil {
		return 0, err
	}
	kernels, err := kernelNames(choice)
	if err != nil {
		return 0, err
	}
	cases, err := power.Matrix(kernels, choice)
	if err != nil {
		return 0, err
	}
	if *list {
		for _, c := range cases {
			fmt.Println(c.Kernel, c.Engine.Name, c.Fault.Name, "#", c.Fault.Issue)
		}
		return 0, nil
	}
	if cases, err = fetch(ctx, cases, choice.Kernels); err != nil {
		return 0, err
	}
	var copyTo io.Writer
	if *console {
		copyTo = os.Stderr
	}
	if *parallel == 0 && choice.Quick {
		*parallel = quickParallel
	}
	r, stopped := power.RunParallel(ctx, cases, *parallel, os.Stdout, copyTo)
	r.Write(os.Stdout) // what was run, even if not all was
	if *report != "" {
		text, err := r.JSON()
		if err == nil {
			err = os.WriteFile(*report, text, 0o644)
		}
		stopped = errors.Join(stopped, err)
	}
	return r.Failed, stopped
}

// quickParallel: guests mostly wait for their countdown, but boots need a whole CPU.
const quickParallel = 2

// quickKernels are those of the quick set: one of each age.
var quickKernels = []string{"5.10", "6.1", "6.12", "newest"}

func kernelNames(choice power.Choice) ([]string, error) {
	sources, err := vm.Sources()
	if err != nil {
		return nil, err
	}
	var list []string
	for _, s := range sources {
		if !choice.Quick || len(choice.Kernels) > 0 || slices.Contains(quickKernels, s.Name) {
			list = append(list, s.Name)
		}
	}
	return list, nil
}

// fetch gets the kernels of the cases. Those that the distribution no longer has
// are left out, loudly, unless they were asked for by name.
func fetch(ctx context.Context, cases []power.Case, asked []string) ([]power.Case, error) {
	var left []power.Case
	gone := ""
	for _, c := range cases {
		if c.Kernel == gone {
			continue
		}
		_, err := vm.Get(ctx, c.Kernel)
		switch {
		case errors.Is(err, vm.ErrUnavailable) && !slices.Contains(asked, c.Kernel):
			fmt.Fprintln(os.Stderr, "power: left out:", err)
			gone = c.Kernel
		case err != nil:
			return nil, err
		default:
			left = append(left, c)
		}
	}
	return left, nil
}
