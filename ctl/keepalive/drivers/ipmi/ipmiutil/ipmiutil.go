// Package ipmiutil drives the BMC's watchdog timer through an external program,
// ipmiutil or ipmitool, for when the native way does not work: ipmiutil has
// drivers of its own and needs none in the kernel.
//
// The program only carries single raw commands; all that there is to know about
// the timer is in package ipmi.
package ipmiutil

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	uroot "github.com/u-root/u-root/pkg/ipmi"

	"shisa/ctl/keepalive"
	"shisa/ctl/keepalive/drivers/ipmi"
	"shisa/ctl/run"
)

// Name of the driver.
const Name = "ipmiutil"

// Timeout is how long one command may take.
const Timeout = 10 * time.Second

// A Runner runs a program and returns what it printed. The error says that it
// did not end with status 0.
type Runner func(program string, args ...string) ([]byte, error)

// Open returns the engine that works through program, an absolute path whose
// last element tells which of the two it is.
func Open(program string) *Engine { return New(program, command) }

// New returns the engine that works through program by way of r.
func New(program string, r Runner) *Engine {
	return &Engine{
		Engine: ipmi.New(program, func() (*ipmi.BMC, error) { return BMC(program, r), nil }),
	}
}

// An Engine is the watchdog timer of a BMC behind a program.
type Engine struct{ *ipmi.Engine }

// Info is that of the timer under this driver's name.
func (e *Engine) Info() keepalive.Info {
	i := e.Engine.Info()
	i.Driver = Name
	return i
}

// BMC returns the controller behind program.
func BMC(program string, r Runner) *ipmi.BMC {
	speak := tool
	if strings.HasPrefix(filepath.Base(program), "ipmiutil") {
		speak = util
	}
	return ipmi.NewBMC(func(netfn, cmd byte, data []byte) ([]byte, error) {
		args, parse := speak(netfn, cmd, data)
		out, err := r(program, args...)
		return parse(out, err)
	}, nil)
}

func command(program string, args ...string) ([]byte, error) {
	r := run.Run(context.Background(), run.Command{Path: program, Args: args, Timeout: Timeout})
	return r.Output, r.AsError()
}

type parser func(out []byte, err error) ([]byte, error)

// tool speaks ipmitool: "ipmitool raw 0x06 0x22". It prints the response in hex
// without the completion code.
func tool(netfn, cmd byte, data []byte) ([]string, parser) {
	args := []string{"raw", fmt.Sprintf("%#02x", netfn), fmt.Sprintf("%#02x", cmd)}
	for _, b := range data {
		args = append(args, fmt.Sprintf("0x%02x", b))
	}
	return args, func(out []byte, err error) ([]byte, error) {
		if code, ok := number(out, "rsp=0x"); ok && code != 0 {
			return nil, uroot.CompletionError(code)
		}
		if err != nil {
			return nil, fmt.Errorf("ipmitool: %w: %s", err, line(out))
		}
		return response(out)
	}
}

// util speaks ipmiutil: "ipmiutil cmd 00 20 18 22", where 20 is the BMC's
// address and 18 the network function shifted by two. It prints the response
// behind "respData[len=9]:", and nothing for an empty one.
func util(netfn, cmd byte, data []byte) ([]string, parser) {
	args := []string{"cmd", "00", "20", fmt.Sprintf("%02x", netfn<<2), fmt.Sprintf("%02x", cmd)}
	for _, b := range data {
		args = append(args, fmt.Sprintf("%02x", b))
	}
	return args, func(out []byte, err error) ([]byte, error) {
		if code, ok := number(out, "ccode "); ok && code != 0 {
			return nil, uroot.CompletionError(code)
		}
		if err != nil {
			return nil, fmt.Errorf("ipmiutil: %w: %s", err, line(out))
		}
		_, text, ok := bytes.Cut(out, []byte("respData[len="))
		if !ok {
			return []byte{0}, nil
		}
		_, text, _ = bytes.Cut(text, []byte("]:"))
		text, _, _ = bytes.Cut(text, []byte("\n"))
		return response(bytes.ReplaceAll(text, []byte(","), nil))
	}
}

// response reads bytes in hex and puts the completion code 0 before them.
func response(text []byte) ([]byte, error) {
	r := []byte{0}
	for _, word := range strings.Fields(string(text)) {
		b, err := strconv.ParseUint(word, 16, 8)
		if err != nil {
			return nil, fmt.Errorf("answer %q is not bytes in hex", line(text))
		}
		r = append(r, byte(b))
	}
	return r, nil
}

// number returns the byte in hex that follows key.
func number(out []byte, key string) (byte, bool) {
	_, rest, ok := bytes.Cut(out, []byte(key))
	if !ok || len(rest) < 2 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(rest[:2]), 16, 8)
	return byte(n), err == nil
}

// lineLimit bounds what of a program's output stands in an error.
const lineLimit = 200

func line(out []byte) string {
	s, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return s[:min(len(s), lineLimit)]
}
