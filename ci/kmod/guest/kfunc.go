package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"shisa/kmod/uapi"
)

// kfunc lets an eBPF program ping the countdown, without any ping of ours, and then
// tell the module that a beat was missed. It comes back only when that fails: the
// machine is reset long before the timeout.
func kfunc(args []string) error {
	object, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	program := args[1]
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		return err
	}
	for name := range spec.Programs {
		if name != program {
			delete(spec.Programs, name)
		}
	}
	if program == "directly" { // PREEMPT_RT rejects timers
		delete(spec.Maps, "clocks")
	}
	c, err := ebpf.NewCollection(spec)
	if err != nil {
		return err
	}
	defer c.Close()
	fd, err := unix.Open(device, unix.O_WRONLY, 0)
	if err != nil {
		return err
	}
	before, err := pings(fd)
	if err != nil {
		return err
	}
	run := func() error {
		state, err := c.Programs[program].Run(&ebpf.RunOptions{})
		if err == nil && state != 0 {
			err = fmt.Errorf("%s ended with %d", program, state)
		}
		return err
	}
	// As often as it takes for three beats: a timer does it by itself.
	for n := before; n < before+3; {
		if err := run(); err != nil && n == before {
			return err
		}
		time.Sleep(100 * time.Millisecond)
		if n, err = pings(fd); err != nil {
			return err
		}
		if n == before {
			return errors.New("no beat arrived")
		}
	}
	if err := mark("ping %d %s", monotonic(), device); err != nil {
		return err
	}
	time.Sleep(settle)
	if err := c.Variables["miss"].Set(uint32(1)); err != nil {
		return err
	}
	_ = run() // the timer is there already
	return unix.Pause()
}

// pings returns how many the module has counted.
func pings(fd int) (uint64, error) {
	var s uapi.Status
	err := call(fd, uapi.IoctlGetstatus, &s)
	return s.Pings, err
}
