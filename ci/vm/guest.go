package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ci/vm/wire"
)

// Config is a guest to boot.
type Config struct {
	Kernel  Kernel
	Machine Machine
	Cmdline string // added to the kernel's command line

	// Modules are loaded before the guest is ready, after those of the machine's
	// devices: "softdog soft_margin=3"; one with a leading ? may be missing. Present
	// are only put into the image, for modprobe, even if a device needs them. ModuleFiles are .ko files built
	// elsewhere; they are in the image when Modules or Present names them.
	Modules, Present, ModuleFiles []string

	Binaries map[string]string // path in the guest → Go package of this tree, built static
	Files    map[string]File   // path in the guest → content
	Mounts   []wire.Mount      // after the modules
	Env      []string          // of every command in the guest
	StopWait time.Duration     // of an orderly shutdown, for processes after SIGTERM; 0: 10 s

	// Root is a disk (/dev/vda) with an installed system: once the modules are
	// loaded, its systemd goes on, and has our agent as one of its services. The
	// guest is ready when that runs. Binaries, Files and Mounts are not for it.
	Root string

	BootTimeout time.Duration // for one try to become ready; 0: 120 s
	Console     io.Writer     // gets a copy of the console; nil: none
}

// A File is put into the image.
type File struct {
	Data []byte
	Mode os.FileMode // 0: 0644
}

const (
	defaultStopWait    = 10 * time.Second
	defaultBootTimeout = 120 * time.Second
	// bootTries: about one boot in 90 of the newest kernels dies of a race in TCG
	// between one CPU that patches its code and another that runs it.
	bootTries = 3
	// maxConsole bounds the console kept for Console and Expect, in bytes.
	maxConsole = 4 << 20
)

var (
	// ErrEnded says that QEMU has ended.
	ErrEnded = errors.New("the guest has ended")
	// ErrReset says that the guest was reset before it answered.
	ErrReset = errors.New("the guest was reset")
	// ErrNoBoot says that no try to boot became ready.
	ErrNoBoot = errors.New("the guest did not become ready")
	// errSetup: the guest came up but its init could not do all that the Config asks
	// for. Another try would not either.
	errSetup = errors.New("the guest's init complains")
)

// A Guest is a running QEMU. Its methods may be called from any goroutine.
type Guest struct {
	events  *eventLog
	console *console
	qmp     *qmp
	link    *link
	cmd     *exec.Cmd
	sockets []net.Conn
	ended   chan struct{} // closed when QEMU has ended and all is read
	kill    func()
}

// Start builds the image, boots the guest and waits until its init is ready. The
// guest lives until Close, or until ctx is done.
func Start(ctx context.Context, c Config) (*Guest, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	initrd, err := buildImage(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("build the image for %s: %w", c.Kernel.Name, err)
	}
	defer initrd.Close()
	timeout := c.BootTimeout
	if timeout == 0 {
		timeout = defaultBootTimeout
	}
	var errs []error
	for range bootTries {
		g, err := boot(ctx, c, initrd)
		if err != nil {
			return nil, err
		}
		err = g.waitReady(ctx, timeout)
		if err == nil {
			return g, nil
		}
		errs = append(errs, fmt.Errorf("%w; the console's end:\n%s", err, lastLines(g.Console(), 15)))
		g.Close()
		if ctx.Err() != nil || errors.Is(err, errSetup) {
			break
		}
	}
	return nil, fmt.Errorf("boot %s: %w: %w", c.Kernel.Name, ErrNoBoot, errors.Join(errs...))
}

// waitReady waits for the first boot. A guest that is reset or panics before it is
// ready will not be waited for.
func (g *Guest) waitReady(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	e, err := g.events.wait(ctx, func(e Event) bool { return e.Kind == KindReady || e.Kind == KindReset })
	switch {
	case err != nil:
		return err
	case e.Kind == KindReset:
		return ErrReset
	case e.Text != "":
		return fmt.Errorf("%w: %s", errSetup, e.Text)
	}
	return nil
}

