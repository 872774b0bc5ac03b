package run

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Limits and defaults.
const (
	// DefaultOutputLimit is how many bytes of output are kept when a Command
	// does not say: enough for the reason, small enough for 1 000 scripts.
	DefaultOutputLimit = 16 << 10
	// DefaultGrace is the time between SIGTERM and SIGKILL.
	DefaultGrace = 5 * time.Second
	// KillWait is how long the end is waited for after SIGKILL. A process in
	// uninterruptible sleep may take for ever; it is reaped when it ends.
	KillWait = 2 * time.Second
	// DrainWait is how long output is still collected when the command has
	// ended but something that it started holds its output open.
	DrainWait = 20 * time.Millisecond
)

// BasePath is the search path that commands find in their environment.
const BasePath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// BaseEnv returns the least environment that a script can rely on. Nothing is
// inherited from the daemon.
func BaseEnv() []string { return []string{BasePath, "LANG=C.UTF-8"} }

// A Command says what to run and within which bounds.
type Command struct {
	Name  string   // of what it is run for, in error messages and as name of its control group; empty: the file name
	Path  string   // of the program; absolute: PATH is not searched
	Args  []string // without the program itself
	Dir   string   // working directory; empty: /
	Env   []string // the whole environment; nil: BaseEnv
	User  string   // name or number to run as; empty: our own
	Group string   // name or number; empty: the user's own

	Limits []Limit // resource limits; others are inherited
	Nice   int     // -20 to 19

	// Input is what the command reads; nil: nothing. It stays the caller's,
	// who may close it when Start has returned.
	Input *os.File

	// Output receives both streams; nil: they are kept in Result.Output.
	// An *os.File is handed to the command itself, which may then outlive
	// us; any other writer is fed from one goroutine of its own. If it is an
	// io.Closer it is closed when nobody can write to it any more.
	Output      io.Writer
	OutputLimit int // bytes kept in Result.Output; 0: DefaultOutputLimit

	Timeout time.Duration // 0: none but the context's
	Grace   time.Duration // between SIGTERM and SIGKILL; 0: DefaultGrace

	// Leave lets processes that the command has started live on when it
	// exits by itself: a start script leaves its service behind. Without it
	// they are killed. When the command is ended by us they are killed in
	// either case.
	Leave bool
}

// A Limit is one resource limit, setrlimit(2).
type Limit struct {
	Resource  int // unix.RLIMIT_…
	Soft, Max uint64
}

// Unlimited lifts a Limit.
const Unlimited = unix.RLIM_INFINITY

func (c *Command) label() string {
	if c.Name != "" {
		return c.Name
	}
	return filepath.Base(c.Path)
}

func (c *Command) grace() time.Duration {
	if c.Grace > 0 {
		return c.Grace
	}
	return DefaultGrace
}

// check refuses what would fail in a way that is hard to understand.
func (c *Command) check() error {
	if !filepath.IsAbs(c.Path) {
		return fmt.Errorf("run %q: write the whole path of the program", c.Path)
	}
	info, err := os.Stat(c.Path)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("run %s: it is a directory", c.Path)
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("run %s: it is not executable; chmod +x it", c.Path)
	}
	return nil
}

// explain says what to do about an error of execve(2) that puzzles operators.
func (c *Command) explain(err error) error {
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("run %s: neither a program nor a script that names its interpreter; "+
			"make #!/bin/sh its first line", c.Path)
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("run %s: its working directory %q or the interpreter in its first line does not exist", c.Path, c.Dir)
	}
	return fmt.Errorf("run %s: %w", c.Path, err)
}

// credential looks up whom to run as; nil is ourselves.
func (c *Command) credential() (*syscall.Credential, error) {
	if c.User == "" && c.Group == "" {
		return nil, nil
	}
	cred := &syscall.Credential{Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())}
	if c.User != "" {
		if err := lookUser(c.User, cred); err != nil {
			return nil, err
		}
	}
	if c.Group != "" {
		gid, err := lookGroup(c.Group)
		if err != nil {
			return nil, err
		}
		cred.Gid = gid
	}
	return cred, nil
}

func lookUser(name string, cred *syscall.Credential) error {
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			return fmt.Errorf("run as user %q: no such user", name)
		}
	}
	ids, err := u.GroupIds()
	if err != nil {
		return fmt.Errorf("run as user %q: %w", name, err)
	}
	for _, text := range append([]string{u.Uid, u.Gid}, ids...) {
		if _, err := strconv.ParseUint(text, 10, 32); err != nil {
			return fmt.Errorf("run as user %q: %q is not a number", name, text)
		}
	}
	cred.Uid, cred.Gid = number(u.Uid), number(u.Gid)
	for _, id := range ids {
		cred.Groups = append(cred.Groups, number(id))
	}
	return nil
}

func lookGroup(name string) (uint32, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		if g, err = user.LookupGroupId(name); err != nil {
			return 0, fmt.Errorf("run as group %q: no such group", name)
		}
	}
	return number(g.Gid), nil
}

// number converts an id that lookUser has checked, or that the system's own
// group file holds.
func number(text string) uint32 {
	n, _ := strconv.ParseUint(text, 10, 32)
	return uint32(n)
}

// UserEnv returns what login(1) would tell a process about the user that it
// runs as; name may be a number, and empty means ourselves. It is empty when
// the user is not known: starting the command will say so.
func UserEnv(name string) []string {
	u, err := user.Current()
	if name != "" {
		if u, err = user.Lookup(name); err != nil {
			u, err = user.LookupId(name)
		}
	}
	if err != nil {
		return nil
	}
	return []string{"HOME=" + u.HomeDir, "USER=" + u.Username, "LOGNAME=" + u.Username}
}
