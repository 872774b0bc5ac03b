// Package wire is the line protocol between the test on the host and the init in
// the guest: one JSON object a line over a virtio serial port.
package wire

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Port is the name of the virtio serial port.
const Port = "shisa.link"

// ConfigPath is where the guest's init finds its Config.
const ConfigPath = "/vm.json"

// maxLine bounds one line in bytes; ChunkSize keeps messages below it.
const maxLine = 1 << 20

// ChunkSize is how many bytes of output or of a file one message carries.
const ChunkSize = 32 << 10

// Config tells the guest's init what to do before it reports ready.
type Config struct {
	Hostname string
	Env      []string      // of every command
	Modules  []Module      // loaded in this order
	Mounts   []Mount       // after the modules
	StopWait time.Duration // how long an orderly shutdown waits for processes after SIGTERM
	Root     string        // disk with a system whose own init goes on after the modules; empty: ours stays
}

// A Module is a kernel module in the image.
type Module struct {
	Path   string // of the .ko
	Params string // "soft_margin=3"
}

// A Mount is a file system that init mounts; its folder is made.
type Mount struct {
	Source, Target, Type, Options string
}

// Operations of a Command.
const (
	OpStart = "start" // start Argv; output and the exit state follow as messages
	OpKill  = "kill"  // send Signal to the process that the command Target started
	OpWrite = "write" // write Data to the file Path
	OpRead  = "read"  // send the file Path
	OpHalt  = "halt"  // stop everything and power off, without waiting for processes
)

// A Command goes from the host to the guest.
type Command struct {
	ID     int
	Boot   string // the guest ignores commands that were meant for an earlier boot
	Op     string
	Argv   []string `json:",omitempty"`
	Env    []string `json:",omitempty"`
	Target int      `json:",omitempty"`
	Signal int      `json:",omitempty"`
	Path   string   `json:",omitempty"`
	Data   []byte   `json:",omitempty"`
	Append bool     `json:",omitempty"`
}

// Kinds of a Message.
const (
	Ready = "ready" // init has set up everything; Boot, Release and Text (complaints) are set
	Out   = "out"   // standard output of command ID
	Err   = "err"   // standard error of command ID
	Exit  = "exit"  // command ID is done: Exit is its state, Error what kept it from running
	Mark  = "mark"  // a process in the guest says Text (written to /run/mark)
)

// A Message goes from the guest to the host.
type Message struct {
	Kind    string
	ID      int    `json:",omitempty"`
	Boot    string `json:",omitempty"`
	Release string `json:",omitempty"`
	PID     int    `json:",omitempty"`
	Data    []byte `json:",omitempty"`
	Exit    int    `json:",omitempty"` // exit code; 128+n for signal n
	Error   string `json:",omitempty"`
	Text    string `json:",omitempty"`
}

// Write writes one object as a line, in a single Write.
func Write(w io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// Decode reads one line. A line without a kind or operation is an error: a reset
// cuts lines in half.
func Decode[T Command | Message](line []byte) (T, error) {
	var v T
	if err := json.Unmarshal(line, &v); err != nil {
		return v, fmt.Errorf("decode a line of the guest link: %w", err)
	}
	switch v := any(v).(type) {
	case Command:
		if v.Op == "" {
			return *new(T), fmt.Errorf("decode a line of the guest link: no operation")
		}
	case Message:
		if v.Kind == "" {
			return *new(T), fmt.Errorf("decode a line of the guest link: no kind")
		}
	}
	return v, nil
}

// Lines returns a scanner over the lines of the link.
func Lines(r io.Reader) *bufio.Scanner {
	scan := bufio.NewScanner(r)
	scan.Buffer(make([]byte, 0, 64<<10), maxLine)
	return scan
}
