package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"shisa/kmod/uapi"
)

const device = "/dev/clpka"

// call makes one ioctl with a structure of the interface.
func call[T any](fd int, request uintptr, arg *T) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(arg)))
	if errno != 0 {
		return errno
	}
	return nil
}

func ping(fd int) error {
	_, err := unix.Write(fd, []byte{0})
	return err
}

func status([]string) error {
	fd, err := unix.Open(device, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var s uapi.Status
	if err := call(fd, uapi.IoctlGetstatus, &s); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(struct {
		uapi.Status
		Comm string
	}{s, unix.ByteSliceToString(s.Comm[:])})
}

// note leaves a note and goes, with the countdown as it was: armed only if it was.
func note(args []string) error {
	fd, err := unix.Open(device, unix.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer disarm(fd)
	text := strings.Join(args, " ")
	n := uapi.Note{Length: uint32(len(text))}
	copy(n.Text[:], text)
	return call(fd, uapi.IoctlSetnote, &n)
}

func shutdown(args []string) error {
	ms, err1 := strconv.ParseUint(args[0], 10, 32)
	action, err2 := strconv.ParseUint(args[1], 10, 32)
	fd, err := unix.Open(device, unix.O_WRONLY, 0)
	if err := errors.Join(err1, err2, err); err != nil {
		return err
	}
	defer disarm(fd)
	return call(fd, uapi.IoctlSetshutdown, &uapi.Shutdown{TimeoutMs: uint32(ms), Action: uint32(action)})
}

// disarm is the magic close.
func disarm(fd int) error {
	_, err := unix.Write(fd, []byte("V"))
	return errors.Join(err, unix.Close(fd))
}

func cycles(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	for i := range n {
		fd, err := unix.Open(device, unix.O_WRONLY, 0)
		if err != nil {
			return fmt.Errorf("cycle %d: %w", i, err)
		}
		if err := ping(fd); err != nil {
			return fmt.Errorf("cycle %d: %w", i, err)
		}
		if err := disarm(fd); err != nil {
			return fmt.Errorf("cycle %d: %w", i, err)
		}
	}
	return nil
}

// bench prints "name value unit aim" lines: the best of some rounds, since what makes
// the others slower is the host.
func bench([]string) error {
	fd, err := unix.Open(device, unix.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer disarm(fd)
	const rounds, n = 20, 5000
	round := func(data []byte) (each float64) { // in µs
		start := time.Now()
		for range n {
			if _, err = unix.Write(fd, data); err != nil {
				return 0
			}
		}
		return float64(time.Since(start).Nanoseconds()) / n / 1e3
	}
	ping, empty := math.Inf(1), math.Inf(1)
	for range rounds {
		ping = min(ping, round([]byte{0}))
		empty = min(empty, round(nil)) // the price of a call that does nothing
	}
	fmt.Printf("clpka_ping_and_syscall %.3f us 1\nclpka_ping %.3f us 1\n", ping, ping-empty)
	return err
}
