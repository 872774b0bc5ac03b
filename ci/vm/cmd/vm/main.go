// Command vm gets kernels for the guest tests.
//
//	vm list                    what ci/kernels.txt has, and what of it is cached
//	vm fetch [NAME...]         get kernels (all without a name); prints name, release, folder
//	vm fetch --headers NAME    get a kernel's headers as well; prints the folder for make -C
//
//	vm run [flags] NAME SCRIPT boot a kernel, run a shell script in the guest, print what it printed
//
// It exits with 3 when the distribution no longer has a kernel that was asked for
// and with 1 on any other error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"shisa/ci/vm"
)

// fetchTimeout bounds one whole run: 100 MB a kernel from a mirror that answers.
const fetchTimeout = 20 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	err := run(ctx, os.Args[1:])
	switch {
	case err == nil:
	case errors.Is(err, vm.ErrUnavailable):
		fmt.Fprintln(os.Stderr, "vm:", err)
		os.Exit(3)
	default:
		fmt.Fprintln(os.Stderr, "vm:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: vm list | vm fetch [--refresh] [--headers] [NAME...] | vm run [flags] NAME SCRIPT")
	}
	switch args[0] {
	case "list":
		return list()
	case "fetch":
		return fetch(ctx, args[1:])
	case "run":
		return boot(ctx, args[1:])
	}
	return fmt.Errorf("unknown command %q: list, fetch or run", args[0])
}

func list() error {
	sources, err := vm.Sources()
	if err != nil {
		return err
	}
	for _, s := range sources {
		k, err := vm.Cached(s.Name)
		switch {
		case errors.Is(err, vm.ErrNotCached):
			fmt.Printf("%-8s -\n", s.Name)
		case err != nil:
			return err
		default:
			fmt.Printf("%-8s %s %s\n", s.Name, k.Release, k.Dir)
		}
	}
	return nil
}

// fetch goes on after a kernel that cannot be had and returns all errors.
func fetch(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("fetch", flag.ContinueOnError)
	headers := flags.Bool("headers", false, "get the headers as well and print the folder for make -C")
	refresh := flags.Bool("refresh", false, "look for a newer build of a kernel that is cached")
	if err := flags.Parse(args); err != nil {
		return err
	}
	sources, err := vm.Sources()
	if err != nil {
		return err
	}
	for _, name := range flags.Args() {
		if !slices.ContainsFunc(sources, func(s vm.Source) bool { return s.Name == name }) {
			return fmt.Errorf("ci/kernels.txt has no kernel %q", name)
		}
	}
	var errs []error
	for _, s := range sources {
		if flags.NArg() > 0 && !slices.Contains(flags.Args(), s.Name) {
			continue
		}
		errs = append(errs, fetchOne(ctx, s, *headers, *refresh))
	}
	return errors.Join(errs...)
}

func fetchOne(ctx context.Context, s vm.Source, headers, refresh bool) error {
	k, err := vm.Fetch(ctx, s, refresh)
	if err != nil {
		return err
	}
	if !headers {
		fmt.Printf("%-8s %s %s\n", k.Name, k.Release, k.Dir)
		return nil
	}
	dir, err := vm.Headers(ctx, s, k)
	if err != nil {
		return err
	}
	fmt.Println(dir)
	return nil
}

// boot is for trying something out on a kernel.
func boot(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	console := flags.Bool("console", false, "copy the guest's console to standard error")
	modules := flags.String("modules", "", "modules to load, separated by commas")
	config := vm.Config{Binaries: map[string]string{}}
	flags.Func("bin", "program to add, as PATH=PACKAGE; may be repeated", func(value string) error {
		path, pkg, ok := strings.Cut(value, "=")
		if !ok {
			return errors.New("want PATH=PACKAGE")
		}
		config.Binaries[path] = pkg
		return nil
	})
	flags.BoolVar(&config.Machine.Watchdog, "watchdog", false, "an i6300esb watchdog")
	flags.BoolVar(&config.Machine.BMC, "bmc", false, "a simulated BMC")
	flags.BoolVar(&config.Machine.Pvpanic, "pvpanic", false, "a pvpanic device")
	flags.BoolVar(&config.Machine.Pstore, "pstore", false, "a pstore that survives resets")
	flags.IntVar(&config.Machine.CPUs, "cpus", 2, "number of CPUs")
	flags.IntVar(&config.Machine.MemoryMiB, "memory", 512, "memory in MiB")
	flags.StringVar(&config.Cmdline, "append", "", "added to the kernel's command line")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 2 {
		return errors.New("usage: vm run [flags] NAME SCRIPT")
	}
	var err error
	if config.Kernel, err = vm.Cached(flags.Arg(0)); err != nil {
		return err
	}
	if *modules != "" {
		config.Modules = strings.Split(*modules, ",")
	}
	if *console {
		config.Console = os.Stderr
	}
	g, err := vm.Start(ctx, config)
	if err != nil {
		return err
	}
	defer g.Close()
	r, err := g.Run(ctx, "sh", "-c", flags.Arg(1))
	fmt.Print(r.Stdout)
	fmt.Fprint(os.Stderr, r.Stderr)
	for _, e := range g.Events() {
		fmt.Fprintln(os.Stderr, "event:", e)
	}
	if err == nil && r.Exit != 0 {
		err = fmt.Errorf("the script ended with state %d", r.Exit)
	}
	return err
}