// buildImage returns an unlinked file with the initramfs.
func buildImage(ctx context.Context, c Config) (*os.File, error) {
	im := newImage()
	binaries := maps.Clone(c.Binaries)
	if binaries == nil {
		binaries = map[string]string{}
	}
	binaries["/init"] = "./ci/vm/guest"
	if err := im.busybox(ctx); err != nil {
		return nil, err
	}
	for path, pkg := range binaries {
		data, err := buildStatic(ctx, pkg)
		if err != nil {
			return nil, err
		}
		im.file(path, data, 0o755)
	}
	for path, f := range c.Files {
		mode := f.Mode
		if mode == 0 {
			mode = 0o644
		}
		im.file(path, f.Data, mode)
	}
	mods, err := openModules(c.Kernel, c.ModuleFiles...)
	if err != nil {
		return nil, err
	}
	own := slices.DeleteFunc(c.Machine.modules(), func(name string) bool { return slices.Contains(c.Present, name) })
	load, err := im.modules(c.Kernel, mods, append(own, c.Modules...), c.Present)
	if err != nil {
		return nil, err
	}
	stopWait := c.StopWait
	if stopWait == 0 {
		stopWait = defaultStopWait
	}
	err = im.config(wire.Config{Hostname: "guest", Env: c.Env, Modules: load, Mounts: c.Mounts, StopWait: stopWait, Root: c.Root})
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp("", "shisa-initrd-")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.Remove(f.Name()), im.write(f)); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// boot starts QEMU.
func boot(ctx context.Context, c Config, initrd *os.File) (*Guest, error) {
	qmpConn, qmpFile, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer qmpFile.Close()
	linkConn, linkFile, err := socketPair()
	if err != nil {
		qmpConn.Close()
		return nil, err
	}
	defer linkFile.Close()

	g := &Guest{
		events:  newEventLog(),
		console: newConsole(c.Console),
		qmp:     newQMP(qmpConn),
		sockets: []net.Conn{qmpConn, linkConn},
		ended:   make(chan struct{}),
	}
	g.link = newLink(linkConn, g.events)
	ctx, g.kill = context.WithCancel(ctx)
	g.cmd = exec.CommandContext(ctx, qemu, c.Machine.args(c.Kernel, c.Cmdline)...)
	g.cmd.Stdout = g.console
	g.cmd.Stderr = g.console
	g.cmd.ExtraFiles = []*os.File{qmpFile, linkFile, initrd}
	// QEMU dies with a killed test, and does not see the terminal's Ctrl-C.
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := g.cmd.Start(); err != nil {
		g.kill()
		qmpConn.Close()
		linkConn.Close()
		return nil, fmt.Errorf("start %s: %w", qemu, err)
	}
	go g.serve()
	if _, err := g.qmp.do(ctx, "qmp_capabilities", nil); err != nil {
		g.Close()
		return nil, fmt.Errorf("start %s: %w\n%s", qemu, err, lastLines(g.Console(), 15))
	}
	return g, nil
}

// serve reads what QEMU says until it has ended.
func (g *Guest) serve() {
	var readers sync.WaitGroup
	readers.Go(func() { g.qmp.read(g.sockets[0], g.events.add) })
	readers.Go(func() { g.link.read(g.sockets[1]) })
	end := Event{Kind: KindExit}
	if err := g.cmd.Wait(); err != nil {
		end.Text = err.Error()
	}
	end.Time = time.Now()
	readers.Wait()
	g.events.add(end)
	g.events.close()
	g.console.close()
	for _, s := range g.sockets {
		s.Close()
	}
	close(g.ended)
}

// socketPair returns a connection and its other end, for a child process.
func socketPair() (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "host"), os.NewFile(uintptr(fds[1]), "qemu")
	defer ours.Close() // FileConn duplicates it
	conn, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return conn, theirs, nil
}

// Close kills QEMU if it still runs and frees everything.
func (g *Guest) Close() {
	g.kill()
	<-g.ended
}

// Events returns what has happened so far.
func (g *Guest) Events() []Event { return g.events.snapshot() }

// WaitEvent returns the first event for which pred is true, be it past or yet to
// come. The error wraps ErrEnded when QEMU ended without it.
func (g *Guest) WaitEvent(ctx context.Context, pred func(Event) bool) (Event, error) {
	return g.events.wait(ctx, pred)
}

// WaitBoot waits until the guest is ready for the nth time; Start waited for the
// first.
func (g *Guest) WaitBoot(ctx context.Context, n int) (Event, error) {
	return g.events.wait(ctx, func(e Event) bool { return e.Kind == KindReady && e.Boot == n })
}

// Console returns what the guest printed on its console so far, or the last 4 MiB
// of it.
func (g *Guest) Console() string { return g.console.String() }

// Expect waits until a line of the console contains the text, and returns the line.
func (g *Guest) Expect(ctx context.Context, text string) (string, error) {
	return g.console.expect(ctx, text)
}

// QMP runs a command of QEMU's monitor, such as "system_reset", "inject-nmi",
// "stop" and "cont".
func (g *Guest) QMP(ctx context.Context, command string, arguments any) error {
	_, err := g.qmp.do(ctx, command, arguments)
	return err
}

// lastLines returns the end of a text.
func lastLines(text string, n int) string {
	lines := slices.Collect(strings.Lines(text))
	return strings.Join(lines[max(0, len(lines)-n):], "")
}
