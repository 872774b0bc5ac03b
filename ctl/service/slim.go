package service

import (
	"bufio"
	"context"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"shisa/ctl/tick"
)

// Memory: a daemon that mostly sleeps is to be small rather than to collect
// rarely. What the start needed is given back once it is over: of the heap, and of
// the program itself, most of which runs once.
const (
	gcPercent = 30
	slimAfter = 5 * time.Second
)

func slim(ctx context.Context) {
	debug.SetGCPercent(gcPercent)
	if !tick.Sleep(ctx, slimAfter) {
		return
	}
	debug.FreeOSMemory()
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer maps.Close() //nolint:errcheck // only read from
	self, err := os.Executable()
	if err != nil {
		return
	}
	for _, m := range programParts(bufio.NewScanner(maps), self) {
		// The pages stay in the page cache; those in use are mapped again at the
		// next access (madvise(2), MADV_DONTNEED of a private file mapping).
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.start, m.size, unix.MADV_DONTNEED) // else it stays as it is
	}
}

// A mapping is a part of the address space of this process.
type mapping struct {
	start, size uintptr
}

// programParts returns the mappings of the file program that can only be read and
// of which no page was ever changed (that makes it anonymous), from proc(5), /proc/pid/smaps. A changed page
// (relocations, a debugger's breakpoint) would be lost.
func programParts(smaps *bufio.Scanner, program string) []mapping {
	var list []mapping
	var now mapping // size 0: not ours
	for smaps.Scan() {
		line := smaps.Text()
		fields := strings.Fields(line)
		switch {
		case len(fields) >= 6 && strings.Contains(fields[0], "-"):
			now = mapping{}
			if readOnly := strings.HasPrefix(fields[1], "r-"); readOnly && strings.HasSuffix(fields[1], "p") && strings.HasSuffix(line, program) {
				now = span(fields[0])
			}
		case strings.HasPrefix(line, "Anonymous:") && now.size > 0 && len(fields) > 1 && fields[1] == "0":
			list = append(list, now)
		}
	}
	return list
}

// span reads "start-end", in hexadecimal; size 0 if it is not that.
func span(text string) mapping {
	low, high, _ := strings.Cut(text, "-")
	start, err := strconv.ParseUint(low, 16, 64)
	if err != nil {
		return mapping{}
	}
	end, err := strconv.ParseUint(high, 16, 64)
	if err != nil || end < start {
		return mapping{}
	}
	return mapping{uintptr(start), uintptr(end - start)}
}
