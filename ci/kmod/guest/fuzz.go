package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"shisa/kmod/uapi"
)

// fuzz makes hostile calls: every number near ours, other sizes and directions,
// pointers to nowhere, to the end of a page, to read-only memory, random contents.
// What could act within the run is left out: the countdown is pinged all the time,
// its action is none, and the shutdown countdown is cancelled after each call.
func fuzz(args []string) error {
	lasts, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	fd, err := unix.Open(device, unix.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer disarm(fd)
	pages, err := unix.Mmap(-1, 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	readOnly, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	if err := unix.Mprotect(pages[4096:], unix.PROT_NONE); err != nil {
		return err
	}
	f := fuzzer{fd: fd, good: pages[:4096], readOnly: addr(readOnly)}
	n := 0
	for end := time.Now().Add(lasts); time.Now().Before(end); n++ {
		f.once()
	}
	fmt.Println(n, "calls")
	return nil
}

type fuzzer struct {
	fd       int
	good     []byte
	readOnly uintptr
}

// requests are the numbers that mean something.
var requests = []uintptr{
	unix.WDIOC_GETSUPPORT, unix.WDIOC_GETSTATUS, unix.WDIOC_GETBOOTSTATUS, unix.WDIOC_GETTEMP,
	unix.WDIOC_SETOPTIONS, unix.WDIOC_KEEPALIVE, unix.WDIOC_SETTIMEOUT, unix.WDIOC_GETTIMEOUT,
	unix.WDIOC_SETPRETIMEOUT, unix.WDIOC_GETPRETIMEOUT, unix.WDIOC_GETTIMELEFT,
	uapi.IoctlSetconfig, uapi.IoctlSetshutdown, uapi.IoctlSetnote, uapi.IoctlGetstatus,
}

// nowhere are addresses that user space may not give: the ends, the first that is
// not canonical, the kernel's; cut to what a pointer holds.
var nowhere = addresses(0, 1, math.MaxUint64, 1<<47, 0xffff888000000000, 0xc0000000)

func addresses(list ...uint64) []uintptr {
	var a []uintptr
	for _, v := range list {
		a = append(a, uintptr(v))
	}
	return slices.Clip(a)
}

func (f *fuzzer) once() {
	request := requests[rand.IntN(len(requests))]
	switch rand.IntN(4) {
	case 0: // another size, direction or number
		request ^= 1 << rand.IntN(32)
	case 1:
		request = uintptr(rand.Uint32())
	}
	for range 1 + rand.IntN(64) {
		f.good[rand.IntN(len(f.good))] = byte(rand.Uint32())
	}
	if rand.IntN(2) == 0 { // small numbers get further
		f.good[4000] = byte(rand.IntN(8))
		for i := range 64 {
			f.good[i] = 0
		}
		f.good[rand.IntN(16)] = byte(rand.Uint32())
	}
	for _, p := range append(nowhere, addr(f.good), addr(f.good)+uintptr(rand.IntN(4096)), addr(f.good)+4096-uintptr(rand.IntN(16)), f.readOnly) {
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(f.fd), request, p)
		f.calm()
	}
	_, _, _ = unix.Syscall(unix.SYS_WRITE, uintptr(f.fd), f.readOnly, uintptr(rand.IntN(5000)))
}

// calm undoes what would reset the guest.
func (f *fuzzer) calm() {
	_ = call(f.fd, uapi.IoctlSetshutdown, &uapi.Shutdown{})
	_ = call(f.fd, uapi.IoctlSetconfig, &uapi.Config{TimeoutMs: 60000})
}
