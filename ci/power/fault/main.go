// Command fault breaks a test guest in one way: the faults of the power tests
// (package power). It must never run anywhere else, and refuses to when process 1
// is not the test guest's init.
//
// Every fault says so on /run/mark, waits until the host has surely heard of it,
// and strikes; the host knows when.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// settle is how long after its mark a fault strikes. Package power knows it too.
const settle = 300 * time.Millisecond

// A fault parses its own arguments, prepares itself and returns what strikes.
type fault func(args []string) (strike func() error, err error)

var faults = map[string]fault{
	"feed":        feed,
	"signal":      signalFault,
	"hog":         hog,
	"freeze":      freeze,
	"stuck":       stuck,
	"ignore-term": ignoreTerm,
	"memory":      memory,
	"clock":       clock,
	"load":        load,
	"exec":        execFault,
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "fault:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if err := insideGuest(); err != nil {
		return err
	}
	if len(args) == 0 || faults[args[0]] == nil {
		var names []string
		for name := range faults {
			names = append(names, name)
		}
		slices.Sort(names)
		return fmt.Errorf("usage: fault %s", strings.Join(names, "|"))
	}
	strike, err := faults[args[0]](args[1:])
	if err != nil {
		return err
	}
	if err := mark("strike " + args[0]); err != nil {
		return err
	}
	time.Sleep(settle)
	return strike()
}

// insideGuest makes sure that no real machine is broken: process 1 has to be the
// init of package vm, which leaves its configuration at a place of its own.
func insideGuest() error {
	name, err := os.ReadFile("/proc/1/cmdline")
	if err != nil {
		return err
	}
	if got := strings.TrimRight(string(name), "\x00"); got != "/init" {
		return fmt.Errorf("process 1 is %q: this is no test guest", got)
	}
	if _, err := os.Stat("/vm.json"); err != nil {
		return fmt.Errorf("this is no test guest: %w", err)
	}
	return nil
}

// mark tells the host something.
func mark(text string) error {
	f, err := os.OpenFile("/run/mark", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintln(f, text)
	return err
}

// parse parses flags that have to be complete.
func parse(flags *flag.FlagSet, args []string, positional int) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != positional {
		return fmt.Errorf("%s: want %d arguments, got %q", flags.Name(), positional, flags.Args())
	}
	return nil
}
