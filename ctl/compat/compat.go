// Package compat is the original's command line: clpstat, clpcl, clpgrp and the
// others. `shisa` behaves like one of them when it is installed, usually as a
// link, under its name. Options, output, messages and exit codes are the
// original's as far as they are known, because run-books and scripts depend on
// them; what they do is done by the daemon, through its API like everything
// else. On one server there is nothing to move or to deliver to others: such
// requests are refused with the reason.
//
// Each command is one entry of the table in this file; its options are declared
// there, so that an unknown one always gives the usage and an exit code that is
// not zero.
package compat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/api"
	"shisa/ctl/client"
)

// SocketVariable names another socket of the daemon in the environment, as it
// does for shisa.
const SocketVariable = "SHISA_SOCKET"

// A command is one of the original's.
type command struct {
	name    string
	twin    string // the modern command line that does the same
	usage   string // without the name; a line for each form: options that share none exclude each other
	options []option
	cluster []option      // those that only mean something among several servers
	codes   map[fault]int // exit codes of its own
	run     func(*call) error
}

// A call is one run of a command.
type call struct {
	command
	ctx    context.Context
	client *client.Client
	units  units
	given  given
	answer time.Duration // longest wait for a snapshot; 0: answerTime
	out    io.Writer
	err    io.Writer
}

// units starts and stops services of the operating system, as a
// [client.Service] does. Tests have their own.
type units interface {
	Present() bool
	Do(ctx context.Context, verb, unit string, wait bool) error
}

// commands lists them in order of the alphabet.
func commands() []command {
	return []command{clpcfctrl, clpcl, clpcpufreq, clpdown, clpgrp, clplogcmd, clpmonctrl, clpregctrl, clprexec, clprsc,
		clpstat, clpstdn, clptoratio, clptrnreq}
}

// Names lists the names under which `shisa` is to be installed besides its own,
// in order of the alphabet.
func Names() []string {
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	return names
}

// Twins maps each name to the modern command line that does the same.
func Twins() map[string]string {
	all := make(map[string]string)
	for _, c := range commands() {
		all[c.name] = c.twin
	}
	return all
}

// Answers reports whether a program called as path is one of the original's
// commands.
func Answers(path string) bool { return slices.Contains(Names(), filepath.Base(path)) }

// Main runs the command that path ends in and returns its exit code.
func Main(path string, args []string, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	c := client.New(os.Getenv(SocketVariable))
	defer c.Close()
	return run(call{ctx: ctx, client: c, units: client.Service{}, out: out, err: errOut}, filepath.Base(path), args)
}

// run carries out one command.
func run(c call, name string, args []string) int {
	all := commands()
	i := slices.IndexFunc(all, func(c command) bool { return c.name == name })
	if i < 0 {
		fmt.Fprintf(c.err, "%s is not one of the commands: %s\n", name, strings.Join(Names(), ", "))
		return codes[badOption]
	}
	c.command = all[i]
	if err := c.read(args); err != nil {
		return c.fail(err)
	}
	cancel, err := c.within()
	if err != nil {
		return c.fail(err)
	}
	defer cancel()
	return c.fail(c.run(&c))
}

// read takes the command line. An option that asks for another server is refused
// whatever goes with it.
func (c *call) read(args []string) error {
	var err error
	if c.given, err = parse(args, slices.Concat(c.options, c.cluster)); err != nil {
		return badOption.say(err.Error() + ".")
	}
	for _, o := range c.cluster {
		if c.given.has(o.key()) {
			return notOne.say(o.key() + " needs a second one.")
		}
	}
	if err := c.agree(c.given); err != nil {
		return badOption.say(err.Error() + ".")
	}
	return nil
}

// succeeded is what nearly every command says at the end.
const succeeded = "Command succeeded."

func (c *call) succeed() error {
	fmt.Fprintln(c.out, succeeded)
	return nil
}

// fail says what went wrong and returns the exit code for it.
func (c *call) fail(err error) int {
	if err == nil {
		return 0
	}
	if api.CodeOf(err) == api.Unreachable && errors.Is(c.ctx.Err(), context.DeadlineExceeded) {
		err = c.ctx.Err() // it was there, but not in the time that --apito gives
	}
	f := explain(err)
	fmt.Fprintln(c.err, strings.TrimSpace(texts[f.fault]+" "+f.text))
	if f.fault == badOption {
		for form := range strings.Lines(c.usage) {
			fmt.Fprintf(c.err, "Usage: %s %s\n", c.name, strings.TrimSpace(form))
		}
	}
	if code, ok := c.codes[f.fault]; ok {
		return code
	}
	return codes[f.fault]
}
