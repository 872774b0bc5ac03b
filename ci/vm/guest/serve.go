package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ci/vm/wire"
)

// markFIFO takes lines from processes of the guest that want to tell the host
// something at once.
const markFIFO = "/run/mark"

// An agent runs the host's commands.
type agent struct {
	boot string
	env  []string

	mu    sync.Mutex
	port  io.Writer   // guarded by mu: one line at a time
	procs map[int]int // guarded by mu: id of a start command → process
}

// agentMain sets the guest up and serves the host until the link breaks, which
// it does not.
func agentMain() error {
	// The OOM killer must not take the judge's hand.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0)
	path := wire.ConfigPath
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	config, err := readConfig(path)
	if err != nil {
		return err
	}
	complaints := setup(config)
	port, err := openPort()
	if err != nil {
		return errors.Join(complaints, err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return err
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	a := &agent{
		boot:  strings.TrimSpace(string(boot)),
		env:   append(os.Environ(), config.Env...),
		port:  port,
		procs: map[int]int{},
	}
	if err := unix.Mkfifo(markFIFO, 0o622); err != nil {
		complaints = errors.Join(complaints, err)
	}
	go a.marks()
	ready := wire.Message{Kind: wire.Ready, Boot: a.boot, Release: strings.TrimSpace(string(release))}
	if complaints != nil {
		ready.Text = complaints.Error()
	}
	if _, err := io.WriteString(port, "\n"); err != nil { // ends what the last boot left half written
		return err
	}
	a.send(ready)
	lines := wire.Lines(port)
	for lines.Scan() {
		command, err := wire.Decode[wire.Command](lines.Bytes())
		if err != nil || command.Boot != a.boot {
			continue // half a line, or meant for an earlier boot
		}
		go a.do(command)
	}
	return fmt.Errorf("the link to the host is closed: %w", lines.Err())
}

// send never fails: without the link there is nobody to tell.
func (a *agent) send(m wire.Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = wire.Write(a.port, m)
}

// marks passes on the lines of the FIFO.
func (a *agent) marks() {
	f, err := os.OpenFile(markFIFO, os.O_RDWR, 0) // our own write side keeps it from ending
	if err != nil {
		return
	}
	defer f.Close()
	scan := bufio.NewScanner(f)
	for scan.Scan() {
		a.send(wire.Message{Kind: wire.Mark, Text: scan.Text()})
	}
}

func (a *agent) do(c wire.Command) {
	done := wire.Message{Kind: wire.Exit, ID: c.ID}
	var err error
	switch c.Op {
	case wire.OpStart:
		done.Exit, err = a.start(c)
	case wire.OpKill:
		err = a.kill(c)
	case wire.OpWrite:
		err = writeFile(c)
	case wire.OpRead:
		err = a.readFile(c)
	case wire.OpHalt:
		a.send(done)
		err = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	default:
		err = fmt.Errorf("unknown operation %q", c.Op)
	}
	if err != nil {
		done.Error = err.Error()
	}
	a.send(done)
}

// start runs a command to its end; 128+n is the state of one that signal n ended.
func (a *agent) start(c wire.Command) (int, error) {
	if len(c.Argv) == 0 {
		return 0, errors.New("no command")
	}
	cmd := exec.Command(c.Argv[0], c.Argv[1:]...)
	cmd.Env = append(a.env, c.Env...)
	cmd.Dir = "/root"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := a.startWithPipes(cmd, c.ID); err != nil {
		return 0, err
	}
	return exitState(cmd.Wait())
}

// startWithPipes starts the command; a helper of exec's sends what it prints.
func (a *agent) startWithPipes(cmd *exec.Cmd, id int) error {
	cmd.Stdout = output{a, wire.Out, id}
	cmd.Stderr = output{a, wire.Err, id}
	// A daemon that the command left behind keeps its output; do not wait for it.
	cmd.WaitDelay = 500 * time.Millisecond
	if err := cmd.Start(); err != nil {
		return err
	}
	pid := cmd.Process.Pid
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte("0"), 0) // not the agent's
	a.mu.Lock()
	a.procs[id] = pid
	a.mu.Unlock()
	a.send(wire.Message{Kind: wire.Out, ID: id, PID: pid})
	return nil
}

func exitState(err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return 0, nil
	case errors.As(err, &exit):
		status := exit.Sys().(syscall.WaitStatus)
		if status.Signaled() {
			return 128 + int(status.Signal()), nil
		}
		return status.ExitStatus(), nil
	}
	return 0, err
}

// output sends what a command prints.
type output struct {
	agent *agent
	kind  string
	id    int
}

func (o output) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), wire.ChunkSize)
		o.agent.send(wire.Message{Kind: o.kind, ID: o.id, Data: rest[:n]})
		rest = rest[n:]
	}
	return len(p), nil
}

func (a *agent) kill(c wire.Command) error {
	a.mu.Lock()
	pid, ok := a.procs[c.Target]
	a.mu.Unlock()
	if !ok {
		return fmt.Errorf("command %d has no process", c.Target)
	}
	return unix.Kill(pid, syscall.Signal(c.Signal))
}

func writeFile(c wire.Command) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if c.Append {
		flags = os.O_WRONLY | os.O_APPEND
	}
	f, err := os.OpenFile(c.Path, flags, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(c.Data)
	return errors.Join(err, f.Close())
}

func (a *agent) readFile(c wire.Command) error {
	f, err := os.Open(c.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(output{a, wire.Out, c.ID}, struct{ io.Reader }{f}, make([]byte, wire.ChunkSize))
	return err
}
