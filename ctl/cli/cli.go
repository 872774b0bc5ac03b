// Package cli is the command line `shisa`. It sees the daemon only through its
// API; what needs no daemon (checking a configuration, the doctor, the
// documentation of types) works without one.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"shisa/ctl/api"
	"shisa/ctl/client"
	"shisa/ctl/config"
	"shisa/ctl/monitor/types"
	restypes "shisa/ctl/resource/types"
)

// Exit codes of shisa.
const (
	ExitOK          = 0
	ExitFailed      = 1 // the command was carried out and did not succeed
	ExitUsage       = 2 // the command line is wrong
	ExitUnreachable = 3 // the daemon does not answer
	ExitRefused     = 4 // the daemon will not, or not now
)

// DefaultSocket is where the daemon listens unless configured otherwise.
const DefaultSocket = "/run/shisa/api.sock"

// SocketVariable names another socket in the environment.
const SocketVariable = "SHISA_SOCKET"

// An app is one run of the command line.
type app struct {
	version string
	out     io.Writer
	err     io.Writer
	socket  string
	json    bool
	paint   painter
}

// errUsage marks a mistake in the command line.
var errUsage = errors.New("usage")

// Main runs the command line and returns the exit code.
func Main(version string, args []string, out, errOut io.Writer) int {
	a := &app{version: version, out: out, err: errOut, paint: newPainter(out)}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	root := a.root()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err != nil && !errors.Is(err, errSaid) && ctx.Err() == nil {
		fmt.Fprintln(errOut, "shisa:", explain(err))
	}
	return exitCode(err)
}

// errSaid marks a failure that was told already.
var errSaid = errors.New("said already")

// explain ends with what to do.
func explain(err error) string {
	var e *api.Error
	if errors.As(err, &e) {
		return e.Error()
	}
	return strings.TrimSuffix(err.Error(), ": "+errUsage.Error())
}

func exitCode(err error) int {
	switch api.CodeOf(err) {
	case "":
		return ExitOK
	case api.Unreachable, api.NotReady:
		return ExitUnreachable
	case api.Forbidden, api.Refused, api.Conflict, api.Busy:
		return ExitRefused
	case api.BadRequest:
		return ExitUsage
	case api.NotFound, api.BadMethod, api.TooLarge, api.OutOfTime, api.Internal:
	}
	if errors.Is(err, errUsage) || strings.HasPrefix(err.Error(), "unknown ") {
		return ExitUsage
	}
	return ExitFailed
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "shisa",
		Short: "shows and controls what guards this server against stalls",
		Long: "shisa shows and controls shisad, which guards this server: it notices that a process, a service, user space,\n" +
			"the kernel or a shutdown no longer makes progress, recovers it step by step, and says why it did so.\n\n" +
			"Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the daemon does not answer, 4 the daemon refuses.",
		SilenceUsage: true, SilenceErrors: true, Version: a.version,
		SuggestionsMinimumDistance: 3,
	}
	root.SetVersionTemplate("shisa {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help: %w", err, c.CommandPath(), errUsage)
	})
	socket := os.Getenv(SocketVariable)
	if socket == "" {
		socket = DefaultSocket
	}
	root.PersistentFlags().StringVar(&a.socket, "socket", socket, "socket of the daemon, also from "+SocketVariable)
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON")
	root.AddCommand(a.status(), a.why(), a.explain(), a.simulate(), a.events(), a.monitor(), a.group(), a.resource(), a.suspend(), a.resume(),
		a.shutdown(), a.notify(), a.limiter(), a.config(), a.typeDocs(), a.schema(), a.template(), a.doctor(), a.versionCmd(), a.man(root))
	root.SetHelpCommand(a.help(root))
	root.AddCommand(a.operate()...)
	a.complete(root)
	sayHow(root)
	return root
}

// sayHow has every command below c that is given too few or too many words say how
// it is written.
func sayHow(c *cobra.Command) {
	for _, below := range c.Commands() {
		sayHow(below)
	}
	check := c.Args
	if check == nil || c.HasSubCommands() {
		return
	}
	c.Args = func(c *cobra.Command, args []string) error {
		err := check(c, args)
		if err == nil || errors.Is(err, errUsage) {
			return err
		}
		what := "write " + strings.TrimSuffix(c.UseLine(), " [flags]")
		if strings.HasPrefix(err.Error(), "invalid argument") { // a word that is none of those that it takes
			what = err.Error()
		}
		return fmt.Errorf("%s; see %s --help: %w", what, c.CommandPath(), errUsage)
	}
}

func (a *app) versionCmd() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				return a.writeJSON(map[string]string{"version": a.version})
			}
			fmt.Fprintln(a.out, "shisa", a.version)
			return nil
		}}
}

func (a *app) client() *client.Client { return client.New(a.socket) }

// writeJSON prints v for programs.
func (a *app) writeJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// result prints what a command did.
func (a *app) result(r api.Result, err error) error {
	if err != nil {
		return err
	}
	if a.json {
		return a.writeJSON(r)
	}
	fmt.Fprintln(a.out, inert(r.Text))
	if r.Probe != nil {
		a.writeProbe(*r.Probe)
	}
	return nil
}

// registry knows every type of this build.
func registry() config.Registry { return config.NewRegistry(types.All(), restypes.All()) }

// parent is a command that only has others below it.
func parent(use, short string, below ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: known, RunE: func(c *cobra.Command, _ []string) error {
		_ = c.Help() // it only writes
		return fmt.Errorf("%s needs a command: %w", c.CommandPath(), errUsage)
	}}
	c.AddCommand(below...)
	return c
}

// known refuses a word that is no command below c, and names the nearest.
func known(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("unknown command %q for %q", args[0], c.CommandPath())
	c.SuggestionsMinimumDistance = 3
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		text += "; did you mean " + strings.Join(near, ", ") + "?"
	}
	return fmt.Errorf("%s: %w", text, errUsage)
}
